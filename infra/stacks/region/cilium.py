"""Cilium as a cluster's dataplane, and the rule table on its nodes."""

from collections.abc import Sequence

import pulumi

from components.dataplane.cilium import CiliumDataplane
from components.firewall.cilium_host_protection import CiliumHostProtection
from components.firewall.rule_data import RuleArgs
from infra.errors import SettingsError
from infra.stacks.region.site import Site


def lay_cilium(site: Site) -> CiliumDataplane:
    """Raises SettingsError."""
    stack = site.stack
    bgp = stack.settings.cilium.bgp if stack.settings.cilium else None
    password: pulumi.Output[str] | None = None
    if bgp and any(peer.password for peer in bgp.peers):
        if "bgpPassword" not in stack.secrets:
            raise SettingsError(
                [
                    f"{stack.file}: edgefleet:bgpPassword: is required, as cilium.bgp.peers have "
                    "`password: true`: `pulumi config set --secret bgpPassword --stack "
                    f"{stack.name}`"
                ]
            )
        password = site.secret("bgpPassword")
    return CiliumDataplane(
        site.name("cilium"),
        {
            **stack.settings.cilium_options(),
            "kubeconfig": site.cluster.kubeconfig,
            "bgp_password": password,
        },
        site.after(),
    )


def protect_by_cilium(
    site: Site, dataplane: pulumi.Resource, table: Sequence[RuleArgs]
) -> CiliumHostProtection:
    """Raises SettingsError."""
    try:
        return CiliumHostProtection(
            site.name("cilium-nodes"),
            {"rules": table, "cloudflare": site.ranges.cidrs},
            site.after(dataplane),
        )
    except ValueError as error:
        raise SettingsError([f"{site.stack.file}: edgefleet:firewall: {error}"]) from None
