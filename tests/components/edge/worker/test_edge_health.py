"""Probes from the edge, what they leave for requests, and the operators' page."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, HERE, REGIONS, Edge, poll

Start = Callable[..., Edge]
TOKEN = {"authorization": "Bearer t0ken"}
CLOCK = HERE / "clock.js"
MINUTE = 60_000


def at(edge: Edge, minutes: int) -> None:
    assert edge.request("/", headers={"x-test-clock": str(minutes * MINUTE)}).text == "set"


def regions_of(edge: Edge, count: int, method: str = "GET") -> list[str]:
    responses = [edge.request("/", DENVER, method=method) for _ in range(count)]
    return [response.headers["x-edge-region"] for response in responses]


def status_of(edge: Edge) -> dict[str, Any]:
    response = edge.request("/.edge/status", headers=TOKEN)
    assert response.status_code == 200
    return json.loads(response.text)


def test_probe_asks_the_regions_own_name(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(healthPath="/ready?from=edge")
    assert edge.fire_cron()["outcome"] == "ok"
    for name, origin in origins.items():
        (seen,) = origin.seen
        assert (seen.method, seen.path) == ("GET", "/ready?from=edge")
        assert seen.headers["host"] == f"{name}.example.com"
        assert seen.headers["user-agent"] == "edgefleet-probe"


def test_probe_carries_the_origins_secret(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(ORIGIN_SECRET="s3cret", ORIGIN_SECRET_HEADER="x-origin-auth")
    edge.fire_cron()
    assert origins["eu"].seen[0].headers["x-origin-auth"] == "s3cret"


def test_probe_is_logged_and_failures_are_asked_twice(start_edge: Start, origins: Regions) -> None:
    origins["eu"].fail("status", status=503)
    edge = start_edge()
    edge.fire_cron()
    assert [len(origin.seen) for origin in origins.values()] == [1, 2, 1]
    log = " ".join(edge.log().split())
    assert "{ event: 'probe', region: 'us', up: true, detail: 'status 200'" in log
    assert "{ event: 'probe', region: 'eu', up: false, detail: 'status 503'" in log


def test_kv_is_written_only_when_something_changed(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(kv=True)
    writes = []

    def probe() -> None:
        edge.fire_cron()
        writes.append(edge.kv_counts()["PUT"])

    probe()
    probe()
    probe()
    origins["apac"].die()
    probe()
    probe()
    origins["apac"].rise()
    probe()
    probe()
    assert writes == [1, 1, 1, 2, 2, 3, 3]


def test_probes_verdict_keeps_visitors_away(start_edge: Start, origins: Regions) -> None:
    """The ingress answers health probes with 503, and everything else as if nothing were wrong."""
    origins["us"].fail("status", status=503, path="/healthz")
    edge = start_edge(kv=True)
    edge.fire_cron()
    response = edge.request("/", DENVER)
    assert response.headers["x-edge-region"] == "eu"
    assert "x-edge-attempts" not in response.headers
    origins["us"].fault = None
    edge.fire_cron()
    assert edge.request("/", DENVER).headers["x-edge-region"] == "us"


def test_other_isolates_read_the_verdict(start_edge: Start, origins: Regions) -> None:
    origins["us"].fail("status", status=503, path="/healthz")
    writer = start_edge(kv=True)
    writer.fire_cron()
    reader = start_edge(kv=True, kv_dir=writer.kv_dir)
    # The first request isn't delayed by reading: it only makes it happen.
    poll(
        lambda: reader.request("/", DENVER).headers["x-edge-region"] == "eu",
        "the verdict had been read",
    )
    reads = reader.kv_counts()["GET"]
    for _ in range(20):
        reader.request("/", DENVER)
    assert reader.kv_counts()["GET"] == reads == 1


def test_last_region_is_served_whatever_probes_say(start_edge: Start, origins: Regions) -> None:
    for origin in origins.values():
        origin.fail("status", status=503, path="/healthz")
    edge = start_edge(kv=True)
    edge.fire_cron()
    assert edge.request("/", DENVER).text == "us /\n"


def test_broken_kv_stops_neither_requests_nor_probes(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(kv=True)
    edge.kv_counts(broken="true")
    assert edge.request("/", DENVER).text == "us /\n"
    assert edge.fire_cron()["outcome"] == "ok"
    assert edge.request("/", DENVER).text == "us /\n"
    poll(lambda: "health_not_read" in edge.log(), "the failed read was logged")
    assert "health_not_written" in edge.log()


def test_cron_without_kv_only_logs(start_edge: Start, origins: Regions) -> None:
    origins["us"].fail("status", status=503, path="/healthz")
    edge = start_edge()
    edge.fire_cron()
    assert edge.request("/", DENVER).headers["x-edge-region"] == "us"


def test_a_long_outage_is_remembered(start_edge: Start, origins: Regions) -> None:
    origins["us"].fail("status", status=503, path="/healthz")
    writer = start_edge(kv=True, main=CLOCK)
    for minutes, writes in [(0, 1), (10, 1), (30, 2), (40, 2), (55, 3)]:
        at(writer, minutes)
        writer.fire_cron()
        assert writer.kv_counts()["PUT"] == writes, f"after {minutes} minutes"
    reader = start_edge(kv=True, kv_dir=writer.kv_dir, main=CLOCK)
    at(reader, 110)
    assert regions_of(reader, 1, "POST") == ["eu"]
    assert origins["us"].count("POST") == 0


def test_a_verdict_that_nobody_confirms_is_forgotten(start_edge: Start, origins: Regions) -> None:
    origins["us"].fail("status", status=503, path="/healthz")
    writer = start_edge(kv=True, main=CLOCK)
    writer.fire_cron()
    reader = start_edge(kv=True, kv_dir=writer.kv_dir, main=CLOCK)
    at(reader, 61)
    assert regions_of(reader, 1, "POST") == ["us"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_new_isolates_first_post_knows_the_verdict(
    start_edge: Start, origins: Regions, method: str
) -> None:
    origins["us"].fail("status", status=503, path="/healthz")
    writer = start_edge(kv=True)
    writer.fire_cron()
    reader = start_edge(kv=True, kv_dir=writer.kv_dir)
    assert regions_of(reader, 1, method) == ["eu"]
    assert reader.kv_counts()["GET"] == 1


def test_a_first_post_does_not_depend_on_kv(start_edge: Start) -> None:
    edge = start_edge(kv=True)
    edge.kv_counts(broken="true")
    assert regions_of(edge, 1, "POST") == ["us"]


def test_posts_alone_find_a_dead_region(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].die()
    assert edge.request("/", DENVER, method="POST", data=b"x").status_code == 502
    poll(lambda: "silence_checked" in edge.log(), "the lost connection was looked into")
    assert regions_of(edge, 3, "POST") == ["eu"] * 3


def test_the_crons_place_does_not_overrule_what_visitors_meet(
    start_edge: Start, origins: Regions
) -> None:
    """Only the cron's two probes failed."""
    edge = start_edge(kv=True)
    assert regions_of(edge, 1) == ["us"]
    origins["us"].fail("status", status=522, path="/healthz", times=2)
    edge.fire_cron()
    assert origins["us"].fault
    assert origins["us"].fault.times == 0
    assert regions_of(edge, 100) == ["us"] * 100


def test_a_new_isolate_checks_the_crons_verdict(start_edge: Start, origins: Regions) -> None:
    origins["us"].fail("status", status=522, path="/healthz", times=2)
    edge = start_edge(kv=True)
    edge.fire_cron()
    # Nobody waits for the check.
    assert regions_of(edge, 1) == ["eu"]
    poll(lambda: "verdict_checked" in edge.log(), "the verdict was checked")
    assert regions_of(edge, 20) == ["us"] * 20
    # The same verdict read again changes nothing.
    assert origins["us"].count("GET", "/healthz") == 3


def test_a_verdict_that_holds_from_here_too_is_believed(
    start_edge: Start, origins: Regions
) -> None:
    edge = start_edge(kv=True)
    assert regions_of(edge, 1) == ["us"]
    origins["us"].fail("status", status=503, path="/healthz")
    edge.fire_cron()
    assert regions_of(edge, 1) == ["us"]
    poll(lambda: "verdict_checked" in edge.log(), "the verdict was checked")
    assert regions_of(edge, 5) == ["eu"] * 5
    assert origins["us"].count("GET", "/healthz") == 3


# ---- the operators' page


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "t0ken"}], ids=str
)
def test_status_is_protected(start_edge: Start, origins: Regions, headers: dict[str, str]) -> None:
    response = start_edge(STATUS_TOKEN="t0ken").request("/.edge/status", headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert "us" not in response.text.split()
    assert not any(origin.seen for origin in origins.values())


def test_status_is_a_path_like_any_other_without_its_token(edge: Edge) -> None:
    assert edge.request("/.edge/status", DENVER).text == "us /.edge/status\n"


def test_only_the_path_itself_is_the_status_page(start_edge: Start) -> None:
    edge = start_edge(STATUS_TOKEN="t0ken")
    path = "/search?q=/.edge/status"
    assert edge.request(path, DENVER, headers=TOKEN).text == "us /search\n"


def test_status_shows_regions_probes_and_drain(start_edge: Start, origins: Regions) -> None:
    us, eu, apac = REGIONS
    edge = start_edge([us, {**eu, "drain": True}, apac], kv=True, STATUS_TOKEN="t0ken")
    origins["us"].die()
    edge.fire_cron()
    edge.request("/", DENVER)
    page = status_of(edge)
    rows = {row["name"]: row for row in page["regions"]}
    assert rows["eu"]["drain"] is True
    assert rows["eu"]["probe"]["detail"] == "status 200"
    assert rows["us"]["probe"]["up"] is False
    assert page["recorded"]["us"]["up"] is False
    assert page["recorded"]["apac"]["up"] is True
    assert rows["apac"]["isolate"] == "up"


def test_status_shows_what_the_isolate_met(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(STATUS_TOKEN="t0ken")
    origins["us"].die()
    edge.request("/", DENVER)
    page = status_of(edge)
    assert page["regions"][0]["isolate"].startswith("down for ")
    assert page["recorded"] == "no HEALTH namespace is bound"
