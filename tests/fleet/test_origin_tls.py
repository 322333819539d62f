"""One region and the edge on the sandbox: certificates, origin pulls, the secret header, rules."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from components.ingress.trust import SECRET_HEADER
from infra.fleet.inventory import CA_FILE
from tests.fleet.fleet import ZONE, Fleet
from tests.projects import ROOT

PULLS = f"/zones/{ZONE}/origin_tls_client_auth"
INGRESS = "/api/v1/namespaces/nginx-ingress"
SECRET = "0123456789abcdef" * 2 + "old"
SETTLED = ("--expect-no-changes", "--refresh")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """us and edge, up as they are committed: without a CA."""
    fleet = Fleet.make(tmp_path_factory.mktemp("origin"))
    try:
        for ran in fleet.up("us", "edge"):
            ran.require()
        yield fleet
    finally:
        fleet.stop()


def configure(fleet: Fleet, stack: str, key: str, value: Any) -> None:
    path = fleet.project / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"][f"edgefleet:{key}"] = value
    path.write_text(yaml.safe_dump(document))


def keep_secret(fleet: Fleet, stack: str, key: str, value: str) -> None:
    subprocess.run(
        ["pulumi", "config", "set", "--secret", key, "--stack", stack],
        cwd=fleet.project,
        env=fleet.environment,
        input=value,
        text=True,
        check=True,
        capture_output=True,
    )


def together(fleet: Fleet, stacks: Sequence[str], *command: str) -> dict[str, str]:
    """Run a command for several stacks beside each other; what each printed."""
    with ThreadPoolExecutor() as pool:
        ran = pool.map(lambda stack: fleet.pulumi(stack, *command).require().output, stacks)
        return dict(zip(stacks, ran, strict=True))


def result(fleet: Fleet, path: str) -> Any:
    return fleet.cloudflare("GET", path)["result"]


def data(fleet: Fleet, path: str) -> dict[str, str]:
    found = fleet.kubernetes("us", f"{INGRESS}/{path}")["data"]
    return {key: b64decode(value).decode() for key, value in found.items()}


def pod_spec(fleet: Fleet) -> dict[str, Any]:
    found = fleet.kubernetes(
        "us", "/apis/apps/v1/namespaces/nginx-ingress/daemonsets/nginx-ingress"
    )
    return found["spec"]["template"]["spec"]


def mounted(fleet: Fleet) -> dict[str, str]:
    """The files that the ingress has: what it knows our edge by."""
    (volume,) = (v for v in pod_spec(fleet)["volumes"] if v["name"] == "files")
    return data(fleet, f"secrets/{volume['secret']['secretName']}")


def calls(fleet: Fleet, path: str) -> list[str]:
    log = fleet.cloudflare("GET", "/_sandbox/requests")["requests"]
    return [r["method"] for r in log if path in r["path"] and r["method"] != "GET"]


def urn(fleet: Fleet, stack: str, name: str) -> str:
    exported = json.loads(fleet.pulumi(stack, "stack", "export").require().output)
    (found,) = (
        r["urn"] for r in exported["deployment"]["resources"] if r["urn"].endswith(f"::{name}")
    )
    return found


def test_without_a_ca_nobody_is_asked_for_a_certificate(fleet: Fleet):
    """Settled it is, too: tests/fleet/test_up.py."""
    assert not (fleet.project / CA_FILE).exists()
    assert result(fleet, f"{PULLS}/settings") == {"enabled": False}
    config = fleet.kubernetes("us", f"{INGRESS}/configmaps/nginx-config")["data"]
    assert "ssl_client_certificate" not in config.get("http-snippets", "")


def test_the_ingress_has_a_certificate_of_the_origin_ca(fleet: Fleet):
    files = data(fleet, "secrets/origin-tls")
    certificate = x509.load_pem_x509_certificate(files["tls.crt"].encode())
    key = serialization.load_pem_private_key(files["tls.key"].encode(), None)
    assert key.public_key() == certificate.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "api.example.com",
        "example.com",
        "us.example.com",
    ]
    assert 1090 < (certificate.not_valid_after_utc - datetime.now(UTC)).days < 1100
    arguments = pod_spec(fleet)["containers"][0]["args"]
    for server in ("default-server", "wildcard"):
        assert f"-{server}-tls-secret=nginx-ingress/origin-tls" in arguments


def test_rules_survive_a_refresh_and_come_back_when_they_are_lost(fleet: Fleet):
    configure(fleet, "us", "firewall", {"adminCidrs": ["198.51.100.0/24"]})
    fleet.up("us")[0].require()
    fleet.preview("us", *SETTLED).require()
    rules = {(r["port"], r["source"]) for r in fleet.rules("us")}
    assert ("22", "198.51.100.0/24") in rules
    for rule in fleet.rules("us"):
        first, _, last = rule["port"].partition(":")
        for port in (80, 443):
            if rule["protocol"] == "tcp" and int(first) <= port <= int(last or first):
                assert rule["source"] == "cloudflare", rule

    (ssh,) = (r for r in fleet.rules("us") if r["port"] == "22")
    group = fleet.cluster("us")["firewall_group_id"]
    fleet.vultr("DELETE", f"/v2/firewalls/{group}/rules/{ssh['id']}")
    ran = fleet.pulumi("us", "up", "--yes", "--skip-preview", "--refresh").require()
    assert re.findall(r"([a-z]\S+) updated", ran.output) == ["us-firewall-rules"]
    assert ("22", "198.51.100.0/24") in {(r["port"], r["source"]) for r in fleet.rules("us")}


def test_an_answer_that_was_lost_and_a_rule_that_is_gone_already(fleet: Fleet):
    fleet.faulty(
        "vultr",
        {
            "match": {"method": "POST", "path_regex": "/rules$"},
            "action": "lose_answer",
            "times": 1,
        },
    )
    configure(fleet, "us", "firewall", {"adminCidrs": ["198.51.100.0/24", "203.0.114.0/24"]})
    fleet.up("us")[0].require()
    fleet.healthy()
    added = [r for r in fleet.rules("us") if r["subnet"] == "203.0.114.0"]
    assert len(added) == 1
    group = fleet.cluster("us")["firewall_group_id"]
    fleet.vultr("DELETE", f"/v2/firewalls/{group}/rules/{added[0]['id']}")
    configure(fleet, "us", "firewall", {"adminCidrs": ["198.51.100.0/24"]})
    fleet.up("us")[0].require()


@pytest.fixture(scope="module")
def trusted(fleet: Fleet) -> Fleet:
    """With a CA and a secret header, both sides up."""
    command = [str(ROOT / ".venv/bin/fleet"), "ca", "init"]
    subprocess.run(command, cwd=fleet.project, env=fleet.environment, check=True)
    for stack in ("us", "edge"):
        configure(fleet, stack, "originHeader", "observe")
        keep_secret(fleet, stack, "originSecret", SECRET)
    for ran in fleet.up("us", "edge"):
        ran.require()
    return fleet


def test_cloudflare_shows_a_certificate_of_the_committed_ca(trusted: Fleet):
    together(trusted, ("us", "edge"), "preview", "--diff", *SETTLED)
    assert result(trusted, f"{PULLS}/settings") == {"enabled": True}
    (uploaded,) = result(trusted, PULLS)
    ca = x509.load_pem_x509_certificate((trusted.project / CA_FILE).read_bytes())
    leaf = x509.load_pem_x509_certificate(uploaded["certificate"].encode())
    leaf.verify_directly_issued_by(ca)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage
    files = mounted(trusted)
    assert files["origin-pulls-ca.pem"] == (trusted.project / CA_FILE).read_text()
    assert f'"{SECRET}" known;' in files["origin-secrets.map"]


def test_a_new_leaf_is_uploaded_before_the_old_one_goes(trusted: Fleet):
    (before,) = result(trusted, PULLS)
    origin = pod_spec(trusted)
    trusted.cloudflare("DELETE", "/_sandbox/requests")
    leaf = urn(trusted, "edge", "edge-origin-pulls-leaf")
    trusted.pulumi("edge", "up", "--yes", "--skip-preview", "--replace", leaf).require()
    assert calls(trusted, "origin_tls_client_auth") == ["POST", "DELETE"]
    (after,) = result(trusted, PULLS)
    assert after["serial_number"] != before["serial_number"]
    assert result(trusted, f"{PULLS}/settings") == {"enabled": True}
    # No origin has anything to do with it.
    assert trusted.steps("us") == {}
    assert pod_spec(trusted) == origin


def runbook() -> list[str]:
    """The commands of docs/security.md, step by step."""
    text = (ROOT / "docs" / "security.md").read_text()
    section = text[text.index("### Yearly rotation") : text.index("### Credentials")]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def shell(fleet: Fleet, script: str) -> subprocess.CompletedProcess[str]:
    """Run commands of the documentation, for the one region that is up here."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{fleet.environment['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace('"us eu apac"', '"us"')],
        cwd=fleet.project,
        env={**fleet.environment, "PATH": path, "regions": "us"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def worker_secret(fleet: Fleet) -> str:
    """What the Worker sends now. No answer of Cloudflare's shows it; the emulator's file does."""
    state = (fleet.directory / "cloudflare" / "cloudflare.json").read_text()
    *_, binding = re.findall(r'\{[^{}]*"ORIGIN_SECRET"[^{}]*\}', state)
    return json.loads(binding)["text"]


def shown(fleet: Fleet) -> tuple[x509.Certificate, str]:
    """The certificate and the header by which an origin knows our edge."""
    (uploaded,) = result(fleet, PULLS)
    leaf = x509.load_pem_x509_certificate(uploaded["certificate"].encode())
    return leaf, worker_secret(fleet)


def lets_in(fleet: Fleet, leaf: x509.Certificate, secret: str) -> bool:
    """Whether the region takes both, by the files that its ingress has mounted. What nginx makes
    of such files: tests/packets/test_nginx_tls.py."""
    files = mounted(fleet)
    cas = x509.load_pem_x509_certificates(files["origin-pulls-ca.pem"].encode())
    issuers = [ca for ca in cas if ca.subject == leaf.issuer]
    for ca in issuers:
        leaf.verify_directly_issued_by(ca)
    return bool(issuers) and f'"{secret}" known;' in files["origin-secrets.map"]


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="the runbook uses openssl, which is not on PATH"
)
def test_the_runbook_rotates_ca_and_header_while_the_region_serves(trusted: Fleet):
    prepare, regions, edge, finish, again = runbook()
    old = shown(trusted)
    printed = ""
    for step in (prepare, regions):
        ran = shell(trusted, step)
        assert ran.returncode == 0, ran.stdout
        printed += ran.stdout
        assert shown(trusted) == old
        assert lets_in(trusted, *old)
    early = shell(trusted, "fleet ca retire")
    assert early.returncode == 2
    assert "Cloudflare shows no certificate of the new CA yet" in early.stdout

    ran = shell(trusted, edge)
    assert ran.returncode == 0, ran.stdout
    printed += ran.stdout
    new = shown(trusted)
    assert new[0].issuer != old[0].issuer
    assert new[1] != old[1]
    for step in ("", finish, again):
        assert lets_in(trusted, *new)
        ran = shell(trusted, step)
        assert ran.returncode == 0, ran.stdout
        printed += ran.stdout
    assert shown(trusted) == new
    assert lets_in(trusted, *new)
    assert not lets_in(trusted, new[0], old[1])
    assert not lets_in(trusted, old[0], new[1])
    for secret in (old[1], new[1], "PRIVATE KEY"):
        assert secret not in printed


def test_the_worker_has_the_secret_bound(trusted: Fleet):
    accounts = trusted.cloudflare("GET", "/accounts")["result"]
    script = f"/accounts/{accounts[0]['id']}/workers/scripts/edgefleet/settings"
    bindings = {b["name"]: b for b in result(trusted, script)["bindings"]}
    assert bindings["ORIGIN_SECRET"]["type"] == "secret_text"
    assert bindings["ORIGIN_SECRET_HEADER"]["text"] == SECRET_HEADER


def test_a_due_certificate_is_planned_anew_and_the_old_one_goes_last(trusted: Fleet):
    """The clock's time is up: simulated by asking for another clock."""
    trusted.cloudflare("DELETE", "/_sandbox/requests")
    before = data(trusted, "secrets/origin-tls")
    clock = urn(trusted, "us", "us-tls-clock")
    trusted.pulumi("us", "up", "--yes", "--skip-preview", "--replace", clock).require()
    after = data(trusted, "secrets/origin-tls")
    assert after["tls.crt"] != before["tls.crt"]
    assert calls(trusted, "/certificates") == ["POST", "DELETE"]
    trusted.preview("us", *SETTLED).require()


def test_no_secret_stands_in_clear(trusted: Fleet):
    secrets = {
        "Vultr's API key": trusted.environment["VULTR_API_KEY"],
        "Cloudflare's token": trusted.environment["CLOUDFLARE_API_TOKEN"],
        "the header's old secret": SECRET,
        "the header": worker_secret(trusted),
        "a private key": "PRIVATE KEY",
        "a private key in base64": "UFJJVkFURSBLRV",
        "another one": "QUklWQVRFIEtFW",
        "a third one": "BSSVZBVEUgS0VZ",
    }
    texts = {
        f"{title} of {stack}": text
        for title, command in (
            ("state", ("stack", "export")),
            ("preview", ("preview", "--diff", "--show-sames", "--refresh")),
        )
        for stack, text in together(trusted, ("us", "edge"), *command).items()
    }
    texts |= {
        str(path): path.read_text(errors="replace")
        for path in (*trusted.directory.rglob("*.log"), *trusted.project.glob("Pulumi.*.yaml"))
    }
    assert len(texts) > 8
    for name, secret in secrets.items():
        for where, text in texts.items():
            assert secret not in text, f"{name} in {where}"


def test_destroying_leaves_the_zone_as_it_was_found(trusted: Fleet):
    def destroy() -> None:
        trusted.pulumi("edge", "destroy", "--yes", "--skip-preview").require()

    destroy()
    assert result(trusted, f"{PULLS}/settings") == {"enabled": False}
    assert result(trusted, PULLS) == []
    # And so it does where somebody had switched it on before us.
    trusted.cloudflare("PUT", f"{PULLS}/settings", {"enabled": True})
    trusted.cloudflare("PATCH", f"/zones/{ZONE}/settings/ssl", {"value": "flexible"})
    wanted = {"ssl": "strict", "minTlsVersion": "1.2"}
    configure(trusted, "edge", "edge", {"script": "edgefleet", "zoneSettings": wanted})
    trusted.up("edge")[0].require()
    trusted.preview("edge", *SETTLED).require()
    assert result(trusted, f"/zones/{ZONE}/settings/ssl")["value"] == "strict"
    destroy()
    assert result(trusted, f"{PULLS}/settings") == {"enabled": True}
    assert result(trusted, f"/zones/{ZONE}/settings/ssl")["value"] == "flexible"
    assert result(trusted, f"/zones/{ZONE}/settings/min_tls_version")["value"] == "1.0"
