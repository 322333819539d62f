"""The rule table as components take it: data, which comes from any language as it comes from here.

`rule_table.py` makes tables and reads them; this turns one form into the other.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import signature
from typing import Any, Literal, NotRequired, ParamSpec, TypedDict, cast

from . import rule_table
from .rule_table import Protocol, Rule

CLOUDFLARE = "cloudflare"
_Options = ParamSpec("_Options")


class PortRange(TypedDict):
    """Inclusive at both ends."""

    first: int
    """1 to 65535."""
    last: int
    """`first` to 65535."""


class RuleArgs(TypedDict):
    """Admits somebody to ports of a node. A change takes effect in place, but for the cloud
    firewall, whose rules are made anew."""

    name: str
    """a-z, 0-9 and hyphens, unique in the table; resources are called by it."""
    protocol: Protocol
    """any is every one."""
    ports: Sequence[PortRange]
    """None, for tcp and udp too, means all of them."""
    sources: Sequence[str]
    """CIDRs of either family; or the one word cloudflare, for whatever Cloudflare connects from."""
    reason: str
    """Becomes the rule's note or comment: at most 200 letters, digits and ., : ; / ( ) + -."""
    scope: NotRequired[Literal["everywhere", "node"]]
    """node keeps a rule out of the cloud firewall, which doesn't see such packets or has no word
    for them. Default: everywhere."""
    routed_to: NotRequired[Sequence[str] | None]
    """Networks, CIDRs: the rule is for packets that the node passes on to these instead of taking
    them in. Default: those that it takes in."""


def rule_data(rules: Iterable[Rule]) -> list[RuleArgs]:
    """A table as data."""
    return [_data(rule) for rule in rules]


def _data(rule: Rule) -> RuleArgs:
    cloudflare = rule.source == "cloudflare"
    data: RuleArgs = {
        "name": rule.name,
        "protocol": rule.protocol,
        "ports": [{"first": first, "last": last} for first, last in rule.ports],
        "sources": [CLOUDFLARE] if cloudflare else [*rule.source],
        "reason": rule.reason,
        "scope": rule.scope,
    }
    return data if rule.routed_to is None else {**data, "routed_to": [*rule.routed_to]}


def rules_of(table: Sequence[RuleArgs]) -> list[Rule]:
    """A table as `rule_table` reads it. Raises ValueError for a name or reason with other letters
    than it may have, and for sources that are Cloudflare and somebody else."""
    return [_rule(data) for data in table]


def _rule(data: RuleArgs) -> Rule:
    sources, routed_to = data["sources"], data.get("routed_to")
    if CLOUDFLARE in sources and len(sources) > 1:
        raise ValueError(
            f"Rule {data['name']}: sources: {CLOUDFLARE} stands alone. Make a rule of the others."
        )
    return Rule(
        name=data["name"],
        protocol=data["protocol"],
        ports=tuple((each["first"], each["last"]) for each in data["ports"]),
        source="cloudflare" if CLOUDFLARE in sources else tuple(sources),
        reason=data["reason"],
        scope=data.get("scope", "everywhere"),
        routed_to=None if routed_to is None else tuple(routed_to),
    )


def _as_data(make: Callable[_Options, list[Rule]]) -> Callable[_Options, list[RuleArgs]]:
    @wraps(make)
    def made(*args: _Options.args, **kwargs: _Options.kwargs) -> list[RuleArgs]:
        return rule_data(make(*args, **kwargs))

    # `wraps` took over what `make` says that it returns.
    said = signature(make).replace(return_annotation=list[RuleArgs])
    cast(Any, made).__signature__ = said
    return made


node_rules = _as_data(rule_table.node_rules)
