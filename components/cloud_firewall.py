"""`CloudFirewall`: rules in the firewall group that VKE links to every node of a cluster."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import ediri_vultr as vultr
import pulumi

WEB_PORTS = (80, 443)
_ANY = {"v4": "0.0.0.0", "v6": "::"}  # noqa: S104 (sent, not bound)


class CloudFirewallArgs(TypedDict):
    """`group_id` is the cluster's managed group; `ports` are admitted from Cloudflare only."""

    group_id: pulumi.Input[str]
    ports: NotRequired[Sequence[int]]


def cloudflare_rules(ports: Sequence[int]) -> dict[str, dict[str, Any]]:
    """The rules that admit Cloudflare to `ports`, by name: one for each port and address family.

    `source: cloudflare` lets Vultr keep the ranges; the subnet is ignored but required, and the
    provider stays settled when it is the family's all-zero network (vultr.md §2; real-providers.md,
    Vultr 5). The default policy of a group drops the rest.
    """
    return {
        f"cloudflare-{port}-{family}": {
            "ip_type": family,
            "protocol": "tcp",
            "port": str(port),
            "subnet": subnet,
            "subnet_size": 0,
            "source": "cloudflare",
            "notes": f"Cloudflare to :{port}",
        }
        for port in ports
        for family, subnet in _ANY.items()
    }


class CloudFirewall(pulumi.ComponentResource):
    """Admits Cloudflare, and nobody else, to the ingress's ports."""

    def __init__(
        self, name: str, args: CloudFirewallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("edgefleet:index:CloudFirewall", name, None, opts)
        group_id = pulumi.Output.from_input(args["group_id"]).apply(_require_group)
        for rule, inputs in cloudflare_rules(args.get("ports", WEB_PORTS)).items():
            vultr.FirewallRule(
                f"{name}-{rule}",
                firewall_group_id=group_id,
                **inputs,
                # The group goes with its cluster, and so do its rules.
                opts=pulumi.ResourceOptions(
                    parent=self, deleted_with=opts.deleted_with if opts else None
                ),
            )
        self.register_outputs({})


def _require_group(group_id: str) -> str:
    if not group_id:
        raise pulumi.RunError(
            "The cluster has no managed firewall group: it was made without one, and Vultr can't "
            "add it later. Its nodes would be open to everybody. Make a new cluster beside it (a "
            "new stack file with the same region), then drain and remove this one."
        )
    return group_id
