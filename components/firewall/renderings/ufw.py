"""The rule table as the node takes it: rules of ufw, and lines for what ufw has no word for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

from ..rule_table import EVERYBODY, Family, Network, Rule, networks_of

UFW_PREFIX = "edgefleet:"
CHAIN = "edgefleet-input"
_MULTIPORT_LIMIT = 15  # iptables' multiport; a range counts twice


@dataclass(frozen=True)
class UfwRule:
    """One rule as ufw stores it. `ports` is ufw's spelling, "any" for all."""

    family: Family
    protocol: Literal["tcp", "udp", "any"]
    ports: str
    source: str
    destination: str
    routed: bool
    comment: str

    @property
    def tuple(self) -> str:
        """The rule's line in user.rules after "### tuple ###", without its comment."""
        action = "route:allow" if self.routed else "allow"
        return f"{action} {self.protocol} {self.ports} {self.destination} any {self.source} in"


def ufw_rules(rules: Iterable[Rule], cloudflare: Sequence[str]) -> list[UfwRule]:
    """The table as ufw rules, but for what ufw has no word for (`iptables_block()`)."""
    rendered: dict[tuple[str, str], UfwRule] = {}
    for rule in rules:
        if rule.protocol not in ("tcp", "udp", "any"):
            continue
        for source in networks_of(rule, cloudflare):
            for destination in _destinations(rule, source.version):
                entry = UfwRule(
                    family="v4" if source.version == 4 else "v6",
                    protocol=rule.protocol,
                    ports=_ufw_ports(rule),
                    source=_ufw_network(source),
                    destination=_ufw_network(destination),
                    routed=rule.routed_to is not None,
                    comment=f"{UFW_PREFIX}{rule.name}: {rule.reason}",
                )
                # A second rule with the same match would only change the first one's comment.
                rendered.setdefault((entry.family, entry.tuple), entry)
    return list(rendered.values())


def iptables_block(rules: Iterable[Rule], cloudflare: Sequence[str], family: Family) -> list[str]:
    """What ufw can't say, as lines of iptables-restore for the chain `CHAIN`.

    It begins with what no node can live without: loopback, replies, DHCP. ufw's own before.rules
    have these too, but a person may have edited them.
    """
    comment = f'-m comment --comment "{UFW_PREFIX}'
    client = (
        "-p udp --sport 67 --dport 68"
        if family == "v4"
        else "-s fe80::/10 -d fe80::/10 -p udp --sport 547 --dport 546"
    )
    matches = [
        f'-i lo {comment}loopback"',
        f'-m conntrack --ctstate RELATED,ESTABLISHED {comment}replies"',
        f'{client} {comment}DHCP client"',
    ]
    numbers = {"icmp": "icmp", "icmpv6": "ipv6-icmp", "ipip": "4"}
    for rule in rules:
        if rule.protocol not in numbers:
            continue
        for network in networks_of(rule, cloudflare):
            if network.version == (4 if family == "v4" else 6):
                source = f"-s {network} " if network.prefixlen else ""
                protocol = numbers[rule.protocol]
                matches.append(f'{source}-p {protocol} {comment}{rule.name}: {rule.reason}"')
    return [f"-A {CHAIN} {match} -j ACCEPT" for match in matches]


def _destinations(rule: Rule, version: int) -> list[Network]:
    everywhere = EVERYBODY[0] if version == 4 else EVERYBODY[1]
    to = (everywhere,) if rule.routed_to is None else rule.routed_to
    networks = [ip_network(cidr) for cidr in to]
    return [network for network in networks if network.version == version]


def _ufw_ports(rule: Rule) -> str:
    slots = sum(1 if low == high else 2 for low, high in rule.ports)
    if slots > _MULTIPORT_LIMIT:
        raise ValueError(
            f"Rule {rule.name}: {slots} ports, where a range counts twice, and one rule of ufw "
            f"takes {_MULTIPORT_LIMIT}. Split it."
        )
    ranges = sorted(rule.ports)
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges) or "any"


def _ufw_network(network: Network) -> str:
    full = network.prefixlen == network.max_prefixlen
    return str(network.network_address if full else network)
