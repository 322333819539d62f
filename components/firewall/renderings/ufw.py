"""The rule table as the node takes it: chains that ufw asks ahead of its own rules.

ufw's own commands can't hold the table: its rules stand in the order they were made, so that a
denial of somebody else's decides before them, and each takes a run of ufw. So the table is a block
in ufw's before.rules, in iptables-restore's words, which ufw and the kernel take at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network

from ..rule_table import (
    EVERYBODY,
    PORTED,
    Family,
    Network,
    Ports,
    Rule,
    networks_of,
    within_node_ports,
)

PREFIX = "edgefleet:"
INPUT = "edgefleet-input"
FORWARD = "edgefleet-forward"
_MULTIPORT_LIMIT = 15  # iptables' multiport; a range counts twice
_NUMBERS = {"icmp": "icmp", "icmpv6": "ipv6-icmp", "ipip": "4"}


def iptables_block(
    rules: Iterable[Rule], cloudflare: Sequence[str], family: Family, web: Sequence[int] = ()
) -> list[str]:
    """The table as lines of iptables-restore for the chains `INPUT` and `FORWARD`.

    It begins with what no node can live without: loopback, replies, DHCP. ufw's own before.rules
    have these too, but a person may have edited them. It ends with the ports `web` shut to all
    others, whatever ufw's other rules say; all other packets go on to these.
    """
    rules = list(rules)
    client = (
        "-p udp --sport 67 --dport 68"
        if family == "v4"
        else "-s fe80::/10 -d fe80::/10 -p udp --sport 547 --dport 546"
    )
    replies = "-m conntrack --ctstate RELATED,ESTABLISHED"
    lines = [
        _line(INPUT, "-i lo", "loopback"),
        _line(INPUT, replies, "replies"),
        _line(INPUT, client, "DHCP client"),
    ]
    # Neighbour discovery has no state; what else has none is nobody's.
    stateless = [rule for rule in rules if rule.protocol.startswith("icmp")]
    lines += _admitting(stateless, cloudflare, family)
    lines.append(_line(INPUT, "-m conntrack --ctstate INVALID", "belongs to nothing", "DROP"))
    others = [rule for rule in rules if not rule.protocol.startswith("icmp")]
    lines += _admitting([rule for rule in others if rule.routed_to is None], cloudflare, family)
    lines += [
        _line(INPUT, f"-p tcp {ports}", "others: the web ports are those of Cloudflare", "DROP")
        for ports in _multiport(tuple((port, port) for port in web))
    ]
    lines.append(_line(FORWARD, replies, "replies"))
    routed = [rule for rule in others if rule.routed_to is not None]
    lines += _routing(routed, cloudflare, family)
    lines += _node_ports(others, cloudflare, family)
    return list(dict.fromkeys(lines))


def _admitting(rules: Iterable[Rule], cloudflare: Sequence[str], family: Family) -> Iterator[str]:
    for rule in rules:
        for source in _of(family, networks_of(rule, cloudflare)):
            for what in _protocol(rule):
                yield _line(INPUT, f"{_from(source)}{what}", f"{rule.name}: {rule.reason}")


def _routing(rules: Iterable[Rule], cloudflare: Sequence[str], family: Family) -> Iterator[str]:
    for rule in rules:
        for source in _of(family, networks_of(rule, cloudflare)):
            for destination in _of(family, [ip_network(cidr) for cidr in rule.routed_to or ()]):
                to = f"-d {destination} " if destination.prefixlen else ""
                for what in _protocol(rule):
                    reason = f"{rule.name}: {rule.reason}"
                    yield _line(FORWARD, f"{_from(source)}{to}{what}", reason)


def _node_ports(rules: Iterable[Rule], cloudflare: Sequence[str], family: Family) -> Iterator[str]:
    """What comes to an opened NodePort is on its way to a pod when ufw sees it."""
    for rule in rules:
        if rule.protocol not in PORTED or rule.routed_to is not None or not within_node_ports(rule):
            continue
        for source in _of(family, networks_of(rule, cloudflare)):
            for low, high in rule.ports:
                port = str(low) if low == high else f"{low}:{high}"
                translated = f"-m conntrack --ctstate DNAT --ctorigdstport {port}"
                what = f"{_from(source)}-p {rule.protocol} {translated}"
                yield _line(FORWARD, what, f"{rule.name}: {rule.reason}")


def _line(chain: str, matches: str, comment: str, verdict: str = "ACCEPT") -> str:
    what = f"{matches.strip()} " if matches else ""
    return f'-A {chain} {what}-m comment --comment "{PREFIX}{comment}" -j {verdict}'


def _from(source: Network) -> str:
    return "" if str(source) in EVERYBODY else f"-s {source} "


def _protocol(rule: Rule) -> list[str]:
    """The rule's protocol and ports; several, as one match of ports holds few."""
    if rule.protocol == "any":
        return [""]
    if rule.protocol in _NUMBERS:
        return [f"-p {_NUMBERS[rule.protocol]}"]
    if not rule.ports:
        return [f"-p {rule.protocol}"]
    return [f"-p {rule.protocol} {ports}" for ports in _multiport(rule.ports)]


def _multiport(ports: Ports) -> Iterator[str]:
    match: list[str] = []
    slots = 0
    for low, high in sorted(ports):
        needed = 1 if low == high else 2
        if slots + needed > _MULTIPORT_LIMIT:
            yield f"-m multiport --dports {','.join(match)}"
            match, slots = [], 0
        match.append(str(low) if low == high else f"{low}:{high}")
        slots += needed
    if match:
        yield f"-m multiport --dports {','.join(match)}"


def _of(family: Family, networks: Iterable[Network]) -> list[Network]:
    return [network for network in networks if network.version == (4 if family == "v4" else 6)]
