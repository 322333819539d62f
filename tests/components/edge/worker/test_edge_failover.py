"""A failing region: what moves on, what is sent twice, what is remembered."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, REGIONS, Edge, poll

Start = Callable[..., Edge]

# Long enough that nothing hedges by chance on a busy machine, short enough for tests.
HEDGE = 400


def region_of(response: requests.Response) -> str:
    assert response.status_code == 200, response.text
    return response.headers["x-edge-region"]


# ---- moving on


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_dead_region_is_passed_over(start_edge: Start, origins: Regions, method: str) -> None:
    edge = start_edge()
    origins["us"].die()
    response = edge.request("/", DENVER, method=method)
    assert region_of(response) == "eu"
    assert response.headers["x-edge-attempts"] == "2"


def test_two_dead_regions(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].die()
    origins["eu"].die()
    response = edge.request("/", DENVER)
    assert region_of(response) == "apac"
    assert response.headers["x-edge-attempts"] == "3"


@pytest.mark.parametrize("status", [520, 521, 522, 523, 524, 525, 526, 530])
def test_cloudflares_errors_move_on(start_edge: Start, origins: Regions, status: int) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=status)
    assert region_of(edge.request("/", DENVER)) == "eu"


def test_region_without_dns_moves_on(start_edge: Start) -> None:
    new = {**REGIONS[0], "name": "us-2", "host": "us-2.example.com"}
    assert region_of(start_edge([new, *REGIONS[1:]]).request("/", DENVER)) == "eu"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_ingress_errors_move_on_unless_told_otherwise(
    start_edge: Start, origins: Regions, status: int
) -> None:
    origins["us"].fail("status", status=status)
    response = start_edge(retryOn5xx=False).request("/", DENVER)
    assert (response.status_code, response.text) == (status, f"{status} of us")

    edge = start_edge()
    assert region_of(edge.request("/", DENVER)) == "eu"
    assert edge.request("/", DENVER, method="POST").text == f"{status} of us"
    # The ingress answers: the region is not down.
    origins["us"].fault = None
    assert region_of(edge.request("/", DENVER)) == "us"


def test_reset_before_headers_moves_on(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("reset")
    assert region_of(edge.request("/", DENVER)) == "eu"


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 521}], ids=str)
def test_regions_that_fail_in_turn_are_asked_once_more(
    start_edge: Start, origins: Regions, fault: dict[str, Any]
) -> None:
    edge = start_edge()
    for origin in origins.values():
        origin.fail(**fault, times=1)
    response = edge.request("/", DENVER)
    assert region_of(response) == "us"
    assert response.headers["x-edge-attempts"] == "4"


def test_broken_url_is_not_asked_for_again(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    for origin in origins.values():
        origin.fail("status", status=524)
    response = edge.request("/", DENVER)
    assert (response.status_code, response.headers["x-edge-attempts"]) == (524, "3")


def test_reset_after_headers_is_not_retried(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("reset-body")
    with pytest.raises(requests.exceptions.RequestException):
        edge.request("/", DENVER)
    assert [len(origins[name].seen) for name in ("us", "eu", "apac")] == [1, 0, 0]


@pytest.mark.parametrize("status", [404, 500, 501])
def test_answers_are_answers(start_edge: Start, origins: Regions, status: int) -> None:
    edge = start_edge(retryOn5xx=True)
    origins["us"].fail("status", status=status)
    assert edge.request("/", DENVER).status_code == status
    assert not origins["eu"].seen


# ---- nothing that may have run is sent again


@pytest.mark.parametrize("body", [b"", b"small", bytes(200_000)], ids=["none", "small", "large"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_lost_connection_is_not_repeated(
    start_edge: Start, origins: Regions, method: str, body: bytes
) -> None:
    edge = start_edge()
    origins["us"].fail("reset")
    response = edge.request("/order", DENVER, method=method, data=body)
    assert response.status_code == 502
    assert "may have been carried out" in response.text
    assert "retry-after" not in response.headers
    assert [origins[name].count(method) for name in ("us", "eu", "apac")] == [1, 0, 0]


def test_an_idempotency_key_may_be_repeated_where_asked_for(
    start_edge: Start, origins: Regions
) -> None:
    origins["us"].fail("reset")
    key = {"idempotency-key": '"8e03978e"'}

    def order(edge: Edge, headers: dict[str, str]) -> requests.Response:
        return edge.request("/order", DENVER, method="POST", data=b"one", headers=headers)

    assert order(start_edge(), key).status_code == 502
    edge = start_edge(retryIdempotencyKey=True)
    assert order(edge, {}).status_code == 502
    assert not origins["eu"].seen
    assert region_of(order(edge, key)) == "eu"
    assert [seen.size for seen in origins["eu"].seen] == [3]


def test_put_with_a_body_is_not_repeated(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("reset")
    assert edge.request("/", DENVER, method="PUT", data=b"x").status_code == 502
    assert not origins["eu"].seen


@pytest.mark.parametrize("status", [520, 522, 524])
def test_unclear_failure_is_not_repeated(start_edge: Start, origins: Regions, status: int) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=status)
    assert edge.request("/", DENVER, method="POST", data=b"x").status_code == status
    assert not origins["eu"].seen


@pytest.mark.parametrize("status", [521, 523, 525, 526, 530])
@pytest.mark.parametrize("body", [b"", b"x" * 60_000], ids=["none", "small"])
def test_what_no_origin_had_moves_on(
    start_edge: Start, origins: Regions, status: int, body: bytes
) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=status)
    response = edge.request("/order", DENVER, method="POST", data=body)
    assert region_of(response) == "eu"
    assert [seen.size for seen in origins["eu"].seen] == [len(body)]


@pytest.mark.parametrize("status", [521, 523, 525, 526, 530])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_a_relayed_status_was_answered(
    start_edge: Start, origins: Regions, status: int, method: str, named: bool
) -> None:
    """The application did its work, asked somebody behind Cloudflare, and relays his error."""
    edge = start_edge()
    for name, origin in origins.items():
        origin.fail("relay", status=status, headers={"x-edge-region": name} if named else {})
    response = edge.request("/order", DENVER, method=method, data=b"one")
    assert (response.status_code, response.text) == (status, f"{status} of us")
    assert [origin.count(method) for origin in origins.values()] == [1, 0, 0]
    # The region is not down.
    origins["us"].fault = None
    assert region_of(edge.request("/", DENVER, method="POST", data=b"x")) == "us"


def test_a_named_answer_is_the_regions(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("relay", status=522, headers={"x-edge-region": "us"})
    assert edge.request("/", DENVER).text == "522 of us"
    assert not origins["eu"].seen
    # The name of another region proves nothing.
    origins["us"].fail("relay", status=522, headers={"x-edge-region": "eu"})
    assert region_of(edge.request("/", DENVER)) == "eu"


def test_large_body_cannot_move_on(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=521)
    response = edge.request("/", DENVER, method="POST", data=bytes(70_000))
    assert (response.status_code, response.headers["retry-after"]) == (503, "10")
    # The region is known to be down now: the next goes elsewhere at once.
    response = edge.request("/", DENVER, method="POST", data=bytes(70_000))
    assert region_of(response) == "eu"
    assert "x-edge-attempts" not in response.headers


def test_post_is_not_hedged(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("slow", seconds=3 * HEDGE / 1000)
    for method, body in [("POST", b"x"), ("POST", b""), ("DELETE", b""), ("PUT", b"")]:
        response = edge.request("/", DENVER, method=method, data=body)
        assert region_of(response) == "us"
    assert not origins["eu"].seen


# ---- slow is not dead


def test_hanging_region_is_hedged_and_not_marked_down(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("hang", path="/hangs")
    response = edge.request("/hangs", DENVER)
    assert region_of(response) == "eu"
    assert response.headers["x-edge-attempts"] == "2"
    # The loser is cancelled.
    (loser,) = [seen for seen in origins["us"].seen if seen.path == "/hangs"]
    poll(lambda: loser.cancelled, "the origin saw its request cancelled")
    # Other URLs are not affected.
    response = edge.request("/other", DENVER)
    assert region_of(response) == "us"
    assert "x-edge-attempts" not in response.headers


def test_silent_region_is_marked_down_if_its_health_path_is_silent_too(
    start_edge: Start, origins: Regions
) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("hang")
    assert edge.request("/", DENVER).headers["x-edge-attempts"] == "2"
    poll(lambda: "silence_checked" in edge.log(), "the silence was looked into")
    for method in ("GET", "POST"):
        response = edge.request("/", DENVER, method=method)
        assert region_of(response) == "eu"
        assert "x-edge-attempts" not in response.headers
    assert origins["us"].count("GET", "/healthz") == 1


def test_silence_is_looked_into_once_for_many_visitors(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=50)
    origins["us"].fail("hang", path="/hangs")
    for _ in range(5):
        assert region_of(edge.request("/hangs", DENVER)) == "eu"
    assert origins["us"].count("GET", "/healthz") == 1


def test_second_of_two_is_cancelled_if_the_first_wins(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=HEDGE)
    origins["us"].fail("slow", seconds=2.5 * HEDGE / 1000, path="/trickle")
    origins["eu"].fail("hang")
    origins["apac"].fail("hang", path="/trickle")
    response = edge.request("/trickle", DENVER, stream=True)
    assert region_of(response) == "us"
    # While the winner's body still flows.
    chunks = response.iter_content(4)
    assert next(chunks) == b"drop"
    for name in ("eu", "apac"):
        losers = [seen for seen in origins[name].seen if seen.path == "/trickle"]
        assert len(losers) == 1
        poll(lambda seen=losers[0]: seen.cancelled, f"{name} saw its request cancelled")
    # At once, not only when all is over: eu's silence is still being looked into.
    (probe,) = [seen for seen in origins["eu"].seen if seen.path == "/healthz"]
    assert not probe.cancelled
    edge.request("/enough", DENVER, method="POST")
    assert set(chunks) <= {b"drop"}


@pytest.mark.parametrize("count", [1, 2])
def test_last_candidate_has_no_timer(start_edge: Start, origins: Regions, count: int) -> None:
    edge = start_edge(REGIONS[:count], hedgeAfterMs=50)
    for origin in origins.values():
        origin.fail("slow", seconds=0.4, path="/")
    assert region_of(edge.request("/", DENVER)) == "us"
    assert [origin.count("GET", "/") for origin in origins.values()] == [1, count - 1, 0]


def test_hedging_can_be_turned_off(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=0)
    origins["us"].fail("slow", seconds=0.5)
    assert region_of(edge.request("/", DENVER)) == "us"
    assert not origins["eu"].seen


def test_slow_body_is_not_hedged(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(hedgeAfterMs=100)
    response = edge.request("/trickle", DENVER, stream=True)
    chunks = response.iter_content(4)
    # One each 50 ms.
    assert [next(chunks) for _ in range(8)] == [b"drop"] * 8
    edge.request("/enough", DENVER, method="POST")
    assert not origins["eu"].seen


def test_at_most_four_connections_at_once(start_edge: Start, origins: Regions) -> None:
    twins = [
        {**r, "name": f"{r['name']}-{i}", "host": f"{i}.{r['host']}"}
        for i in range(3)
        for r in REGIONS
    ]
    edge = start_edge(twins, hedgeAfterMs=30)
    for origin in origins.values():
        origin.fail("slow", seconds=1.0)
    response = edge.request("/", DENVER)
    assert response.headers["x-edge-attempts"] == "4"
    assert sum(origin.count("GET", "/") for origin in origins.values()) == 4


# ---- memory


@pytest.mark.parametrize("status", [521, 522, 523, 525, 526, 530, None])
def test_region_that_is_down_is_remembered(
    start_edge: Start, origins: Regions, status: int | None
) -> None:
    edge = start_edge()
    if status is None:
        origins["us"].die()
    else:
        origins["us"].fail("status", status=status)
    assert edge.request("/", DENVER).headers["x-edge-attempts"] == "2"
    response = edge.request("/", DENVER)
    assert region_of(response) == "eu"
    assert "x-edge-attempts" not in response.headers
    # POST profits as well, although it couldn't have moved on.
    assert region_of(edge.request("/", DENVER, method="POST", data=b"x")) == "eu"


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 521}], ids=str)
def test_one_node_that_refuses_does_not_take_its_region_away(
    start_edge: Start, origins: Regions, fault: dict[str, Any]
) -> None:
    edge = start_edge()
    origins["us"].fail(**fault, times=1)
    assert region_of(edge.request("/", DENVER)) == "eu"
    poll(lambda: "failure_checked" in edge.log(), "the failure was looked into")
    assert region_of(edge.request("/", DENVER)) == "us"
    assert origins["us"].count("GET", "/healthz") == 1


def test_a_region_that_is_down_is_looked_into_once(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=521)
    assert region_of(edge.request("/", DENVER)) == "eu"
    poll(lambda: "failure_checked" in edge.log(), "the failure was looked into")
    for _ in range(5):
        assert region_of(edge.request("/", DENVER)) == "eu"
    assert origins["us"].count("GET", "/healthz") == 1


@pytest.mark.parametrize("status", [520, 524])
def test_one_broken_url_does_not_mark_the_region(
    start_edge: Start, origins: Regions, status: int
) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=status, path="/broken")
    assert region_of(edge.request("/broken", DENVER)) == "eu"
    assert region_of(edge.request("/", DENVER)) == "us"


def test_lost_upload_does_not_mark_the_region(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    origins["us"].fail("reset", path="/upload")
    assert edge.request("/upload", DENVER, method="POST", data=b"x").status_code == 502
    assert region_of(edge.request("/", DENVER)) == "us"


def test_half_open_after_a_while(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(downMs=300)
    origins["us"].die()
    edge.request("/", DENVER)
    assert region_of(edge.request("/", DENVER)) == "eu"

    # One request at a time tries again, and is saved.
    def tried() -> bool:
        return edge.request("/", DENVER).headers.get("x-edge-attempts") == "2"

    poll(tried, "the region was tried again")
    assert not tried()
    origins["us"].rise()
    poll(lambda: region_of(edge.request("/", DENVER)) == "us", "the region is back")
    assert region_of(edge.request("/", DENVER)) == "us"


def test_post_does_not_try_a_region_out(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(downMs=1)
    origins["us"].die()
    edge.request("/", DENVER)
    time.sleep(0.05)  # well over 1.5 ms: the region is half-open, and stays so
    for _ in range(3):
        assert region_of(edge.request("/", DENVER, method="POST", data=b"x")) == "eu"


def test_returned_region_serves_while_marked_down_if_it_is_the_only_one(
    start_edge: Start, origins: Regions
) -> None:
    edge = start_edge(downMs=600_000)
    origins["us"].die()
    assert region_of(edge.request("/", DENVER)) == "eu"
    origins["us"].rise()
    origins["eu"].die()
    origins["apac"].die()
    assert region_of(edge.request("/", DENVER)) == "us"
    # It answered: from now on it comes first again.
    assert "x-edge-attempts" not in edge.request("/", DENVER).headers


# ---- everything down


def test_all_regions_down(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    for origin in origins.values():
        origin.die()
    for method in ("GET", "HEAD"):
        response = edge.request("/", DENVER, method=method)
        assert response.status_code == 503
        assert "x-edge-region" not in response.headers
        assert response.headers["retry-after"] == "10"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert ("can’t be reached" in response.content.decode()) == (method == "GET")
    assert "all_down" in edge.log()


def test_last_words_of_a_regions_ingress(start_edge: Start, origins: Regions) -> None:
    edge = start_edge(retryOn5xx=True)
    origins["us"].fail("status", status=503)
    origins["eu"].fail("status", status=502)
    origins["apac"].die()
    response = edge.request("/", DENVER)
    assert (response.status_code, response.text) == (502, "502 of eu")
    assert response.headers["x-edge-region"] == "eu"
    assert response.headers["x-edge-attempts"] == "3"
