"""Faults on demand and the request log, with a small app behind them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from sandbox.vendors.emulators import Served, serve
from sandbox.vendors.faults import Faults
from sandbox.vendors.store import Store
from tests.faults import unmet

done: list[str] = []


@Request.application
def app(request: Request) -> Response:
    done.append(f"{request.method} {request.path}")
    return Response("done")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    done.clear()
    server = serve(Faults(Store(tmp_path / "state.json")).wrap(app))
    yield server
    server.close()


def add(served: Served, **fault: Any) -> requests.Response:
    return requests.post(f"{served.url}/_sandbox/faults", json=fault, timeout=5)


def test_a_status_is_answered_as_often_as_asked_and_nothing_is_done(served: Served) -> None:
    add(served, match={"method": "POST"}, action="status", status=503, times=2)
    statuses = [requests.post(f"{served.url}/x", timeout=5).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert done == ["POST /x"]


def test_the_list_tells_which_faults_were_met(served: Served) -> None:
    add(served, match={"method": "get", "path_regex": "^/a"}, action="status", status=500)
    add(served, match={"method": "POST"}, action="status", status=500, times=2)
    add(served, match={"path_regex": "^/b"}, action="status", status=500, times=1)
    requests.post(f"{served.url}/a", timeout=5)
    for path in ("/a", "/a", "/b", "/c"):
        requests.get(served.url + path, timeout=5)
    faults = requests.get(f"{served.url}/_sandbox/faults", timeout=5).json()["faults"]
    assert [(f.get("met"), f.get("times")) for f in faults] == [(2, None), (1, 1)]
    assert [fault["match"].get("method") for fault in unmet(faults)] == ["POST"]


def test_body_and_headers_of_a_status(served: Served) -> None:
    body, headers = {"error": "slow down"}, {"Retry-After": "7"}
    add(served, action="status", status=429, body=body, headers=headers)
    answer = requests.get(f"{served.url}/x", timeout=5)
    assert (answer.status_code, answer.json()) == (429, body)
    assert answer.headers["Retry-After"] == "7"


def test_only_what_matches_fails_until_the_faults_are_cleared(served: Served) -> None:
    add(served, match={"path_regex": r"^/zones/1\b.*[?&]a=2"}, action="status", status=500)
    urls = ["/zones/1?a=2", "/zones/1?a=1", "/zones/12?a=2", "/zones/1?b=1&a=2"]
    statuses = [requests.get(served.url + url, timeout=5).status_code for url in urls]
    assert statuses == [500, 200, 200, 500]
    requests.delete(f"{served.url}/_sandbox/faults", timeout=5)
    assert requests.get(f"{served.url}/zones/1?a=2", timeout=5).status_code == 200


def test_a_lost_answer_was_carried_out(served: Served) -> None:
    add(served, match={"method": "POST"}, action="lose_answer", times=1)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{served.url}/x", json={}, timeout=5)
    assert done == ["POST /x"]
    assert requests.post(f"{served.url}/x", json={}, timeout=5).status_code == 200


def test_the_log_counts_requests(served: Served) -> None:
    add(served, match={"method": "PUT"}, action="lose_answer")
    add(served, match={"method": "PATCH"}, action="status", status=500)
    requests.get(f"{served.url}/a?b=c", timeout=5)
    requests.patch(f"{served.url}/a", timeout=5)
    with pytest.raises(requests.ConnectionError):
        requests.put(f"{served.url}/a", timeout=5)
    log = f"{served.url}/_sandbox/requests"
    assert requests.get(log, timeout=5).json()["requests"] == [
        {"method": "GET", "path": "/a?b=c", "status": 200},
        {"method": "PATCH", "path": "/a", "status": 500},
        {"method": "PUT", "path": "/a", "status": None},
    ]
    requests.delete(log, timeout=5)
    assert requests.get(log, timeout=5).json()["requests"] == []


def test_faults_survive_a_restart(tmp_path: Path) -> None:
    Faults(Store(tmp_path / "s.json")).add({"action": "lose_answer", "times": 2})
    faults = Faults(Store(tmp_path / "s.json"))
    assert faults.take("GET", "/") is not None
    left = {"action": "lose_answer", "times": 1, "met": 1}
    assert Faults(Store(tmp_path / "s.json")).list() == [left]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"action": "explode"}, "fault.action: 'explode'"),
        ({"action": "status"}, "fault.status: None"),
        ({"action": "lose_answer", "times": 0}, "fault.times: 0"),
        ({"action": "lose_answer", "when": "now"}, "'when'"),
        ({"action": "lose_answer", "match": {"path": "x"}}, "fault.match"),
        ({"action": "lose_answer", "match": {"path_regex": "("}}, "path_regex: '('"),
        ({"action": "lose_answer", "match": {"method": ".*"}}, "fault.match.method: '.*'"),
        ({"action": "lose_answer", "match": {"method": None}}, "fault.match.method: None"),
        ({"action": "lose_answer", "met": 1}, "'met'"),
    ],
)
def test_a_wrong_fault_is_refused(served: Served, fault: dict[str, Any], named: str) -> None:
    answer = add(served, **fault)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_a_taken_port_is_no_problem(served: Served) -> None:
    second = serve(app, port=served.port)
    try:
        assert second.port != served.port
        assert requests.get(second.url, timeout=5).status_code == 200
    finally:
        second.close()


def test_a_free_port_is_used(served: Served) -> None:
    port = served.port
    served.close()
    second = serve(app, port=port)
    try:
        assert second.port == port
    finally:
        second.close()
