"""Which nodes serve, how many will, and when an answer is not to be believed."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster import live_nodes
from components.cluster.contract import Node
from components.cluster.drained_pool import to_evict
from components.cluster.live_nodes import Serving, expected, unproven
from components.vendors.vultr_cluster import LiveCluster, Pool
from tests.components.cluster.test_settling import cluster, node


def ids(nodes: list[Node]) -> list[str]:
    return [each.id for each in nodes]


def test_who_serves():
    live = cluster(
        node(3), node(1), node(2, status="pending"), node(4, ipv6=""), node(5, pool="old")
    )
    assert ids(Serving().nodes(live)) == ["n1", "n3", "n5"]
    assert ids(Serving(apart=["old"]).nodes(live)) == ["n1", "n3"]
    alone = Serving(ipv6=False).nodes(live)
    assert ids(alone) == ["n1", "n3", "n4", "n5"]
    assert {each.ipv6 for each in alone} == {""}
    assert Serving().unready(live) == [
        "edge-2 (pending)",
        "edge-4 (active without an IPv6 address)",
    ]


@pytest.mark.parametrize(
    ("live", "size", "count"),
    [
        (None, 3, 3),
        (cluster(node(1), node(2), pools=(Pool("p", "edge", 2),)), 2, 2),
        # It is being changed: what is asked for will be there.
        (cluster(node(1), node(2), pools=(Pool("p", "edge", 2),)), 4, 4),
        # Nothing changes, so nobody waits for the one that is broken.
        (cluster(node(1), node(2, status="pending"), pools=(Pool("p", "edge", 2),)), 2, 1),
        (cluster(node(1), node(2), pools=(Pool("p", "edge", 2, (1, 5)),)), 1, 2),
        (cluster(pools=()), 2, 2),
    ],
)
def test_how_many_will_serve(live: LiveCluster | None, size: int, count: int):
    assert expected(live, {"edge": size}, Serving()) == count


def nodes_of(names: set[str]) -> list[Node]:
    return [Node(name, name, "192.0.2.1", "") for name in names]


@pytest.mark.parametrize(
    ("published", "ready", "gone", "left"),
    [
        # An empty answer, while the machines are there.
        ("abc", "", "", "abc"),
        # They were replaced: Vultr says that it hasn't got the old ones.
        ("abc", "xyz", "abc", ""),
        # Half may go, more may not.
        ("abcd", "ab", "", ""),
        ("abcd", "a", "", "bcd"),
        # One of three is proven gone, two are not.
        ("abc", "", "a", "bc"),
        ("abcd", "", "ab", ""),
        ("", "", "", ""),
        ("a", "", "", "a"),
    ],
)
def test_the_brake(published: str, ready: str, gone: str, left: str):
    asked: list[str] = []

    def has_instance(name: str) -> bool:
        asked.append(name)
        return name not in gone

    assert unproven(set(published), nodes_of(set(ready)), has_instance) == sorted(left)
    assert set(asked) <= set(published) - set(ready)


@given(st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")))
def test_nobody_is_asked_while_half_are_left(published: set[str], ready: set[str]):
    def has_instance(_: str) -> bool:
        raise AssertionError("asked")

    if 2 * len(published - ready) <= len(published):
        assert unproven(published, nodes_of(ready), has_instance) == []


class Late:
    """Shows its firewall group after some looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def cluster(self, cluster_id: str) -> LiveCluster:
        self.looks -= 1
        return cluster(node(1), firewall_group_id="" if self.looks > 0 else "g1")


@pytest.mark.parametrize(("looks", "found"), [(1, "g1"), (3, "g1"), (99, "")])
def test_the_firewall_group_is_waited_for(monkeypatch: pytest.MonkeyPatch, looks: int, found: str):
    monkeypatch.setattr(live_nodes, "INTERVAL", 0.001)
    monkeypatch.setattr(live_nodes, "FIREWALL_MINUTES", 5 * 0.001 / 60)
    monkeypatch.setattr(live_nodes.pulumi.runtime, "is_dry_run", lambda: False)
    monkeypatch.setattr(live_nodes.pulumi.log, "info", lambda *_: None)
    late: Any = Late(looks)
    reader = live_nodes.LiveNodes(late, "edgefleet-us", Serving(), None)  # pyright: ignore
    shown = cluster(node(1), firewall_group_id="")
    assert asyncio.run(reader.firewall_group(shown)) == found


def pod(name: str, owner: str = "", **changes: Any) -> dict[str, Any]:
    owners = [{"kind": owner}] if owner else []
    return {"metadata": {"name": name, "ownerReferences": owners}, **changes}


def test_who_has_to_move_when_a_node_is_drained():
    mirror = pod("mirror")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    pods = [
        pod("web", "ReplicaSet"),
        pod("bare"),
        pod("calico-node", "DaemonSet"),
        pod("kube-proxy", "Node"),
        mirror,
        pod("job", "Job", status={"phase": "Succeeded"}),
    ]
    assert [each["metadata"]["name"] for each in to_evict(pods)] == ["web", "bare"]
