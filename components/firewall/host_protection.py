"""`CalicoHostProtection`: the rule table, enforced on every node by Calico itself.

docs/security.md says how it compares with ufw, what it doesn't cover, and how to change over.
"""

from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..dataplane.policy import comes_after_something, global_policy
from ..errors import OptionsError
from ..server_side.kubernetes_object import in_cluster_of
from ..server_side.patch import ServerSidePatch
from .node_networks import NodeNetworks, NodeNetworksArgs
from .renderings.calico import (
    failsafe_ports,
    forward_policy,
    node_policy,
    node_port_policy,
)
from .rule_data import RuleArgs, rules_of
from .rule_table import Rule, check_web_ports


class CalicoHostProtectionArgs(TypedDict):
    """Who gets into the nodes. `HostEndpoints` of the cluster belongs in `depends_on`: the policies
    close nothing but what it made. Objects go through the provider that the options give, else
    through one of the kubeconfig. IPv6 is policed only where felix was told to: give
    `CalicoDataplane` `ipv6`."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    rules: pulumi.Input[Sequence[RuleArgs]]
    """The table (`node_rules()`). Changes in place."""
    cloudflare: Sequence[str]
    """CIDRs that the table's "cloudflare" means. Change in place."""
    force: NotRequired[bool]
    """Take felix's failsafe ports over from whoever else has set them. Default: false."""


class CalicoHostProtection(pulumi.ComponentResource):
    """Three policies on every node's host endpoint, then felix's failsafe ports narrowed.

    Each step is whole in itself: the host endpoints close nothing, the first policy holds all that
    a node needs, the failsafe ports are narrowed when policies open what they did. Destroying goes
    the other way, and an update changes each policy at once. Raises ValueError, where the table
    opens the web ports to others than Cloudflare, and
    OptionsError where nothing goes before.

    Once a cluster: a node has one table.
    """

    def __init__(
        self,
        name: str,
        args: CalicoHostProtectionArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        refuse_arguments("CalicoHostProtection", name, CalicoHostProtectionArgs, args)
        if not comes_after_something(opts):
            raise OptionsError(
                f"{name}: host endpoints: the nodes' are needed, or the policies would close "
                "nothing: name HostEndpoints in depends_on"
            )
        super().__init__("edgefleet:index:CalicoHostProtection", name, None, opts)
        kubeconfig = args["kubeconfig"]
        child = in_cluster_of(self, name, kubeconfig, opts)
        cloudflare = args["cloudflare"]
        rules = pulumi.Output.from_input(args["rules"]).apply(_checked)
        before = opts.depends_on if opts else None
        own = pulumi.ResourceOptions(
            parent=self, deleted_with=child.deleted_with, depends_on=before
        )
        asked: NodeNetworksArgs = {"kubeconfig": kubeconfig, "rules": args["rules"]}
        made: list[pulumi.Resource] = [NodeNetworks(f"{name}-networks", asked, own)]

        def then() -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[made[-1]])
            )

        # `forward` lets pods talk to anybody, and would say so of nodes too, were `nodes` not there
        # before it as long as it is.
        policies: dict[str, Callable[[Sequence[Rule]], dict[str, Any]]] = {
            "nodes": lambda rules: node_policy(rules, cloudflare),
            "forward": lambda rules: forward_policy(rules, cloudflare),
            "node-ports": lambda rules: node_port_policy(rules, cloudflare),
        }
        for part, render in policies.items():
            spec = rules.apply(render)
            made.append(global_policy(f"{name}-{part}", f"edgefleet-{part}", spec, then()))
        ports = rules.apply(lambda rules: failsafe_ports(rules, cloudflare))
        ServerSidePatch(
            f"{name}-failsafe",
            {
                "kubeconfig": kubeconfig,
                "kind": "FelixConfiguration",
                "object_name": "default",
                # Outbound ones stay: nothing here restricts what a node sends.
                "fields": {"spec": {"failsafeInboundHostPorts": ports}},
                "field_manager": "edgefleet-host-protection",
                "force": args.get("force", False),
            },
            then(),
        )
        self.register_outputs({})


def _checked(table: Sequence[RuleArgs]) -> list[Rule]:
    rules = rules_of(table)
    check_web_ports(rules)
    return rules
