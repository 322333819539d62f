"""What a change opens in the firewalls."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from components.firewall.rule_table import EVERYBODY, Network
from ops.render.meaning.admitted import Admission, by_node, by_vultr, newly
from ops.render.resources import Rendering

_SHOWN = 6
"""Networks named of one opening; a list of Cloudflare's isn't read by anybody."""


def widening(before: Rendering, after: Rendering, cloudflare: Sequence[str]) -> Iterator[str]:
    """Sentences for whom a firewall admits that it didn't. Nothing for what is only said otherwise,
    nor for what is closed.

    Args:
        cloudflare: the networks that "cloudflare" stands for at Vultr.
    """
    was, now = by_vultr(before, cloudflare), by_vultr(after, cloudflare)
    cloud = _opened(was, now, cloudflare)
    own_was, own_now = by_node(before), by_node(after)
    own: list[str] = []
    if own_was is not None and own_now is not None:
        own = _opened(own_was, own_now, cloudflare)
    alike = [text for text in cloud if text in own]
    for where, texts in (
        ("Vultr's firewall and the nodes' own", alike),
        ("Vultr's firewall", [text for text in cloud if text not in alike]),
        ("The nodes' own firewall", [text for text in own if text not in alike]),
    ):
        if texts:
            verb = "open" if " and " in where else "opens"
            yield f"{where} {verb} {'; '.join(texts)}"
    if own_was is not None and own_now is None:
        yield "The nodes' own firewall is no longer enforced: Vultr's is the only one"


def _opened(
    before: Sequence[Admission], after: Sequence[Admission], cloudflare: Sequence[str]
) -> list[str]:
    """`udp 51820 to 203.0.113.0/24` and the like."""
    ports: dict[tuple[str, Network], list[tuple[int, int]]] = {}
    for each in newly(before, after):
        ports.setdefault((each.protocol, each.source), []).append(each.ports)
    sources: dict[tuple[str, tuple[tuple[int, int], ...]], list[Network]] = {}
    # In one order, however a firewall spells its table.
    for (protocol, source), ranges in sorted(ports.items(), key=lambda each: _place(*each[0])):
        sources.setdefault((protocol, tuple(sorted(set(ranges)))), []).append(source)
    return [
        f"{_what(protocol, ranges)} to {_whom(protocol, ranges, networks, before, cloudflare)}"
        for (protocol, ranges), networks in sorted(sources.items(), key=lambda each: each[0])
    ]


def _place(protocol: str, source: Network) -> tuple[str, int, int, int]:
    return protocol, source.version, int(source[0]), source.prefixlen


def _what(protocol: str, ranges: Iterable[tuple[int, int]]) -> str:
    said = ", ".join(
        str(low) if low == high else f"{low}-{high}"
        for low, high in ranges
        if (low, high) != (1, 65535)
    )
    name = "all of it" if protocol == "any" else protocol
    every = "" if said or protocol not in ("tcp", "udp") else " on every port"
    return f"{name} {said}" if said else f"{name}{every}"


def _whom(
    protocol: str,
    ranges: Sequence[tuple[int, int]],
    networks: Sequence[Network],
    before: Sequence[Admission],
    cloudflare: Sequence[str],
) -> str:
    named = {str(network) for network in networks}
    pinned = {v: {c for c in cloudflare if ip_network(c).version == v} for v in (4, 6)}
    names: list[str] = []
    if whole := [v for v, cidrs in pinned.items() if cidrs and cidrs <= named]:
        names.append("Cloudflare" if len(whole) == 2 else f"Cloudflare over IPv{whole[0]}")
        named -= {cidr for v in whole for cidr in pinned[v]}
    if everybody := [cidr for cidr in EVERYBODY if cidr in named]:
        over = "" if len(everybody) == 2 else f" over IPv{ip_network(everybody[0]).version}"
        names.append(f"everybody{over}")
        named -= set(everybody)
    rest = [str(network) for network in networks if str(network) in named]
    names += rest[:_SHOWN] + ([f"{len(rest) - _SHOWN} more"] if len(rest) > _SHOWN else [])
    within = _within(protocol, ranges, networks, before)
    return ", ".join(names) + (f" (until now only {', '.join(within)})" if within else "")


def _within(
    protocol: str,
    ranges: Sequence[tuple[int, int]],
    networks: Sequence[Network],
    before: Sequence[Admission],
) -> list[str]:
    """Networks inside of these that had it already; none where they are too many to name."""
    found = {
        str(each.source)
        for each in before
        if each.protocol == protocol
        and any(low <= each.ports[1] and each.ports[0] <= high for low, high in ranges)
        and any(each.source != net and _inside(each.source, net) for net in networks)
    }
    return sorted(found) if len(found) <= 2 else []


def _inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
