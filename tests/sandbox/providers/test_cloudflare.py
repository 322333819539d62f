"""The emulated Cloudflare provider on the emulated API: what the real one was seen to do.

"Cloudflare N" are the numbers of docs/facts/real-providers.md.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi_cloudflare as cf
import pulumi_tls as tls
import pytest

from sandbox.providers.base.http import HttpError
from sandbox.providers.base.operations import Call, PluginError
from sandbox.providers.base.schema import inputs_of, output_names, secret_outputs, token
from sandbox.providers.base.values import UNKNOWN
from sandbox.providers.cloudflare.plugin import CloudflarePlugin
from sandbox.providers.tls.plugin import TlsPlugin
from sandbox.vendors.cloudflare.api import API_TOKEN, create_app
from tests.data import table
from tests.sandbox.providers.plugin_harness import Emulator, Engine, Refused, State, SwitchingServer

SPEED = 20000.0
MODULE = "export default { fetch() { return new Response('a'); } };\n"
RESOURCES = [
    cf.DnsRecord,
    cf.WorkersScript,
    cf.WorkersRoute,
    cf.WorkersCronTrigger,
    cf.WorkersKvNamespace,
    cf.Worker,
    cf.WorkerVersion,
    cf.WorkersDeployment,
    cf.OriginCaCertificate,
    cf.AuthenticatedOriginPullsCertificate,
    cf.AuthenticatedOriginPullsSettings,
    cf.ZoneSetting,
    cf.Ruleset,
]


@pytest.fixture(scope="module")
def server() -> Iterator[SwitchingServer]:
    with SwitchingServer() as running:
        yield running


@pytest.fixture
def api(tmp_path: Path, server: SwitchingServer) -> Iterator[Emulator]:
    server.app = create_app(tmp_path)
    emulator = Emulator(server.url)
    yield emulator
    emulator.require_met()


@pytest.fixture
def engine(api: Emulator) -> Engine:
    config = {"apiToken": API_TOKEN, "baseUrl": f"{api.url}/client/v4"}
    return Engine(CloudflarePlugin(SPEED), config)


@pytest.fixture
def zone(engine: Engine) -> dict[str, Any]:
    found = engine.invoke("cloudflare:index/getZone:getZone", {"filter": {"name": "example.com"}})
    return {"zoneId": found["id"], "accountId": found["account"]["id"]}


@pytest.fixture
def record(zone: dict[str, Any]) -> dict[str, Any]:
    return {
        "zoneId": zone["zoneId"],
        "name": "us.example.com",
        "type": "A",
        "content": "45.76.1.10",
        "ttl": 1,
        "proxied": True,
        "comment": "edgefleet us",
    }


@pytest.fixture
def script(zone: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "worker.js"
    path.write_text(MODULE)
    return {
        "accountId": zone["accountId"],
        "scriptName": "edge",
        "mainModule": "worker.js",
        "contentFile": str(path),
        "contentSha256": hashlib.sha256(MODULE.encode()).hexdigest(),
        "compatibilityDate": "2026-01-01",
        "bindings": [
            {"name": "B", "type": "plain_text", "text": "2"},
            {"name": "A", "type": "plain_text", "text": "1"},
            {"name": "S", "type": "secret_text", "text": "secret"},
        ],
    }


def settled(engine: Engine, state: State, inputs: dict[str, Any]) -> State:
    """No changes, neither at once nor after a refresh."""
    assert engine.changes(state, inputs) == {}
    refreshed = engine.refresh(state)
    assert refreshed is not None
    assert engine.changes(refreshed, inputs) == {}
    assert refreshed.inputs == state.inputs
    return refreshed


# DNS records.


def test_a_record(engine: Engine, api: Emulator, record: dict[str, Any]) -> None:
    made = engine.create(cf.DnsRecord, record)
    assert "/" not in made.id
    settled(engine, made, record)
    changed = {**record, "content": "45.76.1.11", "name": "eu.example.com"}
    assert engine.changes(made, changed) == {"content": "~", "name": "~"}
    api.forget()
    updated = engine.update(made, changed)
    path = f"/client/v4/zones/{record['zoneId']}/dns_records/{made.id}"
    assert api.sent() == [f"PUT {path}"]
    settled(engine, updated, changed)
    assert engine.changes(made, {**record, "type": "CNAME"}) == {"type": "~~"}
    engine.delete(made)
    assert engine.refresh(made) is None


def test_a_plain_preview_sends_nothing(
    engine: Engine, api: Emulator, record: dict[str, Any]
) -> None:
    made = engine.create(cf.DnsRecord, record)
    api.forget()
    engine.changes(made, record)
    engine.plan(cf.DnsRecord, record)
    assert api.sent() == []


def test_an_update_preview_does_not_know_what_the_api_computes(
    engine: Engine, record: dict[str, Any]
) -> None:
    made = engine.create(cf.DnsRecord, record)
    planned = engine.plan_update(made, {**record, "content": "45.76.1.11"})
    assert planned["modifiedOn"] is UNKNOWN
    assert planned["content"] == "45.76.1.11"
    assert planned["name"] == "us.example.com"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"type": "AAAA", "content": "2001:DB8:0::1", "proxied": False}, "content"),
        ({"name": "US.example.com"}, "name"),
    ],
)
def test_spellings_that_the_api_changes_drift_for_ever(
    engine: Engine, record: dict[str, Any], change: dict[str, Any], path: str
) -> None:
    inputs = {**record, **change}
    state = engine.create(cf.DnsRecord, inputs)
    for _ in range(2):
        refreshed = engine.refresh(state)
        assert refreshed is not None
        assert engine.changes(refreshed, inputs) == {path: "~"}
        state = engine.update(refreshed, inputs)


def test_drift_shows_after_a_refresh_only(engine: Engine, record: dict[str, Any]) -> None:
    made = engine.create(cf.DnsRecord, record)
    path = f"/zones/{record['zoneId']}/dns_records/{made.id}"
    engine.session.result(Call(), "PATCH", path, json={"content": "45.76.9.9"})
    assert engine.changes(made, record) == {}
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert engine.changes(refreshed, record) == {"content": "~"}


def test_a_delete_or_put_answered_404_is_an_error(engine: Engine, record: dict[str, Any]) -> None:
    made = engine.create(cf.DnsRecord, record)
    engine.delete(made)
    for _ in range(2):
        with pytest.raises(HttpError, match=": 404 "):
            engine.delete(made)
    with pytest.raises(HttpError, match=": 404 "):
        engine.update(made, {**record, "comment": "x"})


def test_a_lost_answer_orphans_the_record(
    engine: Engine, api: Emulator, record: dict[str, Any]
) -> None:
    api.fault(match={"method": "POST"}, action="lose_answer", times=1)
    with pytest.raises(HttpError, match="81058"):
        engine.create(cf.DnsRecord, record)
    assert [line.split()[0] for line in api.sent()].count("POST") == 2
    with pytest.raises(HttpError, match="81058"):
        engine.create(cf.DnsRecord, record)


def test_proxied_with_a_ttl_fails_only_at_up(engine: Engine, record: dict[str, Any]) -> None:
    inputs = {**record, "ttl": 300}
    engine.plan(cf.DnsRecord, inputs)
    with pytest.raises(HttpError, match="400 "):
        engine.create(cf.DnsRecord, inputs)


def test_a_record_is_imported_by_zone_and_id(engine: Engine, record: dict[str, Any]) -> None:
    made = engine.create(cf.DnsRecord, record)
    found = engine.import_(cf.DnsRecord, f"{record['zoneId']}/{made.id}")
    assert found is not None
    assert found.id == made.id
    assert engine.changes(found, record) == {}
    with pytest.raises(PluginError, match="<zoneId>/<id>"):
        engine.import_(cf.DnsRecord, made.id)


# Scripts.


def test_a_script(engine: Engine, script: dict[str, Any]) -> None:
    made = engine.create(cf.WorkersScript, script)
    assert made.id == "edge"
    assert "content" not in made.outputs
    settled(engine, made, script)
    turned = {**script, "bindings": script["bindings"][::-1]}
    assert engine.changes(made, turned) != {}
    assert engine.changes(made, {**script, "scriptName": "other"}) == {"scriptName": "~~"}
    engine.delete(made)
    assert engine.refresh(made) is None


def test_a_changed_file_shows_by_its_hash(engine: Engine, script: dict[str, Any]) -> None:
    made = engine.create(cf.WorkersScript, script)
    Path(script["contentFile"]).write_text("changed")
    with pytest.raises(Refused, match="content_sha256 mismatch"):
        engine.check(cf.WorkersScript, script)
    changed = {**script, "contentSha256": hashlib.sha256(b"changed").hexdigest()}
    assert engine.changes(made, changed) == {"contentSha256": "~"}
    settled(engine, engine.update(made, changed), changed)


def test_a_script_changed_by_others_shows_after_a_refresh(
    engine: Engine, script: dict[str, Any]
) -> None:
    made = engine.create(cf.WorkersScript, script)
    other = Path(script["contentFile"]).with_name("other.js")
    other.write_text("export default {};")
    sha = hashlib.sha256(b"export default {};").hexdigest()
    engine.update(made, {**script, "contentFile": str(other), "contentSha256": sha})
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert engine.changes(refreshed, script) == {"contentSha256": "~"}


def test_content_in_the_program_is_in_the_state(engine: Engine, script: dict[str, Any]) -> None:
    inputs = {k: v for k, v in script.items() if k not in ("contentFile", "contentSha256")}
    inputs["content"] = MODULE
    made = engine.create(cf.WorkersScript, inputs)
    assert made.outputs["content"] == MODULE
    settled(engine, made, inputs)
    with pytest.raises(Refused, match="cannot be specified"):
        engine.check(cf.WorkersScript, {**script, "content": MODULE})


def test_observability_defaults_come_back_after_a_refresh(
    engine: Engine, script: dict[str, Any]
) -> None:
    inputs = {**script, "observability": {"enabled": True}}
    made = engine.create(cf.WorkersScript, inputs)
    assert engine.changes(made, inputs) == {}
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert engine.changes(refreshed, inputs).keys() == {
        "observability.headSamplingRate",
        "observability.logs",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contentSha256": None}, "must be specified together"),
        ({"bindings": [{"name": "A"}]}, r"bindings\[0\].type: Missing"),
        ({"bindings": [{"name": "A", "type": "plain_text", "txt": "1"}]}, "Unsupported argument"),
        ({"contentFile": "/nowhere/worker.js"}, "could not read /nowhere/worker.js"),
    ],
)
def test_scripts_the_provider_refuses(
    engine: Engine, script: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    with pytest.raises((Refused, PluginError), match=words):
        engine.check(cf.WorkersScript, {**script, **change})


def test_a_route(engine: Engine, zone: dict[str, Any], script: dict[str, Any]) -> None:
    engine.create(cf.WorkersScript, script)
    inputs = {"zoneId": zone["zoneId"], "pattern": "example.com/*", "script": "edge"}
    made = engine.create(cf.WorkersRoute, inputs)
    settled(engine, made, inputs)
    changed = {**inputs, "pattern": "api.example.com/*"}
    assert engine.changes(made, changed) == {"pattern": "~"}
    settled(engine, engine.update(made, changed), changed)
    assert engine.changes(made, {**inputs, "zoneId": "z"}) == {"zoneId": "~~"}
    found = engine.import_(cf.WorkersRoute, f"{zone['zoneId']}/{made.id}")
    assert found is not None
    assert found.inputs["script"] == "edge"
    engine.delete(made)
    assert engine.refresh(made) is None


def test_schedules_stay_after_destroy_and_lost_ones_are_not_noticed(
    engine: Engine, api: Emulator, zone: dict[str, Any], script: dict[str, Any]
) -> None:
    engine.create(cf.WorkersScript, script)
    inputs = {
        "accountId": zone["accountId"],
        "scriptName": "edge",
        "schedules": [{"cron": "*/5 * * * *"}],
    }
    made = engine.create(cf.WorkersCronTrigger, inputs)
    path = f"/accounts/{zone['accountId']}/workers/scripts/edge/schedules"
    engine.session.result(Call(), "PUT", path, json=[])
    settled(engine, made, inputs)
    api.forget()
    engine.delete(made)
    assert api.sent() == []


def test_a_key_value_namespace(engine: Engine, zone: dict[str, Any]) -> None:
    account = {"accountId": zone["accountId"]}
    space = engine.create(cf.WorkersKvNamespace, {**account, "title": "regions"})
    settled(engine, space, {**account, "title": "regions"})
    renamed = {**account, "title": "r"}
    assert engine.update(space, renamed).outputs["title"] == "r"


def test_versions_and_deployments(
    engine: Engine, api: Emulator, zone: dict[str, Any], script: dict[str, Any]
) -> None:
    account = {"accountId": zone["accountId"]}
    worker_inputs = {**account, "name": "edge"}
    worker = engine.create(cf.Worker, worker_inputs)
    settled(engine, worker, worker_inputs)
    module = {
        "name": "worker.js",
        "contentType": "application/javascript+module",
        "contentFile": script["contentFile"],
    }
    version_inputs = {
        **account,
        "workerId": worker.id,
        "mainModule": "worker.js",
        "compatibilityDate": "2026-01-01",
        "modules": [module],
    }
    version = engine.create(cf.WorkerVersion, version_inputs)
    assert version.inputs["modules"][0]["contentSha256"] == script["contentSha256"]
    settled(engine, version, version_inputs)
    inputs = {
        **account,
        "scriptName": "edge",
        "strategy": "percentage",
        "versions": [{"versionId": version.id, "percentage": 100}],
    }
    deployment = engine.create(cf.WorkersDeployment, inputs)
    settled(engine, deployment, inputs)
    Path(script["contentFile"]).write_text("changed")
    assert engine.changes(version, version_inputs) == {"modules[0].contentSha256": "~~"}
    api.forget()
    engine.delete(deployment)
    engine.delete(version)
    assert api.sent() == []
    engine.delete(worker)
    assert engine.refresh(worker) is None


def test_base64_modules_are_sent_as_they_are(engine: Engine, zone: dict[str, Any]) -> None:
    account = {"accountId": zone["accountId"]}
    worker = engine.create(cf.Worker, {**account, "name": "edge"})
    module = {
        "name": "w.js",
        "contentType": "application/javascript+module",
        "contentBase64": base64.b64encode(MODULE.encode()).decode(),
    }
    inputs = {**account, "workerId": worker.id, "mainModule": "w.js", "modules": [module]}
    settled(engine, engine.create(cf.WorkerVersion, inputs), inputs)


# Certificates and settings.


@pytest.fixture(scope="module")
def own_certificate() -> dict[str, Any]:
    maker = Engine(TlsPlugin(), {})
    key = maker.create(tls.PrivateKey, {"algorithm": "ECDSA", "ecdsaCurve": "P256"}).outputs
    common = {"privateKeyPem": key["privateKeyPem"], "subject": {"commonName": "example.com"}}
    request = maker.create(tls.CertRequest, {**common, "dnsNames": ["example.com"]}).outputs
    certificate = maker.create(
        tls.SelfSignedCert,
        {**common, "validityPeriodHours": 24, "allowedUses": ["client_auth"]},
    ).outputs
    return {
        "csr": request["certRequestPem"],
        "privateKey": key["privateKeyPem"],
        "certificate": certificate["certPem"],
    }


def test_every_change_of_an_origin_certificate_replaces_it(
    engine: Engine, zone: dict[str, Any], own_certificate: dict[str, Any]
) -> None:
    inputs = {
        "csr": own_certificate["csr"],
        "hostnames": ["example.com", "*.example.com"],
        "requestType": "origin-ecc",
        "requestedValidity": 365,
    }
    made = engine.create(cf.OriginCaCertificate, inputs)
    assert made.outputs["certificate"].startswith("-----BEGIN CERTIFICATE")
    settled(engine, made, inputs)
    assert engine.changes(made, {**inputs, "requestedValidity": 90}) == {"requestedValidity": "~~"}
    hosts = {**inputs, "hostnames": ["*.example.com", "example.com"]}
    assert set(engine.changes(made, hosts).values()) == {"~~"}
    engine.delete(made)


def test_origin_pulls(
    engine: Engine, api: Emulator, zone: dict[str, Any], own_certificate: dict[str, Any]
) -> None:
    inputs = {
        "zoneId": zone["zoneId"],
        "certificate": own_certificate["certificate"],
        "privateKey": own_certificate["privateKey"],
    }
    made = engine.create(cf.AuthenticatedOriginPullsCertificate, inputs)
    assert made.outputs["certificateId"] == made.id
    settled(engine, made, inputs)
    settings = {"zoneId": zone["zoneId"], "enabled": True}
    pulls = engine.create(cf.AuthenticatedOriginPullsSettings, settings)
    settled(engine, pulls, settings)
    off = {**settings, "enabled": False}
    assert engine.changes(pulls, off) == {"enabled": "~"}
    settled(engine, engine.update(pulls, off), off)
    engine.delete(made)
    assert engine.refresh(made) is None
    api.forget()
    engine.delete(pulls)
    assert api.sent() == []


def test_destroying_a_zone_setting_leaves_the_value(
    engine: Engine, api: Emulator, zone: dict[str, Any]
) -> None:
    inputs = {"zoneId": zone["zoneId"], "settingId": "ssl", "value": "strict"}
    made = engine.create(cf.ZoneSetting, inputs)
    assert made.id == "ssl"
    settled(engine, made, inputs)
    api.forget()
    engine.delete(made)
    assert api.sent() == []
    found = engine.import_(cf.ZoneSetting, f"{zone['zoneId']}/ssl")
    assert found is not None
    assert found.outputs["value"] == "strict"


def test_a_ruleset_owns_the_phase(engine: Engine, zone: dict[str, Any]) -> None:
    rule = {"action": "block", "expression": "not ssl", "description": "tls only"}
    inputs = {
        "zoneId": zone["zoneId"],
        "kind": "zone",
        "name": "default",
        "phase": "http_request_firewall_custom",
        "rules": [rule],
    }
    made = engine.create(cf.Ruleset, inputs)
    settled(engine, made, inputs)
    with pytest.raises(HttpError, match="already exists"):
        engine.create(cf.Ruleset, inputs)
    path = f"/zones/{zone['zoneId']}/rulesets/{made.id}"
    both = [rule, {"action": "log", "expression": "true"}]
    engine.session.result(Call(), "PUT", path, json={"rules": both})
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert engine.changes(refreshed, inputs) == {"rules[1]": "-"}
    assert len(engine.update(refreshed, inputs).outputs["rules"]) == 1
    found = engine.import_(cf.Ruleset, f"zones/{zone['zoneId']}/{made.id}")
    assert found is not None
    engine.delete(made)
    assert engine.refresh(made) is None


# Data sources, errors, tokens.


def test_data_sources(engine: Engine, zone: dict[str, Any]) -> None:
    by_id = engine.invoke("cloudflare:index/getZone:getZone", {"zoneId": zone["zoneId"]})
    assert by_id["name"] == "example.com"
    with pytest.raises(PluginError, match=r"40[34] "):
        engine.invoke("cloudflare:index/getZone:getZone", {"zoneId": "0" * 32})
    ranges = engine.invoke("cloudflare:index/getIpRanges:getIpRanges", {})
    assert len(ranges["ipv4Cidrs"]) == 15
    assert len(ranges["ipv6Cidrs"]) == 7
    assert ranges["etag"]


def test_ten_retries_for_server_errors_and_none_for_refusals(
    engine: Engine, api: Emulator, record: dict[str, Any]
) -> None:
    api.forget()
    api.fault(match={"method": "POST"}, action="status", status=503, times=11)
    with pytest.raises(HttpError, match=r"giving up after 11 attempt\(s\): 503"):
        engine.create(cf.DnsRecord, record)
    assert len(api.sent()) == 11
    api.forget()
    with pytest.raises(HttpError, match="400 "):
        engine.create(cf.DnsRecord, {**record, "content": "nonsense"})
    assert len(api.sent()) == 1


def test_the_tokens_form_is_checked_in_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = CloudflarePlugin()
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    assert plugin.check_config(Call(), {})[1] == []
    assert plugin.check_config(Call(), {"apiToken": UNKNOWN})[1] == []
    assert plugin.check_config(Call(), {"apiToken": API_TOKEN})[1] == []
    (failure,) = plugin.check_config(Call(), {"apiToken": "too-short"})[1]
    assert failure.property == "apiToken"
    assert "too-short" not in failure.reason
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "short")
    assert plugin.check_config(Call(), {})[1] != []


def test_no_token_fails_at_up(
    api: Emulator, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    engine = Engine(CloudflarePlugin(SPEED), {"baseUrl": f"{api.url}/client/v4"})
    engine.plan(cf.DnsRecord, record)
    with pytest.raises(HttpError, match=r"400 .*Missing"):
        engine.create(cf.DnsRecord, record)


def test_missing_and_unknown_inputs_are_refused(engine: Engine, record: dict[str, Any]) -> None:
    with pytest.raises(Refused, match='argument "zoneId" is required'):
        engine.check(cf.DnsRecord, {k: v for k, v in record.items() if k != "zoneId"})
    with pytest.raises(Refused, match="value: Unsupported argument"):
        engine.check(cf.DnsRecord, {**record, "value": "1.2.3.4"})


@pytest.mark.parametrize("sdk", RESOURCES)
def test_the_sdk_is_read_as_the_schema_says(sdk: Any) -> None:
    fields = table("cloudflare-fields")["resources"][token(sdk)]
    # The schema is 6.17, the SDK 6.23: inputs were added, and some became required.
    inputs = inputs_of(sdk)
    assert set(fields["inputs"]) <= inputs.properties.keys()
    assert set(fields["required"]) <= inputs.required
    assert inputs.required - set(fields["required"]) <= {"zoneId", "accountId"}
    assert set(fields["outputs"]) <= output_names(sdk)
    assert secret_outputs(sdk) == set(fields["secret"])


def test_replacing_and_kept_properties_exist() -> None:
    plugin = CloudflarePlugin()
    for resource in plugin._resources.values():
        known = inputs_of(resource.sdk).properties.keys()
        assert resource.replaces <= known
        assert resource.optional | resource.whole <= known
