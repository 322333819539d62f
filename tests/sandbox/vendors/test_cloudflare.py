"""The emulated Cloudflare API."""

import base64
import datetime
import io
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sandbox.vendors.ca import CertificateAuthority
from sandbox.vendors.cloudflare.api import API_TOKEN
from sandbox.vendors.cloudflare.state import ACCOUNT_ID
from tests.sandbox.vendors.cloudflare_client import MISSING, MODULE, RECORD, Cloudflare, error


@pytest.fixture
def cloudflare(tmp_path: Path) -> Cloudflare:
    return Cloudflare(tmp_path)


@pytest.mark.parametrize(
    ("header", "status", "code", "cause"),
    [
        ({}, 400, 9106, None),
        ({"Authorization": "Bearer short"}, 400, 6003, 6111),
        ({"Authorization": f"Basic {API_TOKEN}"}, 400, 6003, 6111),
        ({"Authorization": f"Bearer {'x' * 40}"}, 401, 10000, None),
    ],
)
def test_a_wrong_token_is_refused(
    cloudflare: Cloudflare, header: dict[str, str], status: int, code: int, cause: int | None
) -> None:
    answer = cloudflare.call("GET", "/zones", headers=header)
    assert error(answer) == (status, code)
    chain = answer.json["errors"][0].get("error_chain", [{"code": None}])
    assert chain[0]["code"] == cause


def test_a_token_is_verified(cloudflare: Cloudflare) -> None:
    assert cloudflare.result("GET", "/user/tokens/verify")["status"] == "active"
    wrong = {"Authorization": f"Bearer {'x' * 40}"}
    answer = cloudflare.call("GET", "/user/tokens/verify", headers=wrong)
    assert error(answer) == (401, 1000)


def test_the_ranges_need_no_token(cloudflare: Cloudflare) -> None:
    ranges = cloudflare.result("GET", "/ips", headers={})
    assert (len(ranges["ipv4_cidrs"]), len(ranges["ipv6_cidrs"])) == (15, 7)
    assert ranges["etag"]


def test_zones_have_the_same_id_everywhere(cloudflare: Cloudflare, tmp_path: Path) -> None:
    other = Cloudflare(tmp_path / "other")
    assert other.zone_id == cloudflare.zone_id
    assert len(cloudflare.zone_id) == 32
    zone = cloudflare.result("GET", cloudflare.zone)
    assert (zone["name"], zone["account"]["id"]) == ("example.com", ACCOUNT_ID)
    assert cloudflare.result("GET", "/zones?name=example.net") == []


def test_a_zone_can_be_added(cloudflare: Cloudflare) -> None:
    answer = cloudflare.client.post("/_sandbox/zones", json={"name": "Example.NET"})
    zone = answer.json["result"]
    cloudflare.restart()
    assert cloudflare.result("GET", "/zones?name=example.net") == [zone]
    assert cloudflare.client.post("/_sandbox/zones", json={}).status_code == 400


def test_what_is_not_the_tokens_is_refused(cloudflare: Cloudflare) -> None:
    assert error(cloudflare.call("GET", f"/zones/{MISSING}")) == (403, 9109)
    assert error(cloudflare.call("GET", f"/zones/{MISSING}/dns_records")) == (403, 10000)
    assert error(cloudflare.call("GET", f"/accounts/{MISSING}/workers/scripts")) == (403, 10000)
    assert error(cloudflare.call("GET", "/nothing")) == (404, 7003)


def test_a_record_comes_back_in_the_apis_form(cloudflare: Cloudflare) -> None:
    record = cloudflare.record(name="US.Example.com", comment="whose").json["result"]
    assert {
        "name": "us.example.com",
        "type": "A",
        "content": "45.76.1.10",
        "proxied": True,
        "proxiable": True,
        "ttl": 1,
        "comment": "whose",
        "tags": [],
    }.items() <= record.items()
    path = f"{cloudflare.zone}/dns_records/{record['id']}"
    assert cloudflare.result("GET", path) == record
    v6 = cloudflare.record(type="AAAA", content="2001:19F0:0:0::A").json["result"]
    assert v6["content"] == "2001:19f0::a"
    assert cloudflare.record(name="short").json["result"]["name"] == "short.example.com"
    assert cloudflare.record(name="@").json["result"]["name"] == "example.com"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"content": "256.1.1.1"}, 9005),
        ({"content": "2001:19f0::a"}, 9005),
        ({"type": "AAAA"}, 9006),
        ({"type": "CNAME", "content": "not a name"}, 9007),
        ({"type": "WHAT"}, 1004),
        ({"content": ""}, 1004),
        ({"name": "bad name.example.com"}, 9000),
        ({"ttl": 300}, 9021),
        ({"ttl": 5, "proxied": False}, 9021),
        ({"proxied": "yes"}, 1004),
        ({"type": "TXT", "content": "x"}, 1004),
        ({"content": "10.0.0.1"}, 9003),
        ({"content": "104.16.0.1"}, 9003),
        ({"comment": "x" * 101}, 9313),
        ({"tags": ["a:b"]}, 9300),
    ],
)
def test_an_impossible_record_is_refused(
    cloudflare: Cloudflare, change: dict[str, Any], code: int
) -> None:
    assert error(cloudflare.record(**change)) == (400, code)
    assert cloudflare.result("GET", f"{cloudflare.zone}/dns_records") == []


@pytest.mark.parametrize("content", ["192.0.2.1", "203.0.113.9"])
def test_addresses_for_documentation_can_be_proxied(cloudflare: Cloudflare, content: str) -> None:
    assert cloudflare.record(content=content).status_code == 200


def test_an_identical_record_is_refused_whatever_else_it_says(cloudflare: Cloudflare) -> None:
    first = cloudflare.record().json["result"]
    assert error(cloudflare.record(proxied=False, ttl=60, comment="other")) == (400, 81058)
    second = cloudflare.record(content="45.76.1.11").json["result"]
    path = f"{cloudflare.zone}/dns_records/{second['id']}"
    assert error(cloudflare.call("PUT", path, RECORD)) == (400, 81058)
    assert cloudflare.call("PUT", path, {**RECORD, "content": "45.76.1.12"}).status_code == 200
    own = f"{cloudflare.zone}/dns_records/{first['id']}"
    assert cloudflare.call("PUT", own, {**RECORD, "comment": "new"}).status_code == 200


def test_an_alias_and_an_address_exclude_each_other(cloudflare: Cloudflare) -> None:
    alias = {"type": "CNAME", "content": "other.example.com"}
    cloudflare.record()
    assert error(cloudflare.record(**alias)) == (400, 81053)
    cloudflare.record(name="eu.example.com", **alias)
    assert error(cloudflare.record(name="eu.example.com")) == (400, 81053)
    assert error(
        cloudflare.record(name="eu.example.com", type="CNAME", content="b.example.com")
    ) == (400, 81053)
    text = {"type": "TXT", "content": "v=1", "proxied": False}
    assert cloudflare.record(**text).status_code == 200


def test_put_replaces_and_patch_changes(cloudflare: Cloudflare) -> None:
    record = cloudflare.record(comment="whose").json["result"]
    path = f"{cloudflare.zone}/dns_records/{record['id']}"
    patched = cloudflare.result("PATCH", path, {"content": "45.76.1.99"})
    assert (patched["content"], patched["comment"]) == ("45.76.1.99", "whose")
    put = cloudflare.result("PUT", path, RECORD)
    assert (put["content"], put["comment"]) == ("45.76.1.10", None)


def test_a_record_that_is_not_there(cloudflare: Cloudflare) -> None:
    record = cloudflare.record().json["result"]
    path = f"{cloudflare.zone}/dns_records/{record['id']}"
    assert cloudflare.result("DELETE", path) == {"id": record["id"]}
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = RECORD if method in ("PUT", "PATCH") else None
        assert error(cloudflare.call(method, path, body)) == (404, 81044)


def test_records_are_filtered_and_come_in_pages(cloudflare: Cloudflare) -> None:
    for n in range(5):
        cloudflare.record(content=f"45.76.1.{10 + n}", comment=f"edgefleet us node-{n}")
    cloudflare.record(name="eu.example.com", comment="other")
    cloudflare.record(name="v6.example.com", type="AAAA", content="2001:19f0::1")
    records = f"{cloudflare.zone}/dns_records"
    counts = {
        query: len(cloudflare.result("GET", f"{records}?{query}"))
        for query in (
            "name=us.example.com",
            "name.exact=US.example.com",
            "name.endswith=example.com",
            "type=AAAA",
            "content=45.76.1.12",
            "content.exact=45.76.1.12",
            "comment=other",
            "comment.startswith=edgefleet us",
            "comment.contains=node-3",
            "comment.absent=true",
            "name=us.example.com&content=45.76.1.99",
            "name=eu.example.com&type=AAAA&match=any",
        )
    }
    assert list(counts.values()) == [5, 5, 7, 1, 1, 1, 1, 5, 1, 1, 0, 2]
    answer = cloudflare.call("GET", f"{records}?per_page=3&page=3").json
    assert len(answer["result"]) == 1
    assert answer["result_info"] == {
        "page": 3,
        "per_page": 3,
        "count": 1,
        "total_count": 7,
        "total_pages": 3,
    }


def test_a_script_is_kept_as_it_was_sent(cloudflare: Cloudflare) -> None:
    view = cloudflare.script(compatibility_date="2026-01-01").json["result"]
    assert (view["id"], view["has_modules"], view["startup_time_ms"]) == ("router", True, 5)
    scripts = f"{cloudflare.account}/workers/scripts"
    for path in (f"{scripts}/router", f"{scripts}/router/content/v2"):
        answer = cloudflare.call("GET", path)
        assert answer.headers["cf-entrypoint"] == "main.js"
        assert answer.mimetype == "multipart/form-data"
        assert MODULE in answer.data
    listed = cloudflare.result("GET", scripts)
    assert [script["etag"] for script in listed] == [view["etag"]]
    service = cloudflare.result("GET", f"{cloudflare.account}/workers/services/router")
    script = service["default_environment"]["script"]
    assert script["compatibility_date"] == "2026-01-01"
    assert cloudflare.call("DELETE", f"{scripts}/router?force=true").status_code == 200
    assert error(cloudflare.call("GET", f"{scripts}/router/settings")) == (404, 10007)
    assert error(cloudflare.call("DELETE", f"{scripts}/router")) == (404, 10007)


def test_metadata_may_be_a_file_part_and_has_to_be_there(cloudflare: Cloudflare) -> None:
    path = f"{cloudflare.account}/workers/scripts/router"
    module = (io.BytesIO(MODULE), "main.js", "application/javascript+module")
    assert error(cloudflare.call("PUT", path, data={"main.js": module})) == (400, 10021)
    metadata = io.BytesIO(b'{"main_module": "main.js"}')
    module = (io.BytesIO(MODULE), "main.js", "application/javascript+module")
    data = {"metadata": (metadata, "metadata.json", "application/json"), "main.js": module}
    assert cloudflare.result("PUT", path, data=data)["entry_point"] == "main.js"


def test_bindings_come_back_in_another_order_and_secrets_without_text(
    cloudflare: Cloudflare,
) -> None:
    bindings = [
        {"name": "A", "type": "plain_text", "text": "a"},
        {"name": "B", "type": "secret_text", "text": "hidden"},
        {"name": "C", "type": "json", "json": {"us": 1}},
    ]
    cloudflare.script(bindings=bindings)
    settings = f"{cloudflare.account}/workers/scripts/router/settings"
    assert cloudflare.result("GET", settings)["bindings"] == [
        {"name": "C", "type": "json", "json": {"us": 1}},
        {"name": "B", "type": "secret_text"},
        {"name": "A", "type": "plain_text", "text": "a"},
    ]


def test_observability_gets_the_apis_defaults(cloudflare: Cloudflare) -> None:
    cloudflare.script(observability={"enabled": True})
    settings = f"{cloudflare.account}/workers/scripts/router/settings"
    shown = cloudflare.result("GET", settings)["observability"]
    assert shown["head_sampling_rate"] == 1
    assert shown["logs"]["invocation_logs"] is True
    patched = cloudflare.result("PATCH", settings, {"observability": {"enabled": False}})
    assert patched["observability"]["enabled"] is False


@pytest.mark.parametrize(
    ("name", "metadata", "code"),
    [
        ("router", {"main_module": "other.js"}, 10021),
        ("router", {"compatibility_date": "2999-01-01"}, 10021),
        ("router", {"compatibility_date": "yesterday"}, 10021),
        ("router", {"bindings": [{"name": "A", "type": "plain_text"}]}, 10021),
        ("router", {"bindings": [{"name": "A", "type": "analytics_engine"}]}, 10021),
        ("router", {"bindings": [{"name": "A", "type": "x"}, {"name": "A", "type": "x"}]}, 10021),
        (
            "router",
            {"bindings": [{"name": "K", "type": "kv_namespace", "namespace_id": MISSING}]},
            10041,
        ),
        ("router", {"bindings": [{"name": "S", "type": "service", "service": "no"}]}, 10143),
        ("Router!", {}, 10016),
    ],
)
def test_an_impossible_script_is_refused(
    cloudflare: Cloudflare, name: str, metadata: dict[str, Any], code: int
) -> None:
    assert error(cloudflare.script(name, **metadata)) == (400, code)
    assert cloudflare.result("GET", f"{cloudflare.account}/workers/scripts") == []


def test_schedules_are_replaced_as_a_whole(cloudflare: Cloudflare) -> None:
    cloudflare.script()
    path = f"{cloudflare.account}/workers/scripts/router/schedules"
    assert cloudflare.result("GET", path) == {"schedules": []}
    cloudflare.result("PUT", path, [{"cron": "* * * * *"}, {"cron": "0 3 * * 1"}])
    cloudflare.result("PUT", path, [{"cron": "*/5 * * * *"}])
    shown = cloudflare.result("GET", path)["schedules"]
    assert [schedule["cron"] for schedule in shown] == ["*/5 * * * *"]
    assert error(cloudflare.call("PUT", path, [{"cron": "often"}])) == (400, 10100)


def test_a_scripts_subdomain(cloudflare: Cloudflare) -> None:
    cloudflare.script()
    path = f"{cloudflare.account}/workers/scripts/router/subdomain"
    assert cloudflare.result("GET", path)["enabled"] is False
    assert cloudflare.result("POST", path, {"enabled": True})["previews_enabled"] is True
    assert cloudflare.result("DELETE", path)["enabled"] is False
    assert cloudflare.result("GET", f"{cloudflare.account}/workers/subdomain")["subdomain"]


def test_routes(cloudflare: Cloudflare) -> None:
    routes = f"{cloudflare.zone}/workers/routes"
    body = {"pattern": "example.com/*", "script": "router"}
    assert error(cloudflare.call("POST", routes, body)) == (400, 10019)
    cloudflare.script()
    route = cloudflare.result("POST", routes, body)
    assert error(cloudflare.call("POST", routes, body)) == (409, 10020)
    for pattern in ("example.org/*", "", "notexample.com/*"):
        answer = cloudflare.call("POST", routes, {"pattern": pattern})
        assert error(answer) == (400, 10022)
    other = cloudflare.result("POST", routes, {"pattern": "*.example.com/*"})
    path = f"{routes}/{route['id']}"
    changed = {"pattern": "*.example.com/*", "script": "router"}
    assert error(cloudflare.call("PUT", path, changed)) == (409, 10020)
    changed["pattern"] = "https://www.example.com/*"
    assert cloudflare.result("PUT", path, changed)["pattern"] == changed["pattern"]
    assert cloudflare.result("GET", path)["id"] == route["id"]
    assert cloudflare.result("GET", routes)[1] == {"id": other["id"], "pattern": "*.example.com/*"}
    cloudflare.result("DELETE", path)
    assert error(cloudflare.call("DELETE", path)) == (404, 10009)


def test_a_deleted_script_takes_its_routes_along(cloudflare: Cloudflare) -> None:
    cloudflare.script()
    routes = f"{cloudflare.zone}/workers/routes"
    cloudflare.result("POST", routes, {"pattern": "example.com/*", "script": "router"})
    cloudflare.call("DELETE", f"{cloudflare.account}/workers/scripts/router")
    assert cloudflare.result("GET", routes) == []


def test_kv(cloudflare: Cloudflare) -> None:
    namespaces = f"{cloudflare.account}/storage/kv/namespaces"
    namespace = cloudflare.result("POST", namespaces, {"title": "health"})
    assert namespace["supports_url_encoding"] is True
    assert error(cloudflare.call("POST", namespaces, {"title": "health"})) == (400, 10014)
    assert error(cloudflare.call("POST", namespaces, {})) == (400, 10019)
    path = f"{namespaces}/{namespace['id']}"
    assert cloudflare.result("PUT", path, {"title": "state"})["title"] == "state"
    cloudflare.script(
        bindings=[{"name": "K", "type": "kv_namespace", "namespace_id": namespace["id"]}]
    )
    cloudflare.result("DELETE", path)
    assert error(cloudflare.call("GET", path)) == (404, 10013)
    assert cloudflare.result("GET", namespaces) == []


def test_workers_versions_and_deployments(cloudflare: Cloudflare) -> None:
    workers = f"{cloudflare.account}/workers/workers"
    worker = cloudflare.result("POST", workers, {"name": "router", "tags": ["t"]})
    assert error(cloudflare.call("POST", workers, {"name": "router"})) == (409, 10040)
    path = f"{workers}/{worker['id']}"
    assert worker["deployed_on"] is None
    module = {
        "name": "main.js",
        "content_type": "application/javascript+module",
        "content_base64": base64.b64encode(MODULE).decode(),
    }
    body = {"main_module": "main.js", "modules": [module], "compatibility_date": "2026-01-01"}
    versions = [cloudflare.result("POST", f"{path}/versions", body) for _ in range(2)]
    assert [version["number"] for version in versions] == [1, 2]
    assert "modules" not in versions[0]
    with_modules = cloudflare.result("GET", f"{path}/versions/{versions[0]['id']}?include=modules")
    assert with_modules["modules"] == [module]
    deployments = f"{cloudflare.account}/workers/scripts/router/deployments"
    shares = [
        {"version_id": versions[0]["id"], "percentage": 90},
        {"version_id": versions[1]["id"], "percentage": 10},
    ]
    deployment = {"strategy": "percentage", "versions": shares}
    made = cloudflare.result("POST", deployments, deployment)
    assert cloudflare.result("GET", f"{deployments}/{made['id']}")["versions"] == shares
    for wrong in (shares[:1], [], [{"version_id": MISSING, "percentage": 100}]):
        answer = cloudflare.call("POST", deployments, {**deployment, "versions": wrong})
        assert error(answer) == (400, 10021)
    cloudflare.script()
    listed = cloudflare.result("GET", deployments)["deployments"]
    assert [len(d["versions"]) for d in listed] == [1, 2]
    renamed = cloudflare.result("PUT", path, {"name": "edge", "subdomain": {"enabled": True}})
    assert (renamed["name"], renamed["subdomain"]["enabled"]) == ("edge", True)
    assert [w["id"] for w in cloudflare.result("GET", workers)] == [worker["id"]]
    cloudflare.result("DELETE", path)
    assert error(cloudflare.call("GET", path)) == (404, 10007)


def csr(key: Any, hostname: str = "example.com") -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_an_origin_certificate_is_really_signed(cloudflare: Cloudflare) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    body = {
        "csr": csr(key),
        "hostnames": ["example.com", "*.example.com"],
        "request_type": "origin-ecc",
        "requested_validity": 90,
    }
    made = cloudflare.result("POST", "/certificates", body)
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    authority = CertificateAuthority(cloudflare.directory / "origin-ca", "")
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.public_key() == key.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.com", "*.example.com"]
    expires = datetime.datetime.strptime(made["expires_on"], "%Y-%m-%d %H:%M:%S %z UTC")
    assert expires == certificate.not_valid_after_utc
    path = f"/certificates/{made['id']}"
    assert cloudflare.result("GET", path) == made
    listed = cloudflare.result("GET", f"/certificates?zone_id={cloudflare.zone_id}")
    assert listed == [made]
    assert cloudflare.result("DELETE", path)["id"] == made["id"]
    assert cloudflare.result("GET", "/certificates") == []
    assert "revoked_at" in cloudflare.result("GET", path)
    assert error(cloudflare.call("DELETE", path))[0] == 400
    assert error(cloudflare.call("GET", "/certificates/1"))[0] == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hostnames": ["example.org"]}, 1010),
        ({"hostnames": []}, 1003),
        ({"requested_validity": 91}, 1005),
        ({"request_type": "origin-rsa"}, 1006),
        ({"csr": "rubbish"}, 1004),
    ],
)
def test_an_impossible_origin_certificate_is_refused(
    cloudflare: Cloudflare, change: dict[str, Any], code: int
) -> None:
    body = {
        "csr": csr(ec.generate_private_key(ec.SECP256R1())),
        "hostnames": ["example.com"],
        "request_type": "origin-ecc",
        "requested_validity": 7,
    }
    assert error(cloudflare.call("POST", "/certificates", {**body, **change})) == (400, code)


def pair(tmp_path: Path) -> dict[str, str]:
    """A client certificate with its key."""
    authority = CertificateAuthority(tmp_path / "client", "client")
    key = rsa.generate_private_key(65537, 2048)
    certificate = authority.sign(key.public_key(), ["client"], 30)
    return {
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode(),
    }


def test_origin_pulls_of_a_zone(cloudflare: Cloudflare, tmp_path: Path) -> None:
    pulls = f"{cloudflare.zone}/origin_tls_client_auth"
    assert cloudflare.result("GET", f"{pulls}/settings") == {"enabled": False}
    assert cloudflare.result("PUT", f"{pulls}/settings", {"enabled": True}) == {"enabled": True}
    assert error(cloudflare.call("PUT", f"{pulls}/settings", {}))[0] == 400
    first, second = pair(tmp_path), pair(tmp_path)
    made = cloudflare.result("POST", pulls, first)
    assert made["certificate"] == first["certificate"]
    assert "private_key" not in made
    assert cloudflare.result("GET", pulls) == [made]
    assert cloudflare.result("GET", f"{pulls}/{made['id']}") == made
    # Cloudflare's network has the key; so has the emulator's own state, which is its owner's.
    state = cloudflare.directory / "cloudflare.json"
    assert "PRIVATE KEY" in state.read_text()
    assert state.stat().st_mode & 0o077 == 0
    mixed = {**first, "private_key": second["private_key"]}
    assert error(cloudflare.call("POST", pulls, mixed)) == (400, 1401)
    assert error(cloudflare.call("POST", pulls, {"certificate": "x"})) == (400, 1400)
    gone = cloudflare.result("DELETE", f"{pulls}/{made['id']}")
    assert (gone["status"], "private_key" in gone) == ("pending_deletion", False)
    assert error(cloudflare.call("DELETE", f"{pulls}/{made['id']}"))[0] == 404
    assert "PRIVATE KEY" not in state.read_text()


def test_zone_settings(cloudflare: Cloudflare) -> None:
    settings = f"{cloudflare.zone}/settings"
    assert cloudflare.result("GET", f"{settings}/ssl")["value"] == "full"
    assert cloudflare.result("PATCH", f"{settings}/ssl", {"value": "strict"})["editable"] is True
    assert cloudflare.result("GET", f"{settings}/ssl")["value"] == "strict"
    assert error(cloudflare.call("PATCH", f"{settings}/ssl", {"value": "best"})) == (400, 1007)
    assert error(cloudflare.call("GET", f"{settings}/colour")) == (400, 1006)
    assert len(cloudflare.result("GET", settings)) > 10


def test_a_phase_has_one_ruleset(cloudflare: Cloudflare) -> None:
    rulesets = f"{cloudflare.zone}/rulesets"
    phase = "http_request_firewall_custom"
    entrypoint = f"{rulesets}/phases/{phase}/entrypoint"
    assert error(cloudflare.call("GET", entrypoint)) == (404, 10003)
    rule = {"action": "block", "expression": "true"}
    body = {"name": "ours", "kind": "zone", "phase": phase, "rules": [rule]}
    made = cloudflare.result("POST", rulesets, body)
    assert made["rules"][0]["enabled"] is True
    assert error(cloudflare.call("POST", rulesets, body))[0] == 400
    assert cloudflare.result("GET", entrypoint) == made
    kept = made["rules"][0]
    changed = cloudflare.result("PUT", f"{rulesets}/{made['id']}", {**body, "rules": [kept, rule]})
    assert changed["version"] == "2"
    assert changed["rules"][0]["id"] == kept["id"]
    assert len({r["id"] for r in changed["rules"]}) == 2
    listed = cloudflare.result("GET", rulesets)
    assert [r["id"] for r in listed] == [made["id"]]
    assert error(cloudflare.call("PUT", f"{rulesets}/{made['id']}", {"rules": [{}]}))[0] == 400
    assert cloudflare.call("DELETE", f"{rulesets}/{made['id']}").status_code == 204
    assert error(cloudflare.call("GET", f"{rulesets}/{made['id']}")) == (404, 10003)
    assert cloudflare.result("PUT", entrypoint, {"rules": [rule]})["phase"] == phase


def test_all_state_survives_a_restart(cloudflare: Cloudflare) -> None:
    cloudflare.record()
    cloudflare.script()
    records = cloudflare.result("GET", f"{cloudflare.zone}/dns_records")
    cloudflare.restart()
    assert cloudflare.result("GET", f"{cloudflare.zone}/dns_records") == records
    assert error(cloudflare.record()) == (400, 81058)
    assert len(cloudflare.result("GET", f"{cloudflare.account}/workers/scripts")) == 1


def test_faults_and_the_log_are_here_too(cloudflare: Cloudflare) -> None:
    fault = {"match": {"path_regex": "/dns_records"}, "action": "status", "status": 429, "times": 1}
    assert cloudflare.client.post("/_sandbox/faults", json=fault).status_code == 201
    records = f"/client/v4{cloudflare.zone}/dns_records"
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    statuses = [cloudflare.client.get(records, headers=headers).status_code for _ in range(2)]
    assert statuses == [429, 200]
    log = cloudflare.client.get("/_sandbox/requests").json["requests"]
    assert [entry["status"] for entry in log[-2:]] == [429, 200]
