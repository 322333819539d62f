"""The table in Calico's words, against a reference of what Calico makes of policies."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataplane.policy import HOST_ENDPOINTS, policy_metadata
from components.firewall import cloudflare_ranges
from components.firewall.renderings.calico import (
    REASON,
    failsafe_ports,
    forward_policy,
    node_policy,
    node_port_policy,
)
from components.firewall.renderings.ufw import FORWARD, iptables_block
from components.firewall.rule_table import Rule, node_rules, without
from tests.components.firewall.test_rule_table import (
    USUAL,
    Arriving,
    networks,
    node_admits,
    table_admits,
    tables,
    tables_and_packets,
)

CLOUDFLARE = cloudflare_ranges.load().cidrs
Policy = dict[str, Any]


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection, as it comes in by a node's interface."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: str | int
    port: int = 0
    source_port: int = 50000


# Reference matcher: Calico's policy semantics, straight from its documentation (reference/resources
# globalnetworkpolicy; reference/host-endpoints: forwarded, pre-dnat, failsafe).


def _port_in(ports: list[int | str], port: int) -> bool:
    ranges = [str(item).partition(":") for item in ports]
    return any(int(low) <= port <= int(high or low) for low, _, high in ranges)


def _side(said: dict[str, Any], address: Any, port: int, ported: bool) -> bool:
    assert not set(said) - {"nets", "notNets", "ports"}, said
    if "nets" in said and not any(address in ip_network(net) for net in said["nets"]):
        return False
    if any(address in ip_network(net) for net in said.get("notNets", ())):
        return False
    return "ports" not in said or (ported and _port_in(said["ports"], port))


def _matches(rule: dict[str, Any], packet: Packet) -> bool:
    if rule.get("ipVersion", packet.source.version) != packet.source.version:
        return False
    if rule.get("protocol", packet.protocol) != packet.protocol:
        return False
    ported = packet.protocol in ("TCP", "UDP")
    return _side(rule.get("source", {}), packet.source, packet.source_port, ported) and _side(
        rule.get("destination", {}), packet.destination, packet.port, ported
    )


def _decided(policies: list[Policy], packet: Packet) -> str | None:
    for policy in sorted(policies, key=lambda policy: policy["order"]):
        for rule in policy["ingress"]:
            if _matches(rule, packet):
                return rule["action"]
    return None


def calico_admits(policies: list[Policy], packet: Packet, forwarded: bool = False) -> bool:
    """What a host endpoint with these policies of one tier does with a packet that comes in."""
    assert all(policy["types"] == ["Ingress"] for policy in policies)
    first = [policy for policy in policies if policy.get("preDNAT")]
    assert all(policy.get("applyOnForward") for policy in first), "Calico demands it"
    if (decided := _decided(first, packet)) is not None:
        return decided == "Allow"
    # No match before DNAT: on to the normal policies, whose tier denies what none of them names.
    then = [policy for policy in policies if policy not in first]
    if forwarded:
        then = [policy for policy in then if policy.get("applyOnForward")]
        if not then:
            return True
    return _decided(then, packet) == "Allow"


def failsafe_admits(ports: list[dict[str, Any]], packet: Packet) -> bool:
    return any(
        entry["protocol"].upper() == packet.protocol
        and entry["port"] == packet.port
        and ("net" not in entry or packet.source in ip_network(entry["net"]))
        for entry in ports
    )


def rendered(table: list[Rule]) -> list[Policy]:
    return [
        node_policy(table, CLOUDFLARE),
        forward_policy(table, CLOUDFLARE),
        node_port_policy(table, CLOUDFLARE),
    ]


def to_node(packet: Arriving) -> Packet:
    node = ip_address("192.0.2.10" if packet.source.version == 4 else "2001:db8::10")
    protocol = 58 if packet.protocol == "icmpv6" else packet.protocol.upper()
    return Packet(packet.source, node, protocol, packet.port)


@given(tables_and_packets())
def test_calico_admits_to_a_node_what_the_table_and_ufw_do(
    case: tuple[list[Rule], Arriving],
) -> None:
    table, packet = case
    wanted = table_admits(table, packet, CLOUDFLARE)
    block = iptables_block(table, CLOUDFLARE, "v4" if packet.family == "v4" else "v6")
    assert node_admits(block, packet) == wanted
    assert calico_admits(rendered(table), to_node(packet)) == wanted


@given(tables_and_packets())
def test_failsafe_ports_open_nothing_that_the_table_keeps_shut(
    case: tuple[list[Rule], Arriving],
) -> None:
    table, packet = case
    ports = failsafe_ports(table, CLOUDFLARE)
    admitted = table_admits(table, packet, CLOUDFLARE)
    for port in {packet.port, 22, 179, 5473}:
        there = replace(packet, port=port)
        admitted = table_admits(table, there, CLOUDFLARE)
        if failsafe_admits(ports, to_node(there)) and (packet.protocol, port) != ("udp", 68):
            assert admitted
        if admitted and packet.protocol == "tcp" and port in (22, 179, 5473):
            assert failsafe_admits(ports, to_node(there))


routed_rules = st.builds(
    Rule,
    name=st.from_regex(r"[a-z]{1,20}", fullmatch=True),
    protocol=st.just("any"),
    ports=st.just(()),
    source=st.lists(networks, min_size=1, max_size=3).map(tuple),
    reason=st.just("because"),
    routed_to=st.lists(networks, min_size=1, max_size=3).map(tuple),
)


@given(st.lists(routed_rules, min_size=1, max_size=4), tables, st.data())
def test_calico_passes_on_what_ufw_does(
    routed: list[Rule], table: list[Rule], data: st.DataObject
) -> None:
    def near(cidr: str) -> Any:
        network = ip_network(cidr)
        at = data.draw(st.sampled_from([int(network[0]), int(network[-1])]))
        at += data.draw(st.integers(-1, 1))
        return type(network[0])(at % 2**network.max_prefixlen)

    rule = data.draw(st.sampled_from(routed))
    assert rule.source != "cloudflare"
    assert rule.routed_to is not None
    source = near(data.draw(st.sampled_from(rule.source)))
    destination = near(data.draw(st.sampled_from(rule.routed_to)))
    if source.version != destination.version:
        return
    # Any port but a NodePort, which ufw sees only after it has been translated.
    packet = Packet(source, destination, data.draw(st.sampled_from(["TCP", "UDP"])), 8080)
    everybody = "0.0.0.0/0" if source.version == 4 else "::/0"
    block = iptables_block(routed, CLOUDFLARE, "v4" if source.version == 4 else "v6")
    split = [line.split(" -m comment")[0].split()[2:] for line in block if f"-A {FORWARD} " in line]
    routes = [dict(zip(w[::2], w[1::2], strict=True)) for w in split if "--ctstate" not in w]
    wanted = any(
        source in ip_network(words.get("-s", everybody))
        and destination in ip_network(words.get("-d", everybody))
        for words in routes
    )
    assert calico_admits(rendered([*table, *routed]), packet, forwarded=True) == wanted


ADDRESSES = {
    "administrator": "198.51.100.1",
    "administrator-v6": "2001:db8:5::1",
    "node": "10.20.0.1",
    "pod": "10.244.0.1",
    "peer": "192.0.2.1",
    "stranger": "8.8.8.8",
    "stranger-v6": "2600::1",
}


@pytest.mark.parametrize("tunnels", [(), ("vxlan",), ("vxlan", "ipip")])
@pytest.mark.parametrize("ssh_port", [22, 2222, 40000])
def test_only_cloudflare_reaches_the_web_ports(ssh_port: int, tunnels: Any) -> None:
    table = node_rules(**USUAL, node_addresses=["192.0.2.0/28"], ssh_port=ssh_port, tunnels=tunnels)
    policies, ports = rendered(table), failsafe_ports(table, CLOUDFLARE)
    for port in (80, 443):
        for source in ADDRESSES.values():
            packet = to_node(Arriving(ip_address(source), "tcp", port))
            assert not calico_admits(policies, packet)
            assert not failsafe_admits(ports, packet)
        for cidr in CLOUDFLARE:
            packet = to_node(Arriving(ip_network(cidr)[-1], "tcp", port))
            assert calico_admits(policies, packet)


def test_what_a_node_cannot_live_without() -> None:
    policies = rendered(node_rules(**{**USUAL, "ssh_sources": []}))
    link = ip_address("fe80::1")
    for packet in (
        Packet(ip_address("127.0.0.1"), ip_address("127.0.0.1"), "TCP", 10248),
        Packet(ip_address("127.0.0.1"), ip_address("127.0.0.53"), "UDP", 53),
        Packet(ip_address("::1"), ip_address("::1"), "TCP", 443),
        Packet(ip_address("192.0.2.254"), ip_address("255.255.255.255"), "UDP", 68, 67),
        Packet(link, ip_address("fe80::2"), "UDP", 546, 547),
        Packet(link, ip_address("ff02::1:ff00:1"), 58),
    ):
        assert calico_admits(policies, packet), packet
    for packet in (
        Packet(ip_address("127.0.0.1"), ip_address("192.0.2.10"), "TCP", 443),
        Packet(ip_address("8.8.8.8"), ip_address("192.0.2.10"), "UDP", 68, 53),
        Packet(ip_address("2600::1"), ip_address("2001:db8::10"), "UDP", 546, 547),
    ):
        assert not calico_admits(policies, packet), packet


def test_node_ports_are_nobody_s_and_pods_ports_are_the_pods() -> None:
    policies = rendered(node_rules(**USUAL))
    for source in ADDRESSES.values():
        for port in (30000, 31234, 32767):
            for protocol in ("tcp", "udp"):
                packet = to_node(Arriving(ip_address(source), protocol, port))
                # Before it is translated nobody knows whether it will be passed on.
                assert not calico_admits(policies, packet)
                assert not calico_admits(policies, packet, forwarded=True)
    pods = ip_address("10.244.1.7")
    for source in ("10.244.0.1", "10.20.0.1"):
        packet = Packet(ip_address(source), pods, "TCP", 31234)
        assert calico_admits(policies, packet, forwarded=True)
    assert not calico_admits(policies, Packet(ip_address("8.8.8.8"), pods, "TCP", 80), True)


def test_pods_go_anywhere_but_not_to_their_node() -> None:
    policies = rendered(node_rules(**USUAL))
    pod = ip_address("10.244.0.1")
    assert calico_admits(policies, Packet(pod, ip_address("8.8.8.8"), "TCP", 443), True)
    for port in (22, 80, 443):
        assert not calico_admits(policies, Packet(pod, ip_address("10.20.0.1"), "TCP", port))


def test_a_policy_behind_ours_opens_nothing() -> None:
    everything = {"order": 5000.0, "types": ["Ingress"], "ingress": [{"action": "Allow"}]}
    policies = [*rendered(node_rules(**USUAL)), {**everything, "applyOnForward": True}]
    stranger = Packet(ip_address("8.8.8.8"), ip_address("192.0.2.10"), "TCP", 443)
    assert not calico_admits(policies, stranger)
    assert not calico_admits(policies, stranger, forwarded=True)
    assert calico_admits([{**everything, "order": 1.0}, *policies], stranger)


def test_a_node_port_that_the_table_opens_is_not_shut_before() -> None:
    opened = Rule("game", "udp", ((31000, 31010),), ("0.0.0.0/0",), "because")
    table = [*node_rules(**USUAL), opened]
    stranger = Arriving(ip_address("8.8.8.8"), "udp", 31005)
    assert calico_admits(rendered(table), to_node(stranger))
    assert not calico_admits(rendered(table), to_node(replace(stranger, port=31011)))
    everything = Rule("all", "any", (), ("10.0.0.0/8",), "because")
    assert node_port_policy([everything], CLOUDFLARE)["ingress"] == []


def test_ipip_and_the_words_of_the_api() -> None:
    policy = node_policy(node_rules(**USUAL, tunnels=("vxlan", "ipip")), CLOUDFLARE)
    (ipip,) = (rule for rule in policy["ingress"] if rule.get("protocol") == 4)
    assert ipip == {
        "action": "Allow",
        "ipVersion": 4,
        "protocol": 4,
        "source": {"nets": ["10.20.0.0/20"]},
        "metadata": {"annotations": {REASON: "ipip: IPIP between nodes"}},
    }
    web = [rule for rule in policy["ingress"] if "Cloudflare to the ingress" in str(rule)]
    assert [rule["destination"]["ports"] for rule in web] == [[80, 443], [80, 443]]
    (inside,) = (rule for rule in policy["ingress"] if "node-tcp: " in str(rule))
    assert inside["destination"]["ports"] == ["1024:29999", "32768:65535"]
    # felix's eBPF knows no protocol of the name ICMPv6: such a rule would never match.
    (icmpv6,) = (rule for rule in policy["ingress"] if "icmpv6: " in str(rule))
    assert icmpv6["protocol"] == 58
    assert policy["ingress"][-1] == {"action": "Deny"}
    assert sum(len(rule["source"]["nets"]) for rule in web) == len(CLOUDFLARE)


def test_an_opened_node_port_is_for_those_it_names() -> None:
    monitor = Rule("extra-tcp-30080", "tcp", ((30080, 30080),), ("192.0.2.7/32",), "a monitor")
    policies = rendered([*node_rules(**USUAL), monitor])
    pod, node = ip_address("10.244.1.2"), ip_address("203.0.113.10")
    (before_translation,) = [policy for policy in policies if policy.get("preDNAT")]
    for source, admitted in (("192.0.2.7", True), ("192.0.2.8", False), ("10.20.0.1", False)):
        asked = Packet(ip_address(source), node, "TCP", 30080)
        assert (_decided([before_translation], asked) is None) == admitted
        # Afterwards it has the pod's port, and goes on as to any pod.
        translated = Packet(ip_address(source), pod, "TCP", 8080)
        may = admitted or source.startswith("10.")
        assert calico_admits(policies, translated, forwarded=True) == may
    for other in (30081, 30079):
        assert _decided([before_translation], replace(asked, port=other)) == "Deny"
    udp = Packet(ip_address("192.0.2.7"), node, "UDP", 30080)
    assert _decided([before_translation], udp) == "Deny"


def test_every_rule_says_why_and_mixes_no_families() -> None:
    for policy in rendered(node_rules(**USUAL, tunnels=("vxlan", "ipip"))):
        assert policy["selector"] == "projectcalico.org/created-by == 'calico-kube-controllers'"
        for rule in policy["ingress"]:
            if rule == {"action": "Deny"}:
                continue
            assert rule["metadata"]["annotations"][REASON]
            for side in (rule.get("source", {}), rule.get("destination", {})):
                for net in (*side.get("nets", ()), *side.get("notNets", ())):
                    assert ip_network(net).version == rule["ipVersion"]


def test_failsafe_ports_of_the_usual_table() -> None:
    table = node_rules(**USUAL, ssh_port=2222)
    ports = failsafe_ports(table, CLOUDFLARE)
    by_port = {entry["port"]: [] for entry in ports}
    for entry in ports:
        by_port[entry["port"]].append(entry.get("net"))
    assert by_port[2222] == ["198.51.100.0/24", "2001:db8:5::/48"]
    assert 22 not in by_port
    assert by_port[179] == ["10.20.0.0/20"]
    assert by_port[5473] == ["10.20.0.0/20", "10.244.0.0/16"]
    assert by_port[68] == [None]
    assert all(entry.get("net") for entry in ports if entry["port"] != 68)


def test_ranges_without_holes() -> None:
    assert without((10, 20), [(5, 8), (30, 40)]) == ((10, 20),)
    assert without((10, 20), [(12, 13), (19, 40)]) == ((10, 11), (14, 18))
    assert without((10, 20), [(1, 100)]) == ()


def test_a_policy_has_one_name_for_every_release_of_calico() -> None:
    metadata = policy_metadata("edgefleet-nodes", "default")
    assert metadata["name"] == "default.edgefleet-nodes"
    assert metadata["annotations"] == {
        "projectcalico.org/metadata": '{"name": "default.edgefleet-nodes"}'
    }


def test_the_policies_as_calico_reads_them() -> None:
    """Spelled as its definitions have it: a key that it doesn't know would change nothing."""
    to_nodes, passing, node_ports = rendered(node_rules(**USUAL))
    common = {"tier": "default", "selector": HOST_ENDPOINTS, "types": ["Ingress"]}
    shapes = (
        (to_nodes, {"order": 1000.0}),
        (passing, {"order": 1001.0, "applyOnForward": True}),
        (node_ports, {"order": 1000.0, "applyOnForward": True, "preDNAT": True}),
    )
    for policy, own in shapes:
        assert {k: v for k, v in policy.items() if k != "ingress"} == {**common, **own}
    denials = node_ports["ingress"]
    pods = USUAL["pod_networks"]
    assert [(d["ipVersion"], d["protocol"]) for d in denials] == [
        (4, "TCP"), (4, "UDP"), (6, "TCP"), (6, "UDP"),
    ]  # fmt: skip
    for denial in denials:
        here = [cidr for cidr in pods if ip_network(cidr).version == denial["ipVersion"]]
        assert denial == {
            "action": "Deny",
            "protocol": denial["protocol"],
            "ipVersion": denial["ipVersion"],
            "destination": {"ports": ["30000:32767"], **({"notNets": here} if here else {})},
            "metadata": {"annotations": {"edgefleet.dev/reason": "NodePorts are nobody's"}},
        }
