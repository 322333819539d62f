"""Real packets against a node with the real ufw and the pinned ranges."""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from components.firewall.rule_table import Rule
from tests.packets import netns
from tests.packets.netns import NODE_IN_VPC, POD, Namespace, Node, Outside, Packet
from tests.packets.worlds import ADMIN, ADMIN6, IN_VPC, OUTSIDER, OUTSIDER6, made, table_of

MONITOR = "192.0.2.77"


@pytest.fixture(scope="module")
def node(pinned: tuple[str, ...]) -> Iterator[tuple[Node, Outside]]:
    for node, outside in made():
        table = table_of(
            *pinned,
            extra=[
                Rule("extra-udp-8472", "udp", ((8472, 8472),), ("0.0.0.0/0",), "WireGuard"),
                Rule("extra-tcp-30081", "tcp", ((30081, 30081),), (MONITOR + "/32",), "monitor"),
            ],
            ssh_sources=["198.51.100.0/24", "2001:db8:5::/48"],
            pod_networks=["10.244.0.0/16"],
            node_addresses=["192.0.2.50/32"],
            tunnels=("vxlan", "ipip"),
        )
        assert node.sync(table).state == "matches"
        yield node, outside


def test_every_range_ends_where_it_ends(
    node: tuple[Node, Outside], pinned: tuple[str, ...]
) -> None:
    networks = [ip_network(cidr) for cidr in pinned]
    edges = [
        address
        for network in networks
        for address in (
            network[0],
            network[-1],
            network[0] - 1,
            network[-1] + 1,
        )
    ]
    wanted = {
        Packet(str(address), 443): any(address in network for network in networks)
        for address in edges
    }
    # 2 in 4 are inside, and where two ranges touch, more.
    assert 2 * len(networks) <= sum(wanted.values()) < 2.2 * len(networks)
    assert {network.version for network in networks} == {4, 6}

    passed = node[1].passes(list(wanted))

    wrong = {packet.source: got for packet, got in passed.items() if got != wanted[packet]}
    assert not wrong


@pytest.mark.parametrize("port", [80, 443])
@pytest.mark.parametrize(
    "source",
    [OUTSIDER, OUTSIDER6, ADMIN, ADMIN6, IN_VPC, POD, "192.0.2.50"],
    ids=["outsider", "outsider6", "admin", "admin6", "vpc", "pod", "node"],
)
def test_nobody_but_cloudflare_reaches_the_web_ports(
    node: tuple[Node, Outside], source: str, port: int
) -> None:
    packet = Packet(source, port)
    assert node[1].passes([packet]) == {packet: False}


ADMITTED = [
    *(Packet(source, 22) for source in (ADMIN, ADMIN6)),
    *(Packet(IN_VPC, port) for port in (179, 5473, 10250, 9100)),
    *(Packet(POD, port) for port in (10250, 9100, 53)),
    *(Packet("192.0.2.50", port) for port in (179, 5473, 10250)),
    *(Packet(source, 4789, "udp") for source in (IN_VPC, "192.0.2.50")),
    Packet(POD, 53, "udp"),
    *(Packet(source, 0, "ipip") for source in (IN_VPC, "192.0.2.50")),
    *(Packet(source, 0, "icmp") for source in (OUTSIDER, IN_VPC, ADMIN)),
    Packet(IN_VPC, 10250, to=NODE_IN_VPC),
]
ADMITTED += [Packet(source, 8472, "udp") for source in (OUTSIDER, ADMIN, "104.16.0.1")]
DROPPED = [
    Packet(OUTSIDER6, 8472, "udp"),
    *(Packet(source, 22) for source in (OUTSIDER, OUTSIDER6, IN_VPC, POD, "104.16.0.1")),
    *(
        Packet(source, port)
        for source in (OUTSIDER, OUTSIDER6, ADMIN, "104.16.0.1", "2606:4700::1")
        for port in (179, 5473, 10250, 9100, 2222, 30080)
    ),
    *(Packet(source, 30080) for source in (IN_VPC, POD, "192.0.2.50")),
    Packet("192.0.2.50", 9100),
    Packet(IN_VPC, 53),
    Packet(POD, 179),
    Packet("192.0.2.50", 22),
    *(
        Packet(source, port, "udp")
        for source in (OUTSIDER, OUTSIDER6, ADMIN, "104.16.0.1")
        for port in (53, 68, 443, 4789, 31000)
    ),
    *(Packet(source, 31000, "udp") for source in (IN_VPC, POD)),
    *(Packet(source, 443, "udp") for source in (IN_VPC, POD)),
    *(Packet(source, 0, "ipip") for source in (OUTSIDER, ADMIN, POD)),
]


def test_what_a_cluster_lives_on_passes_from_where_it_should(node: tuple[Node, Outside]) -> None:
    passed = node[1].passes(ADMITTED)
    assert [packet for packet, got in passed.items() if not got] == []


def test_and_from_nowhere_else(node: tuple[Node, Outside]) -> None:
    passed = node[1].passes(DROPPED)
    assert [packet for packet, got in passed.items() if got] == []


def test_neighbours_are_found_when_nobody_knows_them(node: tuple[Node, Outside]) -> None:
    """Without neighbour discovery a node is dead on IPv6 as soon as its caches run out."""
    inside, outside = node
    for namespace in node:
        namespace.run("ip", "-6", "neigh", "flush", "nud", "permanent")
        namespace.run("ip", "-4", "neigh", "flush", "nud", "permanent")
    assert all(outside.passes([Packet("2606:4700::1", 443), Packet("104.16.0.1", 443)]).values())
    assert inside.run("ip", "-6", "neigh", "show", netns.GATEWAY6)


def test_what_pods_need_is_routed_and_no_more(node: tuple[Node, Outside]) -> None:
    inside, outside = node
    address = "10.244.9.2"
    with Namespace() as pod:
        wire = f"ip link add eth0 netns {pod.pid} type veth peer name cali1 netns {inside.pid}"
        netns.run(*wire.split())
        inside.run(*["ip", "link", "set", "cali1", "up"])
        inside.run(*f"ip route add {address} dev cali1".split())
        inside.run(*["sysctl", "-qw", "net.ipv4.conf.cali1.proxy_arp=1"])
        pod.run(*["ip", "link", "set", "eth0", "up"])
        pod.run(*f"ip addr add {address}/32 dev eth0".split())
        pod.run(*["ip", "route", "add", "169.254.1.1", "dev", "eth0"])
        pod.run(*["ip", "route", "add", "default", "via", "169.254.1.1", "dev", "eth0"])
        netns.serve(pod)
        netns.serve(outside, ports=("8443", "5353"))

        strangers = [Packet(source, 9100, to=address) for source in (OUTSIDER, ADMIN, "104.16.0.1")]
        peer = Packet(IN_VPC, 9100, to=address)
        passed = outside.passes([*strangers, peer], sentinels={IN_VPC: address})
        assert passed == {**dict.fromkeys(strangers, False), peer: True}
        # As kube-proxy translates NodePorts: one is a monitor's, the other nobody's.
        for port in (30080, 30081):
            to = f"-t nat -A PREROUTING -p tcp --dport {port} -j DNAT --to {address}:9100"
            inside.run("iptables", *to.split())
        asking = {
            Packet(source, port): (source, port) == (MONITOR, 30081)
            for source in (MONITOR, OUTSIDER, ADMIN, "104.16.0.1")
            for port in (30080, 30081)
        }
        assert outside.passes(list(asking), sentinels={IN_VPC: address}) == asking
        assert netns.connects(pod, address, netns.GATEWAY, 8443)
