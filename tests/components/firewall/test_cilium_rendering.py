"""The table in Cilium's words, against a reference of what Cilium makes of a node's policy."""

from ipaddress import ip_address, ip_network
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.firewall import cloudflare_ranges
from components.firewall.renderings.cilium import PODS, host_policy
from components.firewall.renderings.ufw import iptables_block
from components.firewall.rule_table import Rule, node_rules
from tests.components.firewall.test_rule_table import (
    USUAL,
    Arriving,
    node_admits,
    table_admits,
    tables_and_packets,
)

CLOUDFLARE = cloudflare_ranges.load().cidrs
Identity = Literal["world", "node", "pod"]
ECHO = {"icmp": ("IPv4", 8), "icmpv6": ("IPv6", 128)}


# Reference matcher: Cilium's policy language, straight from its documentation (layers 3 and 4,
# host policies; policy-cidr-match-mode: nodes).


def _who(rule: dict[str, Any], packet: Arriving, identity: Identity) -> bool:
    assert len({"fromCIDR", "fromEndpoints"} & set(rule)) == 1, rule
    if "fromEndpoints" in rule:
        assert rule["fromEndpoints"] == [PODS]
        return identity == "pod"
    return identity != "pod" and any(packet.source in ip_network(c) for c in rule["fromCIDR"])


def _what(rule: dict[str, Any], packet: Arriving) -> bool:
    assert not set(rule) - {"fromCIDR", "fromEndpoints", "toPorts", "icmps"}, rule
    if "icmps" in rule:
        (fields,) = (each["fields"] for each in rule["icmps"])
        assert len(fields) <= 40
        echo = ECHO.get(packet.protocol)
        return any((field["family"], field["type"]) == echo for field in fields)
    if "toPorts" not in rule:
        return True
    (listed,) = rule["toPorts"]
    assert 1 <= len(listed["ports"]) <= 40
    return any(
        port["protocol"] == packet.protocol.upper()
        and int(port["port"]) <= packet.port <= port.get("endPort", int(port["port"]))
        for port in listed["ports"]
    )


def cilium_admits(spec: dict[str, Any], packet: Arriving, identity: Identity = "world") -> bool:
    """What a node does with a packet from that identity; a policy that selects it denies the
    rest."""
    assert spec["nodeSelector"]
    assert spec["ingress"]
    return any(_who(rule, packet, identity) and _what(rule, packet) for rule in spec["ingress"])


def dhcp(packet: Arriving) -> bool:
    return packet.protocol == "udp" and packet.port in (68, 546)


@given(tables_and_packets())
def test_cilium_admits_to_a_node_what_the_table_and_ufw_do(
    case: tuple[list[Rule], Arriving],
) -> None:
    table, packet = case
    if dhcp(packet):
        return
    wanted = table_admits(table, packet, CLOUDFLARE)
    block = iptables_block(table, CLOUDFLARE, "v4" if packet.family == "v4" else "v6")
    assert node_admits(block, packet) == wanted
    for identity in ("world", "node"):
        assert cilium_admits(host_policy(table, CLOUDFLARE), packet, identity) == wanted


SOURCES: list[tuple[str, Identity]] = [
    ("10.20.0.7", "node"),
    ("10.20.0.7", "world"),
    ("10.244.3.9", "pod"),
    ("192.0.2.3", "node"),
    ("198.51.100.9", "world"),
    ("2001:db8:5::9", "world"),
    ("104.16.0.1", "world"),
    ("8.8.8.8", "world"),
]


@given(
    st.sampled_from(SOURCES),
    st.sampled_from(["tcp", "udp", "icmp"]),
    st.sampled_from([22, 53, 68, 80, 179, 443, 4789, 5473, 6443, 10250, 30000, 32768]),
    st.booleans(),
)
def test_nodes_and_pods_reach_a_node_as_by_ufw(
    source: tuple[str, Identity], protocol: str, port: int, whole: bool
) -> None:
    """By their identities, which their addresses don't say."""
    more: dict[str, Any] = {"node_addresses": ["192.0.2.0/28"], "api_port": 6443} if whole else {}
    table = node_rules(**USUAL, **more)
    address = ip_address(source[0])
    if address.version == 6 and protocol == "icmp":
        protocol = "icmpv6"
    packet = Arriving(address, protocol, port)
    if dhcp(packet):
        return
    wanted = table_admits([rule for rule in table if rule.routed_to is None], packet, CLOUDFLARE)
    assert cilium_admits(host_policy(table, CLOUDFLARE), packet, source[1]) == wanted


def test_nobody_but_cloudflare_reaches_the_web_ports() -> None:
    spec = host_policy(node_rules(**USUAL), CLOUDFLARE)
    for source, identity in SOURCES:
        for port in (80, 443):
            packet = Arriving(ip_address(source), "tcp", port)
            assert cilium_admits(spec, packet, identity) == (source == "104.16.0.1")


def test_an_administrators_network_around_the_pods_admits_them() -> None:
    table = node_rules(**{**USUAL, "ssh_sources": ["10.0.0.0/8"]})
    packet = Arriving(ip_address("10.244.3.9"), "tcp", 22)
    assert cilium_admits(host_policy(table, CLOUDFLARE), packet, "pod")
    assert table_admits(table, packet, CLOUDFLARE)


def test_a_part_of_the_pods_has_no_name() -> None:
    table = node_rules(**{**USUAL, "ssh_sources": ["10.244.3.0/24"]})
    with pytest.raises(ValueError, match=r"Rule ssh admits 10\.244\.3\.0/24, a part of the pods'"):
        host_policy(table, CLOUDFLARE)
