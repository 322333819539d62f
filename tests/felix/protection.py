"""The rule table on the real felix: its policies applied as the component renders them, packets
made up from its edges, and what the reference says of each."""

import random
from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from components.dataplane.policy import policy_metadata
from components.firewall import cloudflare_ranges
from components.firewall.renderings.calico import (
    failsafe_ports,
    forward_policy,
    node_policy,
    node_port_policy,
)
from components.firewall.rule_table import Rule, Tunnel, networks_of, node_rules
from tests.components.firewall.test_calico_rendering import (
    Packet,
    calico_admits,
    failsafe_admits,
    rendered,
)
from tests.components.firewall.test_rule_table import Arriving, table_admits
from tests.felix.control_plane import ControlPlane
from tests.felix.world import PODS, PODS6, VPC, FelixHost, Sent, bridge_of

CLOUDFLARE = cloudflare_ranges.load().cidrs
ADMIN, ADMIN6 = "198.51.100.7", "2001:db8:5::7"
OUTSIDER, OUTSIDER6 = "192.0.2.66", "2600:bad::66"
MONITOR = "192.0.2.77"
IN_VPC = "10.20.3.4"
SSH = 2222
_POLICIES = {"nodes": node_policy, "forward": forward_policy, "node-ports": node_port_policy}
DEFAULT_FAILSAFE = [
    *({"protocol": "tcp", "port": p} for p in (22, 179, 2379, 2380, 5473, 6443, 6666, 6667)),
    {"protocol": "udp", "port": 68},
]
"""felix's own, open to everybody."""
_Address = IPv4Address | IPv6Address


def table(*tunnels: Tunnel) -> list[Rule]:
    """A table with all that a table can have."""
    usual = node_rules(
        ssh_sources=["198.51.100.0/24", "2001:db8:5::/48"],
        node_networks=[VPC],
        pod_networks=[PODS, PODS6],
        node_addresses=["192.0.2.48/28", "2001:db8:7::/64"],
        ssh_port=SSH,
        tunnels=tunnels,
    )
    everybody = ("0.0.0.0/0", "::/0")
    return [
        *usual,
        Rule("extra-udp-8472", "udp", ((8472, 8480),), everybody, "WireGuard"),
        Rule("extra-tcp-30080", "tcp", ((30080, 30090),), (f"{MONITOR}/32",), "a monitor"),
    ]


def protect(plane: ControlPlane, rules: Sequence[Rule]) -> None:
    """What `CalicoHostProtection` brings about, but for the failsafe ports."""
    plane.host_endpoints(wanted=True)
    for name, render in _POLICIES.items():
        about = policy_metadata(f"edgefleet-{name}")
        spec = render(rules, CLOUDFLARE)
        plane.calico("GlobalNetworkPolicy", spec=spec, **about)


def narrow_failsafe_ports(plane: ControlPlane, rules: Sequence[Rule]) -> None:
    spec = {"failsafeInboundHostPorts": failsafe_ports(rules, CLOUDFLARE)}
    plane.calico("FelixConfiguration", "default", {"logSeverityScreen": "Info", **spec})


def unprotect(plane: ControlPlane) -> None:
    plane.calico("FelixConfiguration", "default", {"logSeverityScreen": "Info"})
    for name in _POLICIES:
        plane.delete("globalnetworkpolicies", f"default.edgefleet-{name}")
    plane.host_endpoints(wanted=False)


def last(host: FelixHost, version: int) -> dict[str, Sent]:
    """A packet that everybody admits, for the end of a batch on each bridge."""
    if version == 6:
        return {"public": Sent(OUTSIDER6, host.public6, "icmpv6")}
    return {
        "public": Sent(OUTSIDER, host.public, "icmp"),
        "vpc": Sent(IN_VPC, host.private, "icmp"),
    }


def packets(
    chance: random.Random, rules: Sequence[Rule], host: FelixHost, version: int, count: int
) -> list[Sent]:
    """Different packets to the node itself, from the edges of the table's networks and ports."""
    sources = list(_sources(rules, host, version))
    ports = sorted(_ports(rules))
    protocols = ["tcp"] * 6 + ["udp"] * 4
    protocols += ["icmp", "ipip"] if version == 4 else ["icmpv6"]
    found: dict[Sent, None] = {}
    while len(found) < count:
        source, protocol = chance.choice(sources), chance.choice(protocols)
        port = chance.choice(ports) if chance.random() < 0.7 else chance.randint(1, 65535)
        mine = chance.randint(1024, 65535)
        sent = Sent(source, "", protocol, port if protocol in ("tcp", "udp") else 0, mine)
        to = host.public6 if version == 6 else host.public
        to = host.private if bridge_of(sent) == "vpc" else to
        found[Sent(source, to, protocol, sent.port, mine)] = None
    return list(found)


def _sources(rules: Sequence[Rule], host: FelixHost, version: int) -> Iterator[str]:
    own = {ip_address(a) for a in (host.public, host.public6, host.private)}
    for rule in rules:
        for network in networks_of(rule, CLOUDFLARE):
            if network.version != version or not network.prefixlen:
                continue
            inside = type(network[0])(int(network[0]) + network.num_addresses // 3)
            for address in (network[0], network[-1], inside):
                yield from _usable(address, own)
            for number in (int(network[0]) - 1, int(network[-1]) + 1):
                yield from _usable(type(network[0])(number), own)
    yield from (OUTSIDER, ADMIN, MONITOR) if version == 4 else (OUTSIDER6, ADMIN6)


def _usable(address: _Address, own: set[_Address]) -> Iterator[str]:
    """Not what a node drops before any firewall: its own addresses, and those of nobody."""
    odd = address.is_multicast or address.is_loopback or address.is_unspecified
    if not odd and address not in own and address != ip_address("255.255.255.255"):
        yield str(address)


def _ports(rules: Sequence[Rule]) -> set[int]:
    edges = {edge for rule in rules for low_high in rule.ports for edge in low_high}
    edges |= {22, 68, 80, 443, 2379, 2380, 4789, 6443, 6666, 6667, 10250, 30000, 32767}
    return {port + by for port in edges for by in (-1, 0, 1) if 0 < port + by < 65536}


class Reference:
    """What a table says of a packet to a node, in its own words and in Calico's.

    Besides, felix takes VXLAN from `vxlan_from` alone, unless that is None, and what comes to
    its failsafe ports.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        vxlan_from: Collection[str] | None,
        failsafe: Sequence[dict[str, Any]],
    ) -> None:
        self._rules = list(rules)
        self._policies = rendered(self._rules)
        self._vxlan_from, self._failsafe = vxlan_from, list(failsafe)

    def admits(self, sent: Sent) -> bool:
        source = ip_address(sent.source)
        arriving = Arriving(source, sent.protocol, sent.port)
        by_table = table_admits(self._rules, arriving, CLOUDFLARE)
        name = {"icmpv6": 58, "ipip": 4}.get(sent.protocol, sent.protocol.upper())
        packet = Packet(source, ip_address(sent.to), name, sent.port, sent.source_port)
        assert calico_admits(self._policies, packet) == by_table, sent
        vxlan = (sent.protocol, sent.port, source.version) == ("udp", 4789, 4)
        if vxlan and self._vxlan_from is not None:
            return sent.source in self._vxlan_from
        return by_table or failsafe_admits(self._failsafe, packet)
