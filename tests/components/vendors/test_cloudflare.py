"""Reading from Cloudflare, against the emulated API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from components.errors import CloudflareError
from components.vendors.cloudflare import CloudflareApi
from components.vendors.credentials import Access
from infra import program
from sandbox.vendors.cloudflare.api import API_TOKEN, create_app
from sandbox.vendors.emulators import serve

ZONE = "809846d39026662b50a8a0b0dd159151"
ACCOUNT = "8765be9597757f48c916e09754a92d51"


@pytest.fixture
def base_url(tmp_path: Path) -> Iterator[str]:
    served = serve(create_app(tmp_path))
    yield f"{served.url}/client/v4"
    served.close()


def make(base_url: str, content: str) -> None:
    record = {"type": "A", "name": "us.example.com", "content": content, "ttl": 1}
    post(base_url, f"/zones/{ZONE}/dns_records", record)


def post(base_url: str, path: str, body: dict[str, Any]) -> None:
    requests.post(
        base_url + path,
        json=body,
        headers={"Authorization": f"Bearer {API_TOKEN}"},
        timeout=10,
    ).raise_for_status()


def test_all_pages_of_a_names_records(base_url: str):
    for number in range(1, 104):
        make(base_url, f"192.0.2.{number}")
    found = CloudflareApi(Access(API_TOKEN, base_url)).dns_records(ZONE, "us.example.com")
    assert len({record["content"] for record in found}) == 103


def test_no_records_and_no_routes(base_url: str):
    api = CloudflareApi(Access(API_TOKEN, base_url))
    assert api.dns_records(ZONE, "us.example.com") == []
    assert api.worker_routes(ZONE) == []


def busy(base_url: str, seconds: int, times: int = 1) -> None:
    """The next calls are over the limit of five minutes."""
    fault = {
        "action": "status",
        "status": 429,
        "body": {"success": False, "errors": [{"code": 971, "message": "Please wait"}]},
        "headers": {"Retry-After": str(seconds)},
        "times": times,
    }
    url = base_url.replace("/client/v4", "/_sandbox/faults")
    requests.post(url, json=fault, timeout=10).raise_for_status()


def test_a_short_pause_is_made(base_url: str):
    busy(base_url, 1)
    assert CloudflareApi(Access(API_TOKEN, base_url)).worker_routes(ZONE) == []
    assert requests.get(base_url.replace("/client/v4", "/_sandbox/faults"), timeout=10).json() == {
        "faults": []
    }


def test_a_long_pause_is_left_to_the_person(base_url: str):
    busy(base_url, 287, times=5)
    with pytest.raises(CloudflareError) as raised:
        CloudflareApi(Access(API_TOKEN, base_url)).worker_routes(ZONE)
    assert str(raised.value) == (
        f"Cloudflare answered GET /zones/{ZONE}/workers/routes with 429: Please wait (971). "
        "The token's user has made all the calls that Cloudflare allows in five minutes (1,200, "
        "the dashboard's among them). Run this again in 287 s"
    )
    (left,) = requests.get(base_url.replace("/client/v4", "/_sandbox/faults"), timeout=10).json()[
        "faults"
    ]
    assert left["met"] == 1


def test_what_an_edge_stack_may_find(base_url: str):
    api, phase = CloudflareApi(Access(API_TOKEN, base_url)), "http_request_firewall_custom"
    assert api.kv_namespaces(ACCOUNT) == []
    assert api.workers(ACCOUNT) == []
    assert api.entrypoint(ZONE, phase) is None
    rule = {"action": "block", "expression": "true", "description": "no bots"}
    for path, body in (
        (f"/accounts/{ACCOUNT}/storage/kv/namespaces", {"title": "edgefleet-health"}),
        (f"/accounts/{ACCOUNT}/workers/workers", {"name": "edgefleet"}),
        (f"/zones/{ZONE}/rulesets", {"phase": phase, "kind": "zone", "rules": [rule]}),
        (f"/zones/{ZONE}/rulesets", {"phase": "http_ratelimit", "kind": "zone", "rules": []}),
    ):
        post(base_url, path, body)
    assert [n["title"] for n in api.kv_namespaces(ACCOUNT)] == ["edgefleet-health"]
    assert [w["name"] for w in api.workers(ACCOUNT)] == ["edgefleet"]
    found = api.entrypoint(ZONE, phase)
    assert found
    assert [r["description"] for r in found["rules"]] == ["no bots"]


def test_a_refusal_says_what_to_check(base_url: str):
    wrong = "w" * 40
    with pytest.raises(CloudflareError, match="Check CLOUDFLARE_API_TOKEN") as caught:
        CloudflareApi(Access(wrong, base_url)).worker_routes(ZONE)
    assert wrong not in str(caught.value)


def test_no_answer():
    with pytest.raises(CloudflareError) as caught:
        CloudflareApi(Access(API_TOKEN, "http://127.0.0.1:9")).worker_routes(ZONE)
    assert str(caught.value) == (
        f"Cloudflare did not answer GET /zones/{ZONE}/workers/routes: 127.0.0.1:9: "
        "Failed to establish a new connection: [Errno 111] Connection refused"
    )


def test_the_program_asks_where_the_stack_says(base_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9")
    config = {"cloudflare:apiToken": API_TOKEN, "cloudflare:baseUrl": base_url}
    monkeypatch.setattr(program, "stack_config", config.get)
    assert program._cloudflare().worker_routes(ZONE) == []
