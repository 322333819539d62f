"""What is waited for, how long, and what is said."""

from typing import Any

import pytest

from components.cluster.settling import pool_missing, settle, version_missing
from components.errors import VultrError
from components.vendors.vultr_cluster import LiveCluster, LiveNode, Pool


def node(number: int, **changes: Any) -> LiveNode:
    values = {
        "id": f"n{number}",
        "label": f"edge-{number}",
        "pool": "edge",
        "status": "active",
        "ipv4": f"192.0.2.{number}",
        "ipv6": f"2001:db8::{number}",
    }
    return LiveNode(**{**values, **changes})


def cluster(*nodes: LiveNode, **changes: Any) -> LiveCluster:
    values: dict[str, Any] = {
        "id": "c1",
        "label": "edgefleet-us",
        "location": "ewr",
        "version": "v1.35.5+1",
        "status": "active",
        "firewall_group_id": "g1",
        "pools": (Pool("p1", "edge", len(nodes)),),
        "nodes": nodes,
    }
    return LiveCluster(**{**values, **changes})


TWO = (2, 2)


@pytest.mark.parametrize(
    ("live", "bounds", "missing"),
    [
        (cluster(node(1), node(2)), TWO, []),
        (cluster(node(1)), TWO, ["1 of 2 nodes of pool edge"]),
        # While an upgrade goes on, a pool shows none and is active.
        (cluster(), TWO, ["2 of 2 nodes of pool edge"]),
        (
            cluster(node(1), node(2, status="pending")),
            TWO,
            ["1 of 2 nodes of pool edge: edge-2 (pending)"],
        ),
        (
            cluster(node(1), node(2, ipv6="")),
            TWO,
            ["1 of 2 nodes of pool edge: edge-2 (active without an IPv6 address)"],
        ),
        (
            cluster(node(1), node(2, ipv4="", ipv6="")),
            TWO,
            [
                "1 of 2 nodes of pool edge: edge-2 (active without a public IPv4 address; in a pool"
                " of the VPC alone it gets none)"
            ],
        ),
        (cluster(node(1), node(2), node(3)), TWO, ["1 leaving nodes of pool edge"]),
        (cluster(node(1, pool="other"), node(2)), TWO, ["1 of 2 nodes of pool edge"]),
        # The autoscaler decides how many there are, and when they are ready.
        (cluster(node(1), node(2), node(3)), (1, None), []),
        (cluster(node(1), node(2, status="pending")), (1, None), []),
    ],
)
def test_what_a_pool_lacks(live: LiveCluster, bounds: Any, missing: list[str]):
    assert pool_missing(live, "edge", bounds) == missing


def test_nodes_without_ipv6_are_ready_where_that_is_said():
    assert pool_missing(cluster(node(1, ipv6="")), "edge", (1, 1), ipv6=False) == []


@pytest.mark.parametrize(
    ("live", "missing"),
    [
        (cluster(node(1), version="v2"), []),
        (cluster(node(1), version=""), []),
        (cluster(node(1)), ["version v2 (it is v1.35.5+1)"]),
        (cluster(version="v2"), ["1 of 1 nodes of pool edge"]),
        (cluster(node(1), version="v2", status="pending"), ["the cluster (it is pending)"]),
    ],
)
def test_what_an_upgrade_lacks(live: LiveCluster, missing: list[str]):
    assert version_missing(live, "v2", {"edge": 1}) == missing


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("components.cluster.settling.time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def told(looks: list[Any], minutes: float = 1) -> tuple[list[str], Any]:
    """What is said while these are seen, one a look; and the end, which may be an error."""
    said: list[str] = []

    def read() -> LiveCluster:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return found

    def missing(live: LiveCluster) -> list[str]:
        return pool_missing(live, "edge", (2, 2))

    try:
        return said, settle(read, missing, minutes, said.append, interval=30)
    except VultrError as error:
        return said, str(error)


def test_it_says_what_is_missing_each_time_that_changes(clock: Clock):
    done = cluster(node(1), node(2))
    said, end = told([cluster(), cluster(), cluster(node(1)), done])
    assert end == done
    assert said == [
        "cluster edgefleet-us: waiting for 2 of 2 nodes of pool edge",
        "cluster edgefleet-us: waiting for 1 of 2 nodes of pool edge",
    ]


def test_time_counts_from_the_last_change(clock: Clock):
    """Three looks a change, two minutes each: four in all, and none of it too long."""
    broken = cluster(node(1), node(2, status="pending"))
    _, end = told([cluster()] * 4 + [cluster(node(1))] * 4 + [broken], minutes=2)
    assert clock.now > 4 * 60
    assert end == (
        "cluster edgefleet-us: waiting for 1 of 2 nodes of pool edge: edge-2 (pending): nothing "
        "has changed for 2 minutes (timeouts). Look at it in Vultr's console; `pulumi up` goes on "
        "from here"
    )


@pytest.mark.parametrize("status", [None, 429, 500, 503])
def test_an_answer_that_does_not_come_is_asked_for_again(clock: Clock, status: int | None):
    done = cluster(node(1), node(2))
    said, end = told([VultrError("no answer", status), done])
    assert (said, end) == (["no answer"], done)


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_ends_it(clock: Clock, status: int):
    assert told([VultrError("refused", status), cluster()]) == ([], "refused")
