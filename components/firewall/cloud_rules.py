"""`VultrFirewallRules`: rules of a Vultr firewall group that name their source by a network.

The provider can't hold these: without `source` the API answers with the network in that field, and
the provider either replaces the rule on every update or refuses every preview after a refresh
(docs/facts/real-providers.md, Vultr 5; Terraform provider #722, fixed in v2.31.0). With ediri-vultr
on that version or later this file can go.

The provider class runs in a process of its own (Pulumi's dynamic provider) and may block. It asks
for the API key when it runs: a key in the state would be the old one after a rotation.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    UpdateResult,
)

from ..errors import VultrError
from ..own_resource import OwnResource
from ..vendors.credentials import vultr_key
from ..vendors.provider import VendorProvider
from ..vendors.vultr import VultrApi
from .renderings.vultr import VULTR_RULE_LIMIT, VultrRule

_SENT = ("ip_type", "protocol", "port", "subnet", "subnet_size", "notes")

Match = tuple[str, str, str, str, int, bool]


def match_of(rule: Mapping[str, Any]) -> Match:
    """What makes two rules the same to Vultr: all but the notes. Takes a rule of ours or the API's.

    Vultr refuses a second rule that matches alike, whatever its notes say.
    """
    return (
        rule.get("ip_type") or rule["type"],
        rule["protocol"],
        rule.get("port") or "",
        str(ip_address(rule["subnet"])),
        int(rule["subnet_size"]),
        rule.get("source") == "cloudflare",
    )


def compared(
    wanted: Iterable[VultrRule], live: Iterable[Mapping[str, Any]]
) -> tuple[list[VultrRule], list[Mapping[str, Any]]]:
    """Rules that a group lacks, and those of it that nobody asked for; each match once."""
    asked = {match_of(rule): rule for rule in wanted}
    there = {match_of(rule): rule for rule in live}
    return (
        [rule for match, rule in asked.items() if match not in there],
        [rule for match, rule in there.items() if match not in asked],
    )


class FirewallGroup:
    """One group at Vultr's API; `id` is the group's. Every method raises VultrError."""

    def __init__(self, vultr: VultrApi, group_id: str) -> None:
        self.id = group_id
        self._vultr = vultr

    def exists(self) -> bool:
        """Whether Vultr still has the group."""
        return self._vultr.has_firewall_group(self.id)

    def rules(self) -> dict[str, dict[str, Any]]:
        """The group's rules by id, whoever made them."""
        return {str(rule["id"]): rule for rule in self._vultr.firewall_rules(self.id)}

    def add(self, rule: VultrRule) -> str:
        """Add a rule; its id. A rule that is there already, from an earlier attempt whose answer
        was lost, is taken for the one added."""
        body: dict[str, Any] = {field: rule.get(field) for field in _SENT if field in rule}
        # The engine keeps numbers as floats.
        body["subnet_size"] = int(rule["subnet_size"])
        try:
            return self._vultr.add_firewall_rule(self.id, body)
        except VultrError as error:
            if found := self._found(rule):
                return found
            port = f" port {rule['port']}" if "port" in rule else ""
            raise VultrError(
                f"firewall group {self.id}: {rule['protocol']}{port} from {rule['subnet']}/"
                f"{body['subnet_size']} could not be added: {error}"
            ) from None

    def remove(self, rule_id: str) -> None:
        """Remove a rule. One that is gone already is no error, nor is a group that is gone."""
        try:
            self._vultr.remove_firewall_rule(self.id, rule_id)
        except VultrError as error:
            raise VultrError(
                f"firewall group {self.id}: rule {rule_id} could not be removed: {error}. Run the "
                "command again"
            ) from None

    def _found(self, rule: VultrRule) -> str | None:
        matching = (i for i, live in self.rules().items() if match_of(live) == match_of(rule))
        return next(matching, None)


def settle(
    group: FirewallGroup,
    wanted: Mapping[str, VultrRule],
    made: Mapping[str, VultrRule],
    ids_made: Mapping[str, str],
    limit: int = VULTR_RULE_LIMIT,
) -> dict[str, str]:
    """Give the group the rules `wanted`, and take away what of those `made` before isn't.

    Opens before it closes, as far as the group has room. Whatever step dies, the next run carries
    on: what was added is found by its match, what is left over by its id, if the rule of that id is
    still the one that was made: Vultr numbers a group's rules, and another may have the number
    by now. The result is the id of every wanted rule by name.

    Raises VultrError; before anything is sent where the group couldn't hold the rules.
    """
    live = group.rules()
    ids = {match_of(rule): rule_id for rule_id, rule in live.items()}
    matches = {match_of(rule) for rule in wanted.values()}
    missing = [rule for rule in wanted.values() if match_of(rule) not in ids]
    stale = [
        rule_id
        for name, rule_id in ids_made.items()
        if _still_ours(live.get(rule_id), made.get(name)) and match_of(live[rule_id]) not in matches
    ]
    if (count := len(live) + len(missing) - len(stale)) > limit:
        others = len(live) - len(stale) - (len(wanted) - len(missing))
        raise VultrError(
            f"firewall group {group.id}: {count} rules where it holds {limit}: {len(wanted)} of "
            f"this stack's and {others} that others made. Nothing was changed. Name fewer "
            "networks, or remove rules in Vultr's console"
        )
    first = max(0, len(live) + len(missing) - limit)
    for rule_id in stale[:first]:
        group.remove(rule_id)
    for rule in missing:
        ids[match_of(rule)] = group.add(rule)
    for rule_id in stale[first:]:
        group.remove(rule_id)
    return {name: ids[match_of(rule)] for name, rule in wanted.items()}


def _still_ours(live: Mapping[str, Any] | None, made: Mapping[str, Any] | None) -> bool:
    return live is not None and made is not None and match_of(live) == match_of(made)


class _Provider(VendorProvider):
    def _group(self, props: Mapping[str, Any]) -> FirewallGroup:
        return FirewallGroup(VultrApi(vultr_key(self.config)), props["group_id"])

    def create(self, props: dict[str, Any]) -> CreateResult:
        ids = settle(self._group(props), props["rules"], {}, {})
        return CreateResult(props["group_id"], {**props, "ids": ids})

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        ids = settle(self._group(props), props["rules"], olds["rules"], olds["ids"])
        return UpdateResult({**props, "ids": ids})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        group = self._group(props)
        if not group.exists():
            return ReadResult("", {})
        live = group.rules()
        by_match = {match_of(rule): rule_id for rule_id, rule in live.items()}
        there = {n: r for n, r in props["rules"].items() if match_of(r) in by_match}
        inputs = {"group_id": props["group_id"], "rules": there}
        ids = {name: by_match[match_of(rule)] for name, rule in there.items()}
        # As inputs too: the preview after a refresh then names the rules that are missing.
        return ReadResult(id_, {**inputs, "ids": ids}, inputs=inputs)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaces = ["group_id"] if olds["group_id"] != news["group_id"] else []
        return DiffResult(
            changes=bool(replaces) or _matches(olds) != _matches(news),
            replaces=replaces,
            # The old group goes with its cluster.
            delete_before_replace=False,
        )

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        group = self._group(props)
        live = group.rules() if group.exists() else {}
        for name, rule_id in props["ids"].items():
            if _still_ours(live.get(rule_id), props["rules"].get(name)):
                group.remove(rule_id)


def _matches(props: Mapping[str, Any]) -> dict[str, Match]:
    return {name: match_of(rule) for name, rule in props["rules"].items()}


class VultrFirewallRules(OwnResource, name="VultrFirewallRules", provider=_Provider):
    """Rules with networks as sources, by name, in a firewall group.

    A rule that is there already is taken over. Notes are written when a rule is made and don't
    follow later: Vultr can't change them, and the rule would have to close meanwhile.
    """

    ids: pulumi.Output[Mapping[str, str]]

    def __init__(
        self,
        name: str,
        group_id: pulumi.Input[str],
        rules: Mapping[str, VultrRule],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"group_id": group_id, "rules": dict(rules), "ids": None}
        super().__init__(name, props, opts)
