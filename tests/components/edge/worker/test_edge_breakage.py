"""A Worker that is configured wrongly, or has a defect."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, EU, HERE, REGIONS, US, Edge

Start = Callable[..., Edge]
FAULTY = HERE / "faulty.js"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "CONFIG.regions must be a list"),
        ({"regions": [{**US, "lat": "north"}, EU]}, "CONFIG.regions[0].lat must be degrees"),
        ("regions", "CONFIG must be a JSON object"),
    ],
    ids=["empty", "wrong type", "text"],
)
def test_malformed_config_has_a_page_and_a_log(
    start_edge: Start, origins: Regions, config: Any, problem: str
) -> None:
    edge = start_edge(raw=config)
    response = edge.request("/", DENVER)
    assert response.status_code == 500
    assert "not configured correctly" in response.text
    assert response.headers["cache-control"] == "no-store"
    assert problem not in response.text
    assert problem in edge.log()
    assert edge.fire_cron()["outcome"] == "ok"
    assert not any(origin.seen for origin in origins.values())


def test_defect_passes_through(start_edge: Start) -> None:
    """The request goes to the host's own record, here the region us, as if there were no Worker."""
    edge = start_edge(main=FAULTY)
    response = edge.request("/page?x=1", DENVER)
    assert (response.status_code, response.text) == (200, "us /page\n")
    assert "x-edge-region" not in response.headers
    assert "defect" in edge.log()


def test_defect_with_a_body_does_not_pass_through(start_edge: Start, origins: Regions) -> None:
    response = start_edge(main=FAULTY).request("/", DENVER, method="POST", data=b"x")
    assert (response.status_code, "at the edge" in response.text) == (500, True)
    assert not origins["us"].seen


def test_defect_beside_a_strict_region_does_not_pass_through(
    start_edge: Start, origins: Regions
) -> None:
    edge = start_edge([*REGIONS[:2], {**REGIONS[2], "strict": True}], main=FAULTY)
    assert edge.request("/", DENVER).status_code == 500
    assert not any(origin.seen for origin in origins.values())
