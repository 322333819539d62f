"""What both emulated APIs refuse whatever the endpoint: keys, bodies and pages of a wrong form."""

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from sandbox.vendors.cloudflare import api as cloudflare
from sandbox.vendors.vultr import api as vultr

LISTS = {"vultr": "/v2/firewalls", "cloudflare": "/client/v4/zones"}
KEYS = {"vultr": vultr.API_KEY, "cloudflare": cloudflare.API_TOKEN}


@pytest.fixture
def clients(tmp_path: Path) -> dict[str, Any]:
    return {
        "vultr": Client(vultr.create_app(tmp_path, None)),  # pyright: ignore[reportArgumentType]
        "cloudflare": Client(cloudflare.create_app(tmp_path)),
    }


def bearer(vendor: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[vendor]}"}


@pytest.mark.parametrize("vendor", LISTS)
@pytest.mark.parametrize("form", ["{}", "Basic {}", "bearer{}", "Bearer {}x"])
def test_a_key_that_is_not_sent_as_a_bearers(clients: dict[str, Any], vendor: str, form: str):
    def asked(header: str) -> int:
        return clients[vendor].get(LISTS[vendor], headers={"Authorization": header}).status_code

    assert asked(form.format(KEYS[vendor])) in (400, 401)
    assert asked(f"Bearer {KEYS[vendor]}") == 200


@pytest.mark.parametrize("vendor", LISTS)
@pytest.mark.parametrize("size", ["abc", "0", "-1", "1e3", ""])
def test_a_page_of_no_size(clients: dict[str, Any], vendor: str, size: str):
    path = f"{LISTS[vendor]}?per_page={size}"
    answer = clients[vendor].get(path, headers=bearer(vendor))
    assert answer.status_code == 400
    assert "per_page" in answer.text


@pytest.mark.parametrize(
    ("vendor", "method", "path"),
    [
        ("vultr", "POST", "/v2/firewalls"),
        ("cloudflare", "POST", "/client/v4/zones/{zone}/dns_records"),
    ],
)
@pytest.mark.parametrize("body", ["[]", '[{"description": "x"}]', '"text"', "3", "null", "{"])
def test_a_body_that_is_no_object(
    clients: dict[str, Any], vendor: str, method: str, path: str, body: str
):
    (zone, *_) = (
        clients["cloudflare"].get(LISTS["cloudflare"], headers=bearer("cloudflare")).json["result"]
    )
    headers = {**bearer(vendor), "Content-Type": "application/json"}
    url = path.format(zone=zone["id"])
    answer = clients[vendor].open(url, method=method, data=body, headers=headers)
    assert answer.status_code == 400
    assert "Invalid JSON" in answer.text
    assert clients["vultr"].get("/v2/firewalls", headers=bearer("vultr")).json["meta"]["total"] == 0


@pytest.mark.parametrize("body", [{}, {"description": None}, {"description": 7}])
def test_vultr_wants_the_description_that_a_put_sets(clients: dict[str, Any], body: Any):
    client = clients["vultr"]
    made = client.post("/v2/firewalls", json={"description": "us"}, headers=bearer("vultr"))
    path = f"/v2/firewalls/{made.json['firewall_group']['id']}"
    answer = client.put(path, json=body, headers=bearer("vultr"))
    assert (answer.status_code, answer.json["error"]) == (400, "description is required")
    kept = client.get(path, headers=bearer("vultr")).json["firewall_group"]
    assert kept["description"] == "us"


def test_an_answer_without_content_names_no_type(clients: dict[str, Any]):
    client, headers = clients["cloudflare"], bearer("cloudflare")
    zone = client.get(LISTS["cloudflare"], headers=headers).json["result"][0]["id"]
    ruleset = {"kind": "zone", "phase": "http_request_firewall_custom", "name": "x", "rules": []}
    path = f"/client/v4/zones/{zone}/rulesets"
    made = client.post(path, json=ruleset, headers=headers).json["result"]["id"]
    answer = client.delete(f"{path}/{made}", headers=headers)
    assert (answer.status_code, answer.headers.get("Content-Type")) == (204, None)
    client, headers = clients["vultr"], bearer("vultr")
    made = client.post("/v2/firewalls", json={"description": "us"}, headers=headers)
    path = f"/v2/firewalls/{made.json['firewall_group']['id']}"
    answer = client.put(path, json={"description": "eu"}, headers=headers)
    assert (answer.status_code, answer.headers.get("Content-Type")) == (204, None)
