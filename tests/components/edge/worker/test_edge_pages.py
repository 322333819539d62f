"""What the Worker answers itself: maintenance, pages of the site's own, and headers of its own."""

import re
from collections.abc import Callable

import pytest

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import APAC, DENVER, EU, HOST, REGIONS, US, Edge

Start = Callable[..., Edge]

OTHER = "api.example.com"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_maintenance_reaches_no_region(start_edge: Start, origins: Regions, method: str) -> None:
    drained = [{**region, "drain": True} for region in REGIONS]
    edge = start_edge(
        drained, maintenance=True, maintenanceRetryAfter=600, PAGE_MAINTENANCE="<p>Back at six"
    )
    response = edge.request("/", DENVER, method=method, data="order" if method == "POST" else None)
    assert (response.status_code, response.text) == (503, "<p>Back at six")
    assert response.headers["retry-after"] == "600"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert [origin.seen for origin in origins.values()] == [[], [], []]


def test_maintenance_of_one_host(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hosts={OTHER: {"maintenance": True}})
    response = edge.request("/", DENVER, headers={"host": OTHER})
    assert (response.status_code, response.headers["retry-after"]) == (503, "3600")
    assert "is being worked on" in response.text
    assert edge.request("/", DENVER, headers={"host": HOST}).status_code == 200
    edge = start_edge(maintenance=True, hosts={OTHER: {"maintenance": False}})
    assert edge.request("/", DENVER, headers={"host": OTHER}).status_code == 200
    assert edge.request("/", DENVER, headers={"host": HOST}).status_code == 503


def test_pages_of_the_sites_own(start_edge: Start, origins: Regions) -> None:
    own = {"PAGE_UNAVAILABLE": "<p>Nobody there", "PAGE_UNCLEAR": "<p>Look before you repeat"}
    edge = start_edge([US], **own)
    origins["us"].fail("reset")
    response = edge.request("/order", DENVER, method="POST", data="order")
    assert (response.status_code, response.text) == (502, "<p>Look before you repeat")
    assert "retry-after" not in response.headers
    origins["us"].die()
    response = edge.request("/", DENVER)
    assert (response.status_code, response.text) == (503, "<p>Nobody there")
    assert response.headers["retry-after"] == "10"
    edge = start_edge(raw={}, PAGE_ERROR="<p>Broken")
    response = edge.request("/", DENVER)
    assert (response.status_code, response.text) == (500, "<p>Broken")


def test_server_timing(start_edge: Start, origins: Regions) -> None:
    edge = start_edge([US, EU, APAC], responseHeaders="server-timing")
    origins["us"].fail("slow", seconds=0.3)
    response = edge.request("/named", DENVER)
    assert response.headers["x-edge-region"] == "us"
    found = re.fullmatch(r'edge;dur=(\d+);desc="us, attempt 1"', response.headers["server-timing"])
    assert found
    assert int(found[1]) >= 290
    origins["us"].fail("status", status=521)
    assert 'desc="eu, attempt 2"' in edge.request("/", DENVER).headers["server-timing"]


def test_silence(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(responseHeaders="none")
    origins["us"].fail("status", status=521, times=1)
    # Failed over; by an ingress that names itself; and by one that doesn't.
    for path in ("/named", "/named", "/"):
        response = edge.request(path, DENVER)
        assert response.status_code == 200
        assert not [name for name in response.headers if name.startswith(("x-edge", "server-t"))]
    assert origins["us"].seen
    assert origins["eu"].seen
