"""`CloudFirewall`: rules in the firewall group that VKE links to every node of a cluster."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import ediri_vultr as vultr
import pulumi

from ..arguments import refuse_arguments
from .cloud_rules import VultrFirewallRules
from .renderings.vultr import VultrRule, check_rule_limit, vultr_rules
from .rule_data import RuleArgs, rules_of
from .rule_table import Rule


class CloudFirewallArgs(TypedDict):
    """Who gets into the group."""

    group_id: pulumi.Input[str]
    """Vultr's id of the cluster's managed group. Another one: the rules are made anew there."""
    rules: Sequence[RuleArgs]
    """The table (`node_rules()`). A rule that changes is made anew."""
    cloudflare: NotRequired[Sequence[str] | None]
    """CIDRs that the table's "cloudflare" means, spelled out. Default: Vultr keeps Cloudflare's
    ranges itself."""


def split_rules(
    rules: Sequence[Rule], cloudflare: Sequence[str] | None = None
) -> tuple[dict[str, VultrRule], dict[str, VultrRule]]:
    """The group's rules by name: those the provider can hold, and those it can't (no `source`;
    docs/facts/real-providers.md, Vultr 5). Raises ValueError where all of them together are too
    many."""
    rendered = vultr_rules(rules, cloudflare)
    check_rule_limit(rendered)
    held = {name: rule for name, rule in rendered.items() if "source" in rule}
    return held, {name: rule for name, rule in rendered.items() if name not in held}


class CloudFirewall(pulumi.ComponentResource):
    """Admits what the table names, and nobody else: the group's policy is to drop.

    Once a group: Vultr refuses a second rule that matches alike.
    """

    def __init__(
        self, name: str, args: CloudFirewallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("CloudFirewall", name, CloudFirewallArgs, args)
        super().__init__("edgefleet:index:CloudFirewall", name, None, opts)
        try:
            held, others = split_rules(rules_of(args["rules"]), args.get("cloudflare"))
        except ValueError as error:
            raise pulumi.RunError(f"{name}: {error}") from None
        group_id = pulumi.Output.from_input(args["group_id"]).apply(_require_group)
        # The group goes with its cluster, and so do its rules.
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        for rule, inputs in held.items():
            vultr.FirewallRule(
                f"{name}-{rule}",
                firewall_group_id=group_id,
                **inputs,
                # A new note would replace the rule, and Vultr refuses the second that matches
                # alike; closing it first would shut the site for as long.
                opts=pulumi.ResourceOptions.merge(
                    child, pulumi.ResourceOptions(ignore_changes=["notes"])
                ),
            )
        if others:
            VultrFirewallRules(f"{name}-rules", group_id, others, child)
        self.register_outputs({})


def _require_group(group_id: str) -> str:
    if group_id or pulumi.runtime.is_dry_run():
        # A preview doesn't wait for what Vultr links late.
        return group_id
    raise pulumi.RunError(
        "Vultr shows no managed firewall group for this cluster, which would be open to everybody, "
        "so its addresses were not published. It links one some time after it made a cluster: "
        "`pulumi up` again goes on waiting. Look for it in Vultr's console, under the cluster's "
        "firewall; only a cluster that was made without one never gets it, and needs a new cluster "
        "beside it (a new stack file with the same region)"
    )
