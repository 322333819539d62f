"""What the resources that change a cluster send, and what they wait for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from components.cluster import pool_settings, version
from components.errors import VultrError
from components.vendors.vultr_cluster import LiveCluster, Pool
from tests.components.cluster.test_settling import Clock, cluster, node

OLD, NEW = "v1.35.5+1", "v1.36.2+1"
TWO = (node(1), node(2))


class Vultr:
    """One cluster, seen in these states one after the other; the last stays."""

    def __init__(self, *states: LiveCluster) -> None:
        self.states = list(states)
        self.sent: list[Any] = []
        self.refusal: VultrError | None = None

    def cluster(self, cluster_id: str) -> LiveCluster:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def upgrade(self, cluster_id: str, wanted: str) -> None:
        self.sent.append(wanted)
        if self.refusal:
            raise self.refusal

    def change_pool(self, cluster_id: str, pool_id: str, change: Mapping[str, Any]) -> None:
        self.sent.append(change)

    def remove_pool_labels(self, cluster_id: str, pool_id: str, keys: Any) -> None:
        self.sent.append(sorted(keys))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def provider(monkeypatch: pytest.MonkeyPatch, module: Any, vultr: Vultr) -> Any:
    monkeypatch.setattr(module, "VultrApi", lambda _: vultr)
    monkeypatch.setattr(module, "vultr_key", lambda _: "key")
    return module._Provider()


def at(wanted: str) -> dict[str, Any]:
    return {"cluster_id": "c1", "version": wanted}


def test_a_cluster_that_is_made_or_known_is_not_touched(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
):
    """Nor waited for, with a node that is broken for good."""
    for shown in (OLD, ""):
        vultr = Vultr(cluster(node(1), node(2, status="pending"), version=shown))
        provider(monkeypatch, version, vultr).create(at(OLD))
        assert (vultr.sent, clock.now) == ([], 0)


def test_an_upgrade_is_sent_once_and_waited_for_until_the_nodes_are_new(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
):
    new = (node(3), node(4))
    pools = (Pool("p1", "edge", 2),)
    vultr = Vultr(
        cluster(*TWO),
        cluster(*TWO),
        # The version may show before a node has gone, and while there is none.
        cluster(*TWO, version=NEW),
        cluster(version=NEW, pools=pools),
        cluster(new[0], version=NEW, pools=pools),
        cluster(*new, version=NEW),
    )
    provider(monkeypatch, version, vultr).update("c1", at(OLD), at(NEW))
    assert vultr.sent == [NEW]
    assert vultr.states == [cluster(*new, version=NEW)]


def test_nodes_that_stay_are_taken_for_upgraded(monkeypatch: pytest.MonkeyPatch, clock: Clock):
    vultr = Vultr(cluster(*TWO), cluster(*TWO, version=NEW))
    provider(monkeypatch, version, vultr).update("c1", at(OLD), at(NEW))
    assert clock.now >= version.STAYING_MINUTES * 60


def test_an_upgrade_that_goes_on_is_waited_for_and_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
):
    vultr = Vultr(cluster(version=NEW, pools=(Pool("p1", "edge", 2),)), cluster(*TWO, version=NEW))
    provider(monkeypatch, version, vultr).update("c1", at(OLD), at(NEW))
    assert (vultr.sent, len(vultr.states)) == ([], 1)


@pytest.mark.parametrize(
    ("status", "rest"),
    [
        (422, "Nothing was changed"),
        (500, "It may have begun all the same: `pulumi up` goes on from what it finds"),
        (None, "It may have begun all the same: `pulumi up` goes on from what it finds"),
    ],
)
def test_a_refusal_is_the_cause(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, status: int | None, rest: str
):
    vultr = Vultr(cluster(*TWO))
    vultr.refusal = VultrError("Vultr answered so", status)
    with pytest.raises(RuntimeError) as caught:
        provider(monkeypatch, version, vultr).update("c1", at(OLD), at(NEW))
    assert str(caught.value) == (
        f"cluster edgefleet-us isn't upgraded to {NEW}: Vultr answered so. {rest}"
    )
    assert clock.now == 0


@pytest.mark.parametrize(("shown", "found"), [(NEW, NEW), ("", OLD)])
def test_a_refresh_reads_the_version(monkeypatch: pytest.MonkeyPatch, shown: str, found: str):
    read = provider(monkeypatch, version, Vultr(cluster(version=shown))).read("c1", at(OLD))
    assert read.inputs["version"] == read.outs["version"] == found


SIZE = {"cluster_id": "c1", "pool": "edge", "nodes": 2.0}


def test_a_size_is_sent_alone_and_waited_for(monkeypatch: pytest.MonkeyPatch, clock: Clock):
    vultr = Vultr(cluster(node(1)), cluster(node(1)), cluster(*TWO))
    pools = provider(monkeypatch, pool_settings, vultr)
    pools.update("x", {**SIZE, "nodes": 1.0}, SIZE)
    assert (vultr.sent, len(vultr.states)) == ([{"node_quantity": 2}], 1)


def test_labels_that_are_ours_go(monkeypatch: pytest.MonkeyPatch, clock: Clock):
    labelled = Pool("p1", "edge", 2, labels={"a": "1", "theirs": "2"})
    vultr = Vultr(replace(cluster(*TWO), pools=(labelled,)))
    olds = {**SIZE, "labels": {"a": "1", "gone": "x"}}
    provider(monkeypatch, pool_settings, vultr).update("x", olds, SIZE)
    assert vultr.sent == [["a", "gone"]]


def test_a_pool_that_served_before_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, clock: Clock):
    broken = cluster(node(1), node(2, status="pending"))
    vultr = Vultr(broken)
    provider(monkeypatch, pool_settings, vultr).create({**SIZE, "serving": True})
    assert (vultr.sent, clock.now) == ([], 0)
    with pytest.raises(RuntimeError, match=r"pool edge: .*edge-2 \(pending\).*nothing has changed"):
        provider(monkeypatch, pool_settings, vultr).create(SIZE)


@pytest.mark.parametrize(
    ("olds", "kept"), [({}, True), (SIZE, None), ({**SIZE, "serving": True}, True)]
)
def test_whether_it_served_counts_once(
    monkeypatch: pytest.MonkeyPatch, olds: dict[str, Any], kept: bool | None
):
    pools = provider(monkeypatch, pool_settings, Vultr(cluster()))
    news = {**SIZE, "serving": True, "__provider": "p"}
    assert pools.check(olds, news).inputs.get("serving") is kept
    assert pools.check(olds, news).inputs["__provider"] == "p"


def test_a_pool_that_is_gone_leaves_the_state(monkeypatch: pytest.MonkeyPatch):
    vultr = Vultr(cluster(pools=()))
    assert provider(monkeypatch, pool_settings, vultr).read("x", SIZE).id == ""
