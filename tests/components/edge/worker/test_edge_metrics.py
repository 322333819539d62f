"""What is counted per region, and reaches Analytics Engine through workerd's own binding."""

from collections.abc import Callable
from typing import Any

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, HERE, HOST, MADRID, Edge, poll

Start = Callable[..., Edge]

CLOCK = HERE / "clock.js"
AT_DENVER = {**DENVER, "colo": "DEN"}
REQUESTS, FAILED, HEDGES, FAILOVERS, ERRORS, LATENCY = (f"double{n}" for n in range(1, 7))
LATENCIES = [f"double{n}" for n in range(7, 15)]


def overdue(edge: Edge, seconds: int = 16) -> None:
    """The window's owner has long ended; the next request writes it down."""
    edge.request("/", headers={"x-test-clock": str(seconds * 1000)})


def by_region(edge: Edge, number: int) -> dict[str, dict[str, Any]]:
    points = poll(lambda: len(edge.points()) >= number and edge.points(), f"{number} points came")
    return {point["index1"]: point for point in points}


def test_what_is_counted(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(main=CLOCK, metrics=True, hedgeAfterMs=200)
    origins["us"].fail("status", status=521)
    for _ in range(2):
        assert edge.request("/", AT_DENVER).headers["x-edge-region"] == "eu", "us is held back"
    origins["eu"].fail("slow", seconds=0.6, path="/slow", times=1)
    assert edge.request("/slow", MADRID).headers["x-edge-region"] == "apac"
    origins["apac"].fail("relay", status=501, path="/broken")
    edge.request("/broken", {"latitude": "1", "longitude": "103"})
    assert edge.points() == [], "nobody's request writes while its window is open"
    overdue(edge)
    edge.request("/", MADRID)
    found = by_region(edge, 3)
    names = ("us", "eu", "apac")
    assert [found[name]["blob1"] for name in names] == [HOST] * 3
    assert [found[name]["blob2"] for name in names] == list(names)
    assert [found[name][REQUESTS] for name in names] == [0, 3, 2]
    assert [found[name][FAILED] for name in names] == [1, 0, 0]
    assert [found[name][HEDGES] for name in names] == [0, 1, 0]
    assert [found[name][FAILOVERS] for name in names] == [2, 1, 0]
    assert [found[name][ERRORS] for name in names] == [0, 0, 1]
    assert found["apac"][LATENCY] >= 200
    for name in names:
        classes = [found[name][latency] for latency in LATENCIES]
        assert sum(classes) == found[name][REQUESTS]


def test_visitors_whom_nobody_answered(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(main=CLOCK, metrics=True)
    for origin in origins.values():
        origin.die()
    assert edge.request("/", AT_DENVER).status_code == 503
    overdue(edge)
    edge.request("/", AT_DENVER)
    found = by_region(edge, 4)
    assert (found["none"][REQUESTS], found["none"][ERRORS]) == (2, 2)
    assert found["us"][FAILOVERS] == 2
    assert found["none"]["blob3"] == "DEN"


def test_a_window_is_written_without_another_request(start_edge: Start) -> None:
    edge = start_edge(metrics=True)
    assert edge.request("/", AT_DENVER).status_code == 200
    assert edge.points() == []
    found = by_region(edge, 1)
    assert (found["us"][REQUESTS], found["us"]["blob3"]) == (1, "DEN")


def test_no_more_points_than_one_request_may_write(start_edge: Start) -> None:
    edge = start_edge(main=CLOCK, metrics=True)
    for number in range(30):
        edge.request("/", DENVER, headers={"host": f"h{number}.example.com"})
    for seconds, points in ((16, 25), (32, 31)):
        overdue(edge, seconds)
        edge.request("/", DENVER)
        poll(lambda points=points: len(edge.points()) == points, f"{points} points came")
