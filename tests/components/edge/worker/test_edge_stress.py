"""Slow, silent and overloaded regions: who is asked how often, and who pays.

How long visitors wait: bench/edge_stress.py.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, MADRID, TOKYO, Edge, poll

Start = Callable[..., Edge]
HEDGE = 400
PAGE = "/page"


def crowd(edge: Edge, count: int, *visitors: dict[str, Any], **options: Any) -> Counter[str]:
    """Whose answers so many visitors got who came at once; every one of them got one."""

    def visit(number: int) -> requests.Response:
        return edge.request(PAGE, visitors[number % len(visitors)], **options)

    with ThreadPoolExecutor(count) as pool:
        responses = list(pool.map(visit, range(count)))
    assert {response.status_code for response in responses} == {200}
    return Counter(response.headers["x-edge-region"] for response in responses)


def asked(origins: Regions, method: str = "GET") -> dict[str, int]:
    return {name: origin.count(method, PAGE) for name, origin in origins.items()}


def test_a_slow_region_is_not_hedged_for_ever(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("slow", seconds=1.5 * HEDGE / 1000, path=PAGE)
    for _ in range(5):
        crowd(edge, 20, DENVER)
    found = asked(origins)
    assert found["us"] == 100
    assert 0 < found["eu"] + found["apac"] <= 10


def test_regions_that_are_all_slow_get_each_get_once(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    for origin in origins.values():
        origin.fail("slow", seconds=3.5 * HEDGE / 1000, path=PAGE)
    for _ in range(4):
        crowd(edge, 60, DENVER, MADRID, TOKYO)
    # Each twice would be 480. Before anything is known of a region some go twice, the more the
    # longer this machine takes to answer.
    assert sum(asked(origins).values()) <= 1.5 * 240


def test_events_that_come_late_are_subscribed_to_once(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("slow", seconds=2 * HEDGE / 1000, path=PAGE)
    events = {"accept": "text/event-stream"}
    assert edge.request(PAGE, DENVER, headers=events).headers["x-edge-region"] == "us"
    assert asked(origins) == {"us": 1, "eu": 0, "apac": 0}
    # Where the region is silent as a whole, they move on like others.
    origins["us"].fail("hang")
    assert edge.request(PAGE, DENVER, headers=events).headers["x-edge-region"] == "eu"


def test_everybody_leaves_a_black_hole(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("hang")
    assert crowd(edge, 40, DENVER) == {"eu": 40}
    assert asked(origins) == {"us": 40, "eu": 40, "apac": 0}
    poll(lambda: "silence_checked" in edge.log(), "the silence was looked into")
    assert crowd(edge, 40, DENVER) == {"eu": 40}
    assert asked(origins) == {"us": 40, "eu": 80, "apac": 0}
    assert origins["us"].count("GET", "/healthz") == 1


def test_visitors_leave_an_application_that_hangs(start_edge: Start, origins: Regions) -> None:
    """Its ingress lives, and answers the health path."""
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("hang", path=PAGE)
    assert crowd(edge, 20, DENVER) == {"eu": 20}
    assert "cause: 'no answers'" in edge.log()
    assert crowd(edge, 20, DENVER, method="POST") == {"eu": 20}
    assert asked(origins, "POST") == {"us": 0, "eu": 20, "apac": 0}
    # Others of the same region are not concerned.
    response = edge.request("/", DENVER, headers={"host": "api.example.com"})
    assert response.headers["x-edge-region"] == "us"


def test_a_known_outage_is_not_multiplied(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    for origin in origins.values():
        origin.fail("status", status=521)
    assert edge.request(PAGE, DENVER).status_code == 503
    before = sum(asked(origins).values())
    for _ in range(10):
        assert edge.request(PAGE, DENVER).status_code == 503
    assert sum(asked(origins).values()) - before == 10 * len(origins)
