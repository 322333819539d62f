"""Each routing rule, through the real runtime."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import (
    APAC,
    DENVER,
    EU,
    HOST,
    MADRID,
    REGIONS,
    TOKYO,
    US,
    Edge,
)


@pytest.mark.parametrize(
    ("visitor", "expected"), [(DENVER, "us"), (MADRID, "eu"), (TOKYO, "apac")], ids=str
)
def test_nearest_region(edge: Edge, visitor: dict[str, Any], expected: str) -> None:
    response = edge.request("/page", visitor)
    assert response.text == f"{expected} /page\n"
    assert response.headers["x-edge-region"] == expected
    assert "x-edge-attempts" not in response.headers


@pytest.mark.parametrize("cf", [None, {}, {"country": "XX"}], ids=["no cf", "empty", "unknown"])
def test_order_of_the_table_without_a_place(edge: Edge, cf: dict[str, Any] | None) -> None:
    assert edge.request("/", cf).headers["x-edge-region"] == "us"


@pytest.mark.parametrize(
    ("cf", "expected"),
    [
        ({"country": "DE", "continent": "EU"}, "eu"),
        ({"country": "JP"}, "apac"),
        ({"continent": "EU"}, "eu"),
        ({"colo": "SIN"}, "apac"),
        ({**TOKYO, "country": "T1"}, "apac"),
    ],
    ids=["country", "country alone", "continent", "data centre", "Tor"],
)
def test_a_place_that_is_known_roughly(edge: Edge, cf: dict[str, Any], expected: str) -> None:
    assert edge.request("/", cf).headers["x-edge-region"] == expected


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ([{**US, "countries": ["ES"]}, EU, APAC], "us"),
        ([US, EU, {**APAC, "continents": ["EU"]}], "apac"),
        ([{**US, "continents": ["EU"]}, EU, {**APAC, "countries": ["ES"]}], "apac"),
        ([US, {**EU, "drain": True}, APAC], "us"),
        ([US, {**EU, "weight": 0}, APAC], "us"),
    ],
    ids=["country", "continent", "country before continent", "drain", "weight 0"],
)
def test_rules_of_the_table(
    start_edge: Callable[..., Edge], regions: list[dict[str, Any]], expected: str
) -> None:
    assert start_edge(regions).request("/", MADRID).headers["x-edge-region"] == expected


def test_canary_takes_its_share_of_visitors_and_keeps_them(
    start_edge: Callable[..., Edge],
) -> None:
    edge = start_edge([{**APAC, **{k: EU[k] for k in ("lat", "lon")}, "weight": 30}, EU, US])
    visitors = [f"198.51.100.{n}" for n in range(200)]

    def region_of(visitor: str) -> str:
        return edge.request("/", MADRID, visitor=visitor).headers["x-edge-region"]

    first = [region_of(visitor) for visitor in visitors]
    assert set(first) == {"eu", "apac"}
    assert 30 < first.count("apac") < 90
    assert first[:50] == [region_of(visitor) for visitor in visitors[:50]]


def test_strict_region_down_gives_its_own_answer(
    start_edge: Callable[..., Edge], origins: Regions
) -> None:
    edge = start_edge([US, {**EU, "strict": True}, APAC])
    origins["eu"].die()
    response = edge.request("/", MADRID)
    assert response.status_code == 503
    assert "The region that serves you" in response.text
    assert response.headers["retry-after"] == "10"
    assert response.headers["cache-control"] == "no-store"
    assert "x-edge-region" not in response.headers
    assert not origins["us"].seen
    assert not origins["apac"].seen


def test_a_strict_regions_visitor_has_no_cache(
    start_edge: Callable[..., Edge], origins: Regions
) -> None:
    """no-store shows at the origin, as no-cache."""
    edge = start_edge([US, {**EU, "strict": True}, APAC])
    assert edge.request("/", MADRID).headers["x-edge-region"] == "eu"
    assert edge.request("/", DENVER).headers["x-edge-region"] == "us"
    assert origins["eu"].seen[0].headers.get("cache-control") == "no-cache"
    assert "cache-control" not in origins["us"].seen[0].headers


def test_strict_region_still_takes_others_in(
    start_edge: Callable[..., Edge], origins: Regions
) -> None:
    edge = start_edge([US, {**EU, "strict": True}, APAC])
    origins["us"].die()
    assert edge.request("/", DENVER).headers["x-edge-region"] == "eu"


def test_every_region_drained(start_edge: Callable[..., Edge], origins: Regions) -> None:
    response = start_edge([{**r, "drain": True} for r in REGIONS]).request("/", DENVER)
    assert response.status_code == 503
    assert not any(origin.seen for origin in origins.values())


def test_host_is_kept(edge: Edge, origins: Regions) -> None:
    edge.request("/", MADRID, headers={"host": HOST})
    assert origins["eu"].seen[0].headers["host"] == HOST
