"""The rule table and its two renderings."""

from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.firewall import cloudflare_ranges
from components.firewall.renderings.ufw import FORWARD, INPUT, iptables_block
from components.firewall.renderings.vultr import (
    VULTR_RULE_LIMIT,
    VultrRule,
    check_rule_limit,
    vultr_rules,
)
from components.firewall.rule_table import EVERYBODY, Rule, check_web_ports, node_rules

CLOUDFLARE = cloudflare_ranges.load().cidrs
USUAL: dict[str, Any] = {
    "ssh_sources": ["198.51.100.0/24", "2001:db8:5::/48"],
    "node_networks": ["10.20.0.0/20"],
    "pod_networks": ["10.244.0.0/16"],
}


@dataclass(frozen=True)
class Arriving:
    """A packet that reaches a node from outside."""

    source: IPv4Address | IPv6Address
    protocol: str
    port: int

    @property
    def family(self) -> str:
        return f"v{self.source.version}"


network_of = cache(ip_network)

# Reference matchers: what each firewall makes of its rules, straight from its documentation.


def vultr_admits(
    rules: dict[str, VultrRule], packet: Arriving, cloudflare: tuple[str, ...]
) -> bool:
    def matches(rule: VultrRule) -> bool:
        if rule["ip_type"] != packet.family:
            return False
        if rule["protocol"] != packet.protocol.replace("icmpv6", "icmp"):
            return False
        if packet.protocol in ("tcp", "udp"):
            low, _, high = rule.get("port", "").partition(":")
            if not int(low) <= packet.port <= int(high or low):
                return False
        if rule.get("source") == "cloudflare":
            return any(packet.source in network_of(cidr) for cidr in cloudflare)
        return packet.source in network_of(f"{rule['subnet']}/{rule['subnet_size']}")

    return any(matches(rule) for rule in rules.values())


def node_admits(block: list[str], packet: Arriving) -> bool:
    """What becomes of a packet in our chain: the first line that matches decides; none, no."""
    numbers = {"icmp": "icmp", "icmpv6": "ipv6-icmp"}
    for line in block:
        words = line.split(" -m comment")[0].split()
        options = dict(pairwise(words))
        if words[1] != INPUT or {"-i", "--ctstate", "--sport"} & set(words):
            continue
        network = network_of(options.get("-s", EVERYBODY[packet.family == "v6"]))
        protocol = options.get("-p", "all")
        ranges = [part.partition(":") for part in options.get("--dports", "1:65535").split(",")]
        if (
            packet.source in network
            and protocol in ("all", numbers.get(packet.protocol, packet.protocol))
            and any(int(low) <= packet.port <= int(high or low) for low, _, high in ranges)
        ):
            return line.endswith("ACCEPT")
    return False


def block_of(rules: list[Rule], packet: Arriving) -> list[str]:
    return iptables_block(rules, CLOUDFLARE, "v4" if packet.family == "v4" else "v6")


def table_admits(rules: list[Rule], packet: Arriving, cloudflare: tuple[str, ...]) -> bool:
    return any(
        rule.protocol == packet.protocol
        and (
            rule.protocol not in ("tcp", "udp")
            or not rule.ports
            or any(low <= packet.port <= high for low, high in rule.ports)
        )
        and any(
            packet.source in ip_network(cidr)
            for cidr in (cloudflare if rule.source == "cloudflare" else rule.source)
        )
        for rule in rules
    )


networks = st.one_of(
    st.builds(
        lambda address, length: str(ip_network((address, length), strict=False)),
        st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number))),
        st.integers(0, 32),
    ),
    st.builds(
        lambda address, length: str(ip_network((address, length), strict=False)),
        st.integers(2**125, 2**128 - 1).map(lambda number: str(IPv6Address(number))),
        st.integers(0, 128),
    ),
)
ranges = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda p: (min(p), max(p)))
rules = st.builds(
    Rule,
    name=st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20),
    protocol=st.sampled_from(["tcp", "udp", "icmp", "icmpv6"]),
    ports=st.lists(ranges, max_size=4).map(tuple),
    source=st.one_of(st.just("cloudflare"), st.lists(networks, min_size=1, max_size=3).map(tuple)),
    reason=st.just("because"),
)


tables = st.lists(rules, min_size=1, max_size=6, unique_by=lambda rule: rule.name)


@st.composite
def tables_and_packets(draw: st.DrawFn) -> tuple[list[Rule], Arriving]:
    """A random table, and a packet from the edge of one of its sources to the edge of its ports."""
    table = draw(tables)
    rule = draw(st.sampled_from(table))
    cidr = draw(st.sampled_from(CLOUDFLARE if rule.source == "cloudflare" else rule.source))
    network = ip_network(cidr)
    at = draw(st.sampled_from([int(network[0]), int(network[-1])])) + draw(st.integers(-1, 1))
    source = type(network[0])(at % 2**network.max_prefixlen)
    edges = [edge for low_high in rule.ports for edge in low_high] or [1, 65535]
    port = min(65535, max(1, draw(st.sampled_from(edges)) + draw(st.integers(-1, 1))))
    # Either family has its own ICMP, and no packet carries the other's.
    icmp = "icmp" if source.version == 4 else "icmpv6"
    protocol = draw(st.sampled_from(["tcp", "udp", icmp]))
    return table, Arriving(source, protocol, port)


@given(tables_and_packets())
def test_both_renderings_admit_the_same_packets(case: tuple[list[Rule], Arriving]) -> None:
    table, packet = case
    wanted = table_admits(table, packet, CLOUDFLARE)
    assert vultr_admits(vultr_rules(table), packet, CLOUDFLARE) == wanted
    assert vultr_admits(vultr_rules(table, CLOUDFLARE), packet, CLOUDFLARE) == wanted
    assert node_admits(block_of(table, packet), packet) == wanted


@given(tables)
def test_no_rendering_says_a_thing_twice(table: list[Rule]) -> None:
    spelled = [
        tuple(value for field, value in rule.items() if field != "notes")
        for rule in vultr_rules(table, CLOUDFLARE).values()
    ]
    assert len(spelled) == len(set(spelled))
    for family in ("v4", "v6"):
        lines = iptables_block(table, CLOUDFLARE, family)
        assert len(lines) == len(set(lines))


@pytest.mark.parametrize("tunnels", [(), ("vxlan",), ("vxlan", "ipip")])
@pytest.mark.parametrize("ssh_port", [22, 2222, 40000])
def test_only_cloudflare_is_admitted_to_the_web_ports(ssh_port: int, tunnels: Any) -> None:
    table = node_rules(**USUAL, node_addresses=["192.0.2.0/28"], ssh_port=ssh_port, tunnels=tunnels)
    for source in (
        "198.51.100.1",
        "10.20.0.1",
        "10.244.0.1",
        "192.0.2.1",
        "8.8.8.8",
        "2001:db8:5::1",
    ):
        for port in (80, 443):
            packet = Arriving(ip_address(source), "tcp", port)
            assert not vultr_admits(vultr_rules(table), packet, CLOUDFLARE)
            assert not node_admits(block_of(table, packet), packet)
    for cidr in CLOUDFLARE:
        packet = Arriving(ip_network(cidr)[0], "tcp", 443)
        assert vultr_admits(vultr_rules(table), packet, CLOUDFLARE)
        assert node_admits(block_of(table, packet), packet)


def test_web_ports_among_the_unprivileged_are_cloudflare_s_too() -> None:
    table = node_rules(**USUAL, web_ports=(443, 8443))
    for source, admitted in (("104.16.0.1", True), ("10.20.0.1", False), ("10.244.0.1", False)):
        packet = Arriving(ip_address(source), "tcp", 8443)
        assert node_admits(block_of(table, packet), packet) == admitted


@pytest.mark.parametrize("ssh_port", [22, 2222])
def test_ssh_is_the_administrators_alone(ssh_port: int) -> None:
    table = node_rules(**USUAL, ssh_port=ssh_port)
    for source, admitted in (("198.51.100.9", True), ("2001:db8:5::9", True), ("10.20.0.1", False),
                             ("10.244.0.1", False), ("104.16.0.1", False)):  # fmt: skip
        packet = Arriving(ip_address(source), "tcp", ssh_port)
        assert node_admits(block_of(table, packet), packet) == admitted


def test_node_ports_are_nobody_s() -> None:
    table = node_rules(**USUAL, node_addresses=["192.0.2.0/28"])
    for port in (30000, 31234, 32767):
        for protocol in ("tcp", "udp"):
            for source in ("10.20.0.1", "10.244.0.1", "192.0.2.1", "104.16.0.1"):
                packet = Arriving(ip_address(source), protocol, port)
                assert not node_admits(block_of(table, packet), packet)
                assert not vultr_admits(vultr_rules(table), packet, CLOUDFLARE)


def test_ipip_only_where_it_is_used_and_only_on_the_node() -> None:
    with_ipip = node_rules(**USUAL, tunnels=("vxlan", "ipip"))
    assert any(
        "-s 10.20.0.0/20 -p 4 " in line for line in iptables_block(with_ipip, CLOUDFLARE, "v4")
    )
    assert not any(
        "-p 4 " in line for line in iptables_block(node_rules(**USUAL), CLOUDFLARE, "v4")
    )
    assert not any("-p 4 " in line for line in iptables_block(with_ipip, CLOUDFLARE, "v6"))
    assert not any(rule["notes"].startswith("ipip") for rule in vultr_rules(with_ipip).values())


def test_routing_for_pods_is_two_lines_and_never_an_input_rule() -> None:
    block = iptables_block(node_rules(**USUAL), CLOUDFLARE, "v4")
    routed = [line.split(" -m comment")[0] for line in block if f"-A {FORWARD} " in line]
    assert routed == [
        f"-A {FORWARD} -m conntrack --ctstate RELATED,ESTABLISHED",
        f"-A {FORWARD} -s 10.244.0.0/16",
        f"-A {FORWARD} -s 10.20.0.0/20 -d 10.244.0.0/16",
    ]
    # No pods is not everybody.
    nobody = iptables_block(node_rules(**{**USUAL, "pod_networks": []}), CLOUDFLARE, "v4")
    assert [line for line in nobody if f"-A {FORWARD} " in line] == block[-3:-2]
    assert not [line for line in nobody if "10.20.0.0/20" in line and "-p " not in line]


def test_the_web_ports_are_shut_to_all_others_at_the_end() -> None:
    for family in ("v4", "v6"):
        lines = iptables_block(node_rules(**USUAL), CLOUDFLARE, family, [80, 443])
        last = [line for line in lines if line.startswith(f"-A {INPUT} ")][-1]
        assert last.startswith(f"-A {INPUT} -p tcp -m multiport --dports 80,443 -m comment")
        assert last.endswith("-j DROP")


def test_an_opened_node_port_is_routed_to_its_pod() -> None:
    monitor = Rule("extra-1", "tcp", ((30080, 30080),), ("192.0.2.7/32",), "a monitor")
    block = iptables_block([*node_rules(**USUAL), monitor], CLOUDFLARE, "v4")
    assert block[-1].startswith(
        f"-A {FORWARD} -s 192.0.2.7/32 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 30080 "
    )
    inside = Rule("extra-1", "udp", ((51820, 51820),), ("0.0.0.0/0",), "WireGuard")
    block = iptables_block([*node_rules(**USUAL), inside], CLOUDFLARE, "v4")
    assert "ctorigdstport" not in "".join(block)
    assert f"-A {INPUT} -p udp -m multiport --dports 51820 " in "".join(block)


def test_vultr_s_dictionaries() -> None:
    table = node_rules(**USUAL)
    assert vultr_rules(table)["cloudflare-443-v6"] == {
        "ip_type": "v6", "protocol": "tcp", "port": "443", "subnet": "::", "subnet_size": 0,
        "source": "cloudflare", "notes": "cloudflare: Cloudflare to the ingress",
    }  # fmt: skip
    assert vultr_rules(table, CLOUDFLARE)["cloudflare-80-104.16.0.0/13"] == {
        "ip_type": "v4", "protocol": "tcp", "port": "80", "subnet": "104.16.0.0",
        "subnet_size": 13, "notes": "cloudflare: Cloudflare to the ingress",
    }  # fmt: skip
    assert vultr_rules(table)["node-udp-1024:29999-10.20.0.0/20"].get("port") == "1024:29999"
    assert "port" not in vultr_rules(table)["icmp-0.0.0.0/0"]


def test_the_rule_limit_is_checked_before_anything_is_sent() -> None:
    table = node_rules(**USUAL)
    check_rule_limit(vultr_rules(table))
    with pytest.raises(
        ValueError, match=r"53 rules for a .* holds 50: 2 ssh, 44 cloudflare"
    ) as error:
        check_rule_limit(vultr_rules(table, CLOUDFLARE))
    assert "source: cloudflare" in str(error.value)
    # The way out that the message names.
    fewer = node_rules(**USUAL, web_ports=(443,))
    check_rule_limit(vultr_rules(fewer, CLOUDFLARE))
    exactly = {str(n): rule for n, rule in enumerate([*vultr_rules(table).values()] * 10)}
    check_rule_limit(dict([*exactly.items()][:VULTR_RULE_LIMIT]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ssh_sources": ["198.51.100.7/24"]}, r"ssh_sources: '198.51.100.7/24' .* host bits"),
        ({"node_networks": ["vpc"]}, "node_networks: 'vpc'"),
        ({"pod_networks": ["10.0.0.0/33"]}, "pod_networks"),
        ({"node_networks": []}, "could not reach each other"),
        ({"pod_networks": ["::/0"]}, "pod_networks: ::/0 is everybody"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        node_rules(**{**USUAL, **change})


def test_two_rules_of_one_name_are_refused() -> None:
    table = node_rules(**USUAL)
    with pytest.raises(ValueError, match="Two rules are called ssh"):
        vultr_rules([*table, table[0]])


def test_what_would_break_out_of_quotes_is_refused() -> None:
    for name, reason in (("a b", ""), ("a", 'x"'), ("a", "x'"), ("a", "x\n-A INPUT"), ("a", "é")):
        with pytest.raises(ValueError, match="Rule"):
            Rule(name, "tcp", (), ("10.0.0.0/8",), reason)


def test_more_ports_than_one_line_holds_are_several() -> None:
    ports = tuple((n, n + 1) for n in range(1, 24, 3))
    rule = Rule("many", "tcp", ports, ("10.0.0.0/8",), "")
    block = iptables_block([*node_rules(**USUAL), rule], CLOUDFLARE, "v4")
    many = [line for line in block if "edgefleet:many" in line]
    assert [line.count(":") - 2 for line in many] == [7, 1]
    for port in (1, 23):
        assert node_admits(block, Arriving(ip_address("10.1.2.3"), "tcp", port))
    assert not node_admits(block, Arriving(ip_address("10.1.2.3"), "tcp", 3))


@pytest.mark.parametrize("protocol", ["tcp", "any"])
def test_a_web_port_is_opened_to_nobody_else(protocol: Any) -> None:
    table = node_rules(
        ssh_sources=[], node_networks=["10.20.0.0/20"], pod_networks=["10.244.0.0/16"]
    )
    assert check_web_ports(table) == [80, 443]
    other = Rule("monitoring", protocol, ((443, 443),), ("198.51.100.7/32",), "r")
    with pytest.raises(ValueError, match=r"Rule monitoring admits 198.51.100.7/32 to port 443"):
        check_web_ports([*table, other])
    udp = Rule("quic", "udp", ((443, 443),), ("198.51.100.7/32",), "r")
    assert check_web_ports([*table, udp]) == [80, 443]
