"""What is sent about a pool: only what changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster.pool_settings import as_found, bounds, change, same
from components.vendors.vultr_cluster import Pool


def pool(nodes: int, autoscale: tuple[int, int] | None = None, **labels: str) -> Pool:
    return Pool("p1", "edge", nodes, autoscale, labels)


@pytest.mark.parametrize(
    ("live", "wanted", "sent"),
    [
        (pool(3), {"nodes": 3.0}, {}),
        (pool(3), {"nodes": 4.0}, {"node_quantity": 4}),
        (pool(7, (2, 9)), {"autoscale": {"min": 2.0, "max": 9.0}}, {}),
        (
            pool(7, (2, 9)),
            {"autoscale": {"min": 2.0, "max": 8.0}},
            {"auto_scaler": True, "min_nodes": 2, "max_nodes": 8},
        ),
        (
            pool(3),
            {"autoscale": {"min": 2.0, "max": 9.0}},
            {"auto_scaler": True, "min_nodes": 2, "max_nodes": 9},
        ),
        (pool(7, (2, 9)), {"nodes": 7.0}, {"auto_scaler": False}),
        (pool(7, (2, 9)), {"nodes": 8.0}, {"auto_scaler": False, "node_quantity": 8}),
        (pool(3, a="1"), {"nodes": 3.0, "labels": {"a": "1"}}, {}),
        (
            pool(3, a="1"),
            {"nodes": 3.0, "labels": {"b": "2"}},
            {"labels": {"a": "1", "b": "2"}},
        ),
    ],
)
def test_what_a_patch_holds(live: Pool, wanted: dict[str, Any], sent: dict[str, Any]):
    assert change(live, wanted) == sent


SIZES = st.integers(1, 100)
BOUNDS = st.tuples(SIZES, SIZES).map(lambda pair: (min(pair), max(pair)))
LIVE = st.builds(pool, SIZES, st.none() | BOUNDS)
WANTED = SIZES.map(lambda n: {"nodes": float(n)}) | BOUNDS.map(
    lambda pair: {"autoscale": {"min": float(pair[0]), "max": float(pair[1])}}
)


@given(LIVE, WANTED)
def test_no_bounds_without_the_autoscaler_and_no_size_with_it(live: Pool, wanted: dict[str, Any]):
    """VKE refuses the first (docs/facts/vultr-users.md, 1); the second would undo its work."""
    sent = change(live, wanted)
    if "autoscale" in wanted:
        assert "node_quantity" not in sent
    if {"min_nodes", "max_nodes"} & sent.keys():
        assert sent["auto_scaler"] is True


@given(LIVE)
def test_what_is_found_is_what_would_be_sent_nothing_for(live: Pool):
    found = as_found(live, {"cluster_id": "c", "pool": "edge", "nodes": 1.0})
    assert change(live, found) == {}


def test_a_refresh_finds_what_somebody_changed():
    props = {"cluster_id": "c", "pool": "edge", "nodes": 3.0, "labels": {"a": "1"}, "minutes": 30.0}
    assert as_found(pool(5, b="2"), props) == {**props, "nodes": 5, "labels": {}}
    assert as_found(pool(5, (2, 9), a="1"), props) == {
        "cluster_id": "c",
        "pool": "edge",
        "minutes": 30.0,
        "autoscale": {"min": 2, "max": 9},
        "labels": {"a": "1"},
    }


@pytest.mark.parametrize(
    ("olds", "news", "alike"),
    [
        ({"nodes": 3, "minutes": 30}, {"nodes": 3, "minutes": 60}, True),
        ({"nodes": 3}, {"nodes": 4}, False),
        ({"nodes": 3, "labels": {}}, {"nodes": 3}, True),
        ({"nodes": 3}, {"autoscale": {"min": 3, "max": 3}}, False),
    ],
)
def test_how_long_to_wait_is_no_change(olds: dict[str, Any], news: dict[str, Any], alike: bool):
    assert same(olds, news) is alike


def test_what_is_waited_for():
    assert bounds({"nodes": 3.0}) == (3, 3)
    assert bounds({"autoscale": {"min": 2.0, "max": 9.0}}) == (2, None)
