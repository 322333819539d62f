"""`CiliumHostProtection`: the rule table, enforced on every node by Cilium."""

from collections.abc import Sequence
from typing import TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..server_side.kubernetes_object import KubernetesObject
from .renderings.cilium import NAME, host_policy
from .rule_table import Rule, check_web_ports


class CiliumHostProtectionArgs(TypedDict):
    """`rules` is the table (`node_rules()`), `cloudflare` the CIDRs that its "cloudflare" means.
    The cluster's provider comes by the options."""

    rules: Sequence[Rule]
    cloudflare: Sequence[str]


class CiliumHostProtection(pulumi.ComponentResource):
    """One policy for the nodes, once Cilium's kinds are there and its `host_firewall` is on.

    Raises ValueError for a table that admits anybody but Cloudflare to the web ports, or that
    Cilium has no words for.
    """

    def __init__(
        self, name: str, args: CiliumHostProtectionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("CiliumHostProtection", name, CiliumHostProtectionArgs, args)
        check_web_ports(args["rules"])
        spec = host_policy(args["rules"], args["cloudflare"])
        super().__init__("edgefleet:index:CiliumHostProtection", name, None, opts)
        KubernetesObject(
            f"{name}-policy",
            {
                "apiVersion": "cilium.io/v2",
                "kind": "CiliumClusterwideNetworkPolicy",
                "metadata": {"name": NAME},
                "spec": spec,
            },
            pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with if opts else None),
        )
        self.register_outputs({})
