"""The table's networks against those that nodes have."""

from typing import Any

import pytest

from components.firewall.node_networks import networks_of_table, refusal, strays
from components.firewall.rule_table import node_rules


def node(name: str, internal: str, **notes: str) -> dict[str, Any]:
    addresses = [
        {"type": "Hostname", "address": name},
        {"type": "InternalIP", "address": internal},
        {"type": "InternalIP", "address": "2001:db8::1"},
        {"type": "ExternalIP", "address": "203.0.113.7"},
    ]
    annotations = {f"projectcalico.org/{key}": value for key, value in notes.items()}
    return {
        "metadata": {"name": name, "annotations": annotations},
        "status": {"addresses": addresses},
    }


def pool(cidr: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "default"}, "spec": {"cidr": cidr, **more}}


USUAL = (["10.0.0.0/8"], ["10.244.0.0/16"])


@pytest.mark.parametrize(
    ("nodes", "pools", "outside"),
    [
        ([node("a", "10.1.2.3", IPv4Address="10.1.2.3/20")], [pool("10.244.0.0/16")], []),
        ([{"metadata": {"name": "new"}}], [], []),
        (
            [node("a", "192.168.16.5"), node("b", "10.1.2.4")],
            [],
            ["node a has InternalIP 192.168.16.5, in none of the nodes' networks"],
        ),
        (
            [node("a", "10.1.2.3", IPv4Address="45.76.1.2/23")],
            [],
            ["node a has Calico's address 45.76.1.2/23, in none of the nodes' networks"],
        ),
        (
            [node("a", "10.1.2.3", IPv4VXLANTunnelAddr="192.168.3.0")],
            [],
            ["node a has IPv4VXLANTunnelAddr 192.168.3.0, in none of the pods' networks"],
        ),
        (
            [],
            [pool("10.0.0.0/8"), pool("10.244.7.0/24"), pool("fd00::/48")],
            ["Calico's pool default is 10.0.0.0/8, in none of the pods' networks"],
        ),
        ([], [pool("192.168.0.0/16", disabled=True)], []),
    ],
)
def test_what_is_outside_is_named(
    nodes: list[dict[str, Any]], pools: list[dict[str, Any]], outside: list[str]
) -> None:
    assert strays(nodes, pools, *USUAL) == outside


def test_the_networks_are_those_of_the_table() -> None:
    table = node_rules(
        ssh_sources=["198.51.100.0/24"],
        node_networks=["10.20.0.0/20"],
        pod_networks=["10.244.0.0/16"],
        node_addresses=["192.0.2.0/28"],
    )
    assert networks_of_table(table) == (["10.20.0.0/20", "192.0.2.0/28"], ["10.244.0.0/16"])


def test_the_refusal_says_what_to_write() -> None:
    said = refusal([f"node {n} is elsewhere" for n in range(7)], *USUAL)
    assert "node 4 is elsewhere; and 2 more. Nothing was closed" in said
    assert "takes 10.0.0.0/8 for nodes and 10.244.0.0/16 for pods" in said
    assert "nodeNetworks and podNetworks" in said
