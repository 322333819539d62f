"""What is read from Cloudflare and its resolver, against the emulated ones."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from components.vendors.cloudflare import CloudflareApi
from components.vendors.credentials import Access
from ops.live import outside
from ops.live.cloudflare import read_edge, read_records, verdicts
from ops.live.facts import EdgeFacts, Record, Route, Verdict
from ops.live.outside import NotSeen
from sandbox.vendors.cloudflare.api import API_TOKEN, create_app
from sandbox.vendors.emulators import serve

ZONE = "809846d39026662b50a8a0b0dd159151"
ACCOUNT = "8765be9597757f48c916e09754a92d51"
SCRIPT = "export default {}"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    served = serve(create_app(tmp_path))
    yield served.url
    served.close()


def send(url: str, method: str, path: str, **content: Any) -> Any:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = requests.request(
        method, f"{url}/client/v4{path}", headers=headers, timeout=10, **content
    )
    answer.raise_for_status()
    return answer.json()["result"]


def record(url: str, kind: str, content: str, proxied: bool, name: str = "us.example.com") -> None:
    body = {"type": kind, "name": name, "content": content, "proxied": proxied, "ttl": 1}
    send(url, "POST", f"/zones/{ZONE}/dns_records", json=body)


def api(url: str) -> CloudflareApi:
    return CloudflareApi(Access(API_TOKEN, f"{url}/client/v4"), patient=False)


def test_records(url: str):
    record(url, "A", "192.0.2.7", True)
    (found,) = read_records(api(url), ZONE, "us.example.com")
    assert found == Record(found.id, "us.example.com", "A", "192.0.2.7", True, "")


def test_a_zone_without_a_worker(url: str):
    assert read_edge(api(url), ZONE, ACCOUNT, "edgefleet", "worker.js") == EdgeFacts()


def test_a_worker_with_its_route_table_schedule_and_verdicts(url: str):
    scripts = f"/accounts/{ACCOUNT}/workers/scripts/edgefleet"
    namespaces = f"/accounts/{ACCOUNT}/storage/kv/namespaces"
    space = send(url, "POST", namespaces, json={"title": "health"})["id"]
    metadata = {
        "main_module": "worker.js",
        "compatibility_date": "2025-01-01",
        "bindings": [
            {"name": "CONFIG", "type": "json", "json": '{"regions":[]}'},
            {"name": "HEALTH", "type": "kv_namespace", "namespace_id": space},
        ],
    }
    files = {
        "metadata": (None, json.dumps(metadata), "application/json"),
        "worker.js": ("worker.js", SCRIPT, "application/javascript+module"),
    }
    send(url, "PUT", scripts, files=files)
    send(url, "PUT", f"{scripts}/schedules", json=[{"cron": "* * * * *"}])
    route = {"pattern": "example.com/*", "script": "edgefleet"}
    send(url, "POST", f"/zones/{ZONE}/workers/routes", json=route)
    said = {"us": {"up": False, "since": "2026-11-21T10:00:00Z", "detail": "status 503"}}
    send(url, "PUT", f"{namespaces}/{space}/values/regions", data=json.dumps(said))

    found = read_edge(api(url), ZONE, ACCOUNT, "edgefleet", "worker.js")
    assert found.routes == (Route(found.routes[0].id, "example.com/*", "edgefleet"),)
    assert found.sha256 == sha256(SCRIPT.encode()).hexdigest()
    assert json.loads(found.config) == {"regions": []}
    assert (found.bindings, found.schedules) == (("CONFIG", "HEALTH"), ("* * * * *",))
    moment = datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert found.verdicts == {"us": Verdict(False, moment, "status 503")}


def test_a_key_of_workers_kv_that_is_not_there(url: str):
    space = send(url, "POST", f"/accounts/{ACCOUNT}/storage/kv/namespaces", json={"title": "h"})
    assert api(url).kv_value(ACCOUNT, space["id"], "regions") is None


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"us": 1}'])
def test_verdicts_that_say_nothing(text: str | None):
    assert verdicts(text) == {}


@pytest.fixture
def resolver(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(outside, "RESOLVER", f"{url}/dns-query")
    return url


def test_what_names_resolve_to(resolver: str):
    record(resolver, "A", "192.0.2.7", False)
    record(resolver, "CNAME", "us.example.com", False, "api.example.com")
    record(resolver, "A", "192.0.2.8", True, "eu.example.com")
    assert outside.resolve("us.example.com", "A") == ("192.0.2.7",)
    assert outside.resolve("api.example.com", "A") == ("192.0.2.7",)
    assert outside.resolve("nobody.example.com", "A") == ()
    assert "192.0.2.8" not in outside.resolve("eu.example.com", "A")
    assert outside.resolve("eu.example.com", "AAAA")[0].startswith("2606:4700:")


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outside, "RESOLVER", "http://127.0.0.1:1/dns-query")
    with pytest.raises(NotSeen, match=r"Cloudflare's resolver: 127\.0\.0\.1:1"):
        outside.resolve("us.example.com", "A")
    with pytest.raises(NotSeen, match=r"http://127\.0\.0\.1:1/"):
        outside.fetch("http://127.0.0.1:1/")


def test_a_port_behind_a_proxy_is_not_asked():
    with pytest.raises(NotSeen, match="HTTPS_PROXY is set"):
        outside.knock("192.0.2.7", 443, {"HTTPS_PROXY": "http://proxy"})
