"""`CiliumHostProtection`: the rule table, enforced on every node by Cilium."""

from collections.abc import Sequence
from typing import TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..server_side.kubernetes_object import KubernetesObject
from .renderings.cilium import NAME, host_policy
from .rule_data import RuleArgs, rules_of
from .rule_table import check_web_ports


class CiliumHostProtectionArgs(TypedDict):
    """Who gets into the nodes. The cluster's provider comes by the options."""

    rules: Sequence[RuleArgs]
    """The table (`node_rules()`). Changes in place."""
    cloudflare: Sequence[str]
    """CIDRs that the table's "cloudflare" means. Change in place."""


class CiliumHostProtection(pulumi.ComponentResource):
    """One policy for the nodes, once Cilium's kinds are there and its `host_firewall` is on.

    Raises ValueError for a table that admits anybody but Cloudflare to the web ports, or that
    Cilium has no words for.

    Once a cluster: a node has one table.
    """

    def __init__(
        self, name: str, args: CiliumHostProtectionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("CiliumHostProtection", name, CiliumHostProtectionArgs, args)
        rules = rules_of(args["rules"])
        check_web_ports(rules)
        spec = host_policy(rules, args["cloudflare"])
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
