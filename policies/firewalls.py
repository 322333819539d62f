"""Who may reach a node: :80 and :443 only Cloudflare, SSH nobody who isn't named."""

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple

from components.firewall import cloudflare_ranges

Network = IPv4Network | IPv6Network

_RULE = "vultr:index/firewallRule:FirewallRule"
_RULES = (
    "pulumi-python:dynamic/index:VultrFirewallRules",
    "edgefleet:internal:VultrFirewallRules",
)
"""Those of a Python program, and those that the plugin makes for programs in other languages."""
_SERVICE = "kubernetes:core/v1:Service"
_WEB, _SSH = (80, 443), 22
_PUBLIC = {4: 8, 6: 16}
"""A network of fewer bits is nobody's own: an office or a provider has less than this."""


class Admitted(NamedTuple):
    """A network that may reach ports `low` to `high`; None stands for Cloudflare's, as Vultr keeps
    them."""

    network: Network | None
    low: int
    high: int

    def __str__(self) -> str:
        ports = str(self.low) if self.low == self.high else f"{self.low} to {self.high}"
        return f"{self.network or 'Cloudflare'} may reach :{ports}"

    def reaches(self, port: int) -> bool:
        return self.low <= port <= self.high


def admitted(kind: str, props: Mapping[str, Any]) -> Iterator[Admitted]:
    """What a firewall rule lets in by TCP or UDP, or a Service of type LoadBalancer does."""
    if kind == _RULE:
        yield from _by_vultr(props, "ipType", "subnetSize")
    elif kind in _RULES:
        for rule in props["rules"].values():
            yield from _by_vultr(rule, "ip_type", "subnet_size")
    elif kind == _SERVICE:
        yield from _by_service(props.get("spec") or {})


def _by_vultr(rule: Mapping[str, Any], family: str, size: str) -> Iterator[Admitted]:
    if rule["protocol"].lower() not in ("tcp", "udp"):
        return
    # Vultr takes one port or a range, "8000:9000"; none is all of them.
    ports = [int(port) for port in re.split(r"[:-]", str(rule.get("port") or "1:65535"))]
    by_vultr = rule.get("source") == "cloudflare"
    said = f"{rule['subnet']}/{int(rule[size])}"
    assert rule[family] in ("v4", "v6")
    network = None if by_vultr else ip_network(said, strict=False)
    yield Admitted(network, ports[0], ports[-1])


def _by_service(spec: Mapping[str, Any]) -> Iterator[Admitted]:
    if spec.get("type") != "LoadBalancer":
        return
    # Without a list, and by Kubernetes' own words, everybody.
    sources: Sequence[str] = spec.get("loadBalancerSourceRanges") or ("0.0.0.0/0", "::/0")
    for port in spec.get("ports") or ():
        for source in sources:
            yield Admitted(ip_network(source, strict=False), int(port["port"]), int(port["port"]))


def beside_cloudflare(kind: str, props: Mapping[str, Any]) -> list[str]:
    """What reaches the web's ports and isn't Cloudflare, a sentence each."""
    ranges = cloudflare_ranges.load()
    theirs = (*ranges.ipv4, *ranges.ipv6)
    return [
        f"{each}, and isn't Cloudflare: whoever gets in here passes the Worker, the WAF and the "
        "limits by. Say `source: cloudflare`, or one of the ranges of https://www.cloudflare.com/ips"
        for each in admitted(kind, props)
        if any(each.reaches(port) for port in _WEB)
        and each.network is not None
        and not any(_within(each.network, network) for network in theirs)
    ]


def public_ssh(kind: str, props: Mapping[str, Any]) -> list[str]:
    """Which networks reach SSH that are too large to be anybody's own, a sentence each."""
    return [
        f"{each}, where SSH listens: name the networks of those who administer"
        for each in admitted(kind, props)
        if each.reaches(_SSH)
        and each.network is not None
        and each.network.prefixlen < _PUBLIC[each.network.version]
    ]


def _within(network: Network, other: Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # pyright: ignore[reportArgumentType]
