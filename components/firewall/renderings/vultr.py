"""The rule table as rules of a Vultr firewall group."""

from collections.abc import Iterable, Sequence
from typing import Literal, NotRequired, TypedDict

from ..rule_table import EVERYBODY, PORTED, Rule, networks_of

Family = Literal["v4", "v6"]
# Rules in one Vultr firewall group, as the API's own example says; the live limit isn't known
# (docs/facts/vultr.md §2).
VULTR_RULE_LIMIT = 50
VULTR_NOTES_LIMIT = 255  # characters; vultr-cli's reference of `firewall rule create`


class VultrRule(TypedDict):
    """Inputs of one rule of a Vultr firewall group. `source` is "cloudflare" or absent."""

    ip_type: Family
    protocol: str
    subnet: str
    subnet_size: int
    notes: str
    port: NotRequired[str]
    source: NotRequired[Literal["cloudflare"]]


def vultr_rules(
    rules: Iterable[Rule], cloudflare: Sequence[str] | None = None
) -> dict[str, VultrRule]:
    """The table as rules of a Vultr firewall group, by a name that is stable and unique.

    Without `cloudflare` Vultr itself keeps Cloudflare's ranges (`source: cloudflare`: the subnet is
    ignored but required, and the provider stays settled on the family's all-zero network;
    docs/facts/vultr.md §2, docs/facts/real-providers.md, Vultr 5). With it, these ranges are
    spelled out.
    """
    rendered: dict[str, VultrRule] = {}
    seen: set[tuple[object, ...]] = set()
    rules = list(rules)
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two rules are called {', '.join(twice)}: one would hide the other.")
    for rule in rules:
        if rule.scope == "node":
            continue
        if rule.protocol not in ("tcp", "udp", "icmp", "icmpv6"):
            raise ValueError(f"Rule {rule.name}: Vultr's firewall has no protocol {rule.protocol}.")
        by_vultr = rule.source == "cloudflare" and cloudflare is None
        for network in networks_of(rule, EVERYBODY if by_vultr else cloudflare or ()):
            for port in _vultr_ports(rule):
                family: Family = "v4" if network.version == 4 else "v6"
                entry: VultrRule = {
                    "ip_type": family,
                    "protocol": "icmp" if rule.protocol == "icmpv6" else rule.protocol,
                    "subnet": str(network.network_address),
                    "subnet_size": network.prefixlen,
                    "notes": f"{rule.name}: {rule.reason}"[:VULTR_NOTES_LIMIT],
                }
                if port:
                    entry["port"] = port
                if by_vultr:
                    entry["source"] = "cloudflare"
                key = tuple(value for field, value in entry.items() if field != "notes")
                if key not in seen:
                    seen.add(key)
                    where = family if by_vultr else str(network)
                    rendered["-".join(filter(None, (rule.name, port, where)))] = entry
    return rendered


def check_rule_limit(rules: dict[str, VultrRule], limit: int = VULTR_RULE_LIMIT) -> None:
    """Raises ValueError, with the count by rule, where a group can't hold `rules`."""
    if len(rules) <= limit:
        return
    counts: dict[str, int] = {}
    for rule in rules.values():
        name = rule["notes"].split(":")[0]
        counts[name] = counts.get(name, 0) + 1
    parts = ", ".join(f"{count} {name}" for name, count in counts.items())
    raise ValueError(
        f"{len(rules)} rules for a Vultr firewall group that holds {limit}: {parts}. "
        "Let Vultr keep Cloudflare's ranges (source: cloudflare, 4 rules), serve port 443 only, "
        "or name fewer administrators' networks."
    )


def _vultr_ports(rule: Rule) -> list[str]:
    if rule.protocol not in PORTED:
        return [""]
    ranges = rule.ports or ((1, 65535),)
    return [str(low) if low == high else f"{low}:{high}" for low, high in ranges]
