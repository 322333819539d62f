"""Applications that are dead behind an ingress that lives."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, HOST, REGIONS, Edge, poll

Start = Callable[..., Edge]
OTHER = "api.example.com"


def answers(edge: Edge, count: int, method: str = "GET", host: str = HOST) -> Counter[str]:
    """Whose answers so many visitors got, or with which status."""
    found: Counter[str] = Counter()
    for _ in range(count):
        response = edge.request("/page", DENVER, method=method, headers={"host": host})
        good = response.status_code == 200
        found[response.headers["x-edge-region"] if good else str(response.status_code)] += 1
    return found


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_dead_application_costs_no_get(start_edge: Start, origins: Regions, status: int) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=status)
    assert answers(edge, 100) == {"eu": 100}
    # It was ejected, and the others go elsewhere at once.
    assert origins["us"].count("GET") == 5
    assert answers(edge, 10, "POST") == {"eu": 10}
    assert origins["us"].count("POST") == 0


def test_posts_eject_as_well(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=502)
    assert answers(edge, 20, "POST") == {"502": 5, "eu": 15}
    posts = Counter({name: origin.count("POST") for name, origin in origins.items()})
    assert posts == {"us": 5, "eu": 15, "apac": 0}


def test_without_repeats_the_first_few_fail(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(retryOn5xx=False)
    origins["us"].fail("status", status=502)
    assert answers(edge, 100) == {"502": 5, "eu": 95}


def test_not_all_regions_are_ejected(start_edge: Start, origins: Regions) -> None:
    """An application that is broken everywhere is answered by its own region, without a crowd of
    repeats."""
    edge = start_edge()
    for origin in origins.values():
        origin.fail("status", status=503)
    assert answers(edge, 100) == {"503": 100}
    asked = sum(origin.count("GET") for origin in origins.values())
    assert asked <= 120, "each visitor asks one, but for the first few"
    assert edge.log().count("event: 'ejected'") == 1


def test_an_ejection_is_one_hosts(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=502)
    assert answers(edge, 10) == {"eu": 10}
    origins["us"].fault = None
    assert answers(edge, 3) == {"eu": 3}
    assert answers(edge, 3, host=OTHER) == {"us": 3}


def test_back_by_slow_start(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(outlierDetection={"baseEjectionMs": 300})
    origins["us"].fail("status", status=502)
    answers(edge, 5)
    origins["us"].fault = None
    assert answers(edge, 1, "POST") == {"eu": 1}
    # A GET tries it, never a POST.
    poll(lambda: answers(edge, 1) == {"us": 1}, "the application was tried")
    found = answers(edge, 60)
    assert set(found) == {"us", "eu"}
    assert found["us"] < found["eu"], "a tenth of the visitors at first"


def test_a_health_path_of_the_hosts_application(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(
        hosts={HOST: {"healthPath": "/ready"}}, outlierDetection={"baseEjectionMs": 300}
    )
    origins["us"].fail("status", status=503, path="/ready")
    poll(lambda: answers(edge, 1) == {"eu": 1}, "the application's own word kept visitors away")
    seen = [seen for seen in origins["us"].seen if seen.path == "/ready"]
    assert {seen.headers["host"] for seen in seen} == {HOST}
    assert len(seen) >= 2, "asked twice before it counts"
    # No visitor tries it; what brings it back is its health path.
    pages = origins["us"].count("GET", "/page")
    assert answers(edge, 20, "POST") == {"eu": 20}
    poll(lambda: answers(edge, 1) and origins["us"].count("GET", "/ready") > 4, "asked again")
    assert origins["us"].count("GET", "/page") == pages
    origins["us"].fault = None
    poll(lambda: answers(edge, 1) == {"us": 1}, "the application is back")


def test_no_health_path_is_asked_of_other_hosts(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hosts={HOST: {"healthPath": "/ready"}})
    assert answers(edge, 3, host=OTHER) == {"us": 3}
    assert origins["us"].count("GET", "/ready") == 0


def test_hosts_have_regions_of_their_own(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hosts={OTHER: {"regions": ["apac", "eu"], "retryOn5xx": False}})
    assert answers(edge, 2, host=OTHER) == {"eu": 2}
    origins["eu"].die()
    assert answers(edge, 2, host=OTHER) == {"apac": 2}
    origins["apac"].fail("status", status=502)
    assert answers(edge, 2, host=OTHER) == {"502": 2}
    assert not origins["us"].seen
    assert answers(edge, 2) == {"us": 2}
    assert len(REGIONS) == 3
