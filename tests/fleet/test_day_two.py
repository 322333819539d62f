"""`fleet doctor`, `compare` and `drift` on the sandbox: a healthy fleet, and one with faults."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fleet.by_hand import ACCOUNT, record, until
from tests.fleet.fleet import ZONE, Fleet, Ran, answering
from tests.projects import ROOT, git

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
RECORDS = f"/zones/{ZONE}/dns_records"
SYSTEM = "/api/v1/namespaces/kube-system"
INGRESS = "/apis/apps/v1/namespaces/nginx-ingress/daemonsets/nginx-ingress"
CALICO = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
VERSION = "v1.36.2+1"
"""Its end isn't known here, so that this test doesn't fail on that day."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """us and edge are the whole fleet, and up."""
    made = Fleet.make(tmp_path_factory.mktemp("day-two"))
    git(made.project, "rm", "-q", "Pulumi.eu.yaml", "Pulumi.apac.yaml")
    made.change("us", version=VERSION)
    git(made.project, "commit", "-qam", "a fleet of one region")
    for ran in made.up("us", "edge"):
        ran.require()
    yield made
    made.stop()


def run(fleet: Fleet, *command: str) -> Ran:
    """The command, as somebody types it in the project; standard output and error."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", "from ops.cli import main; main()", *command],
        cwd=fleet.project,
        env={**fleet.environment, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return Ran(ran.returncode, ran.stdout + ran.stderr)


def doctor(fleet: Fleet, *options: str) -> tuple[int, dict[str, Any]]:
    ran = run(fleet, "doctor", "--json", *options)
    return ran.code, json.loads(ran.output)


def faults(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding["rung"], finding["fault"]) for finding in report["findings"]}


# --- what goes wrong --------------------------------------------------------------------------


def open_to_all(fleet: Fleet) -> None:
    group = fleet.cluster("us")["firewall_group_id"]
    rule = {"ip_type": "v4", "protocol": "tcp", "port": "443", "subnet": "0.0.0.0"}
    fleet.vultr("POST", f"/v2/firewalls/{group}/rules", {**rule, "subnet_size": 0, "notes": "x"})


def delete_rule(fleet: Fleet) -> None:
    group = fleet.cluster("us")["firewall_group_id"]
    (bgp,) = (rule for rule in fleet.rules("us") if rule["port"] == "179")
    fleet.vultr("DELETE", f"/v2/firewalls/{group}/rules/{bgp['id']}")


def unproxy_delete_and_add_records(fleet: Fleet) -> None:
    first, second, *_ = fleet.records("us.example.com")
    fleet.cloudflare("PATCH", f"{RECORDS}/{first}", {"proxied": False})
    fleet.cloudflare("DELETE", f"{RECORDS}/{second}")
    record(fleet, "A", "us.example.com", "203.0.113.9")


def remove_route(fleet: Fleet) -> None:
    routes = fleet.cloudflare("GET", f"/zones/{ZONE}/workers/routes")["result"]
    (route,) = (route for route in routes if route["pattern"] == "example.com/*")
    fleet.cloudflare("DELETE", f"/zones/{ZONE}/workers/routes/{route['id']}")


def stale_verdict(fleet: Fleet) -> None:
    namespaces = f"/accounts/{ACCOUNT}/storage/kv/namespaces"
    (space,) = fleet.cloudflare("GET", namespaces)["result"]
    said = {"us": {"up": False, "since": "2026-01-01T00:00:00Z", "detail": "status 503"}}
    answer = requests.put(
        f"{fleet.environment['CLOUDFLARE_BASE_URL']}{namespaces}/{space['id']}/values/regions",
        data=json.dumps(said),
        headers={"Authorization": f"Bearer {fleet.environment['CLOUDFLARE_API_TOKEN']}"},
        timeout=30,
    )
    answer.raise_for_status()


def drop_variable(fleet: Fleet) -> None:
    env = [{"name": "FELIX_BPFENABLED", "$patch": "delete"}]
    spec = {"containers": [{"name": "calico-node", "env": env}]}
    patch(fleet, CALICO, {"spec": {"template": {"spec": spec}}}, STRATEGIC)
    until(lambda: settled(fleet, CALICO, 3))


def forget_upstream(fleet: Fleet) -> None:
    path = f"{SYSTEM}/configmaps/coredns"
    corefile = fleet.kubernetes("us", path)["data"]["Corefile"]
    kept = [line for line in corefile.splitlines() if "forward" not in line]
    patch(fleet, path, {"data": {"Corefile": "\n".join(kept)}}, MERGE)


def keep_ingress_off_a_node(fleet: Fleet) -> str:
    node = fleet.kubernetes("us", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    term = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    patch(fleet, INGRESS, {"spec": {"template": {"spec": {"affinity": affinity}}}}, MERGE)
    until(lambda: settled(fleet, INGRESS, 2))
    return node


def expire_certificate(fleet: Fleet) -> None:
    path = "/api/v1/namespaces/nginx-ingress/secrets/origin-tls"
    hosts = ["example.com", "api.example.com", "us.example.com"]
    patch(fleet, path, {"data": {"tls.crt": expired(hosts)}}, MERGE)


def refuse_an_ingress(fleet: Fleet) -> None:
    """What the ingress says of one that it can't take: there is none here that would."""
    name = {"namespace": "default", "name": "cart"}
    rule = {"host": "example.com", "http": None}
    ingress = {"metadata": {"name": "cart"}, "spec": {"rules": [rule]}}
    fleet.kubernetes("us", "/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)
    event = {
        "metadata": {"name": "cart.1", "namespace": "default"},
        "involvedObject": {"kind": "Ingress", "apiVersion": "networking.k8s.io/v1", **name},
        "reason": "Rejected",
        "message": "no such annotation",
        "type": "Warning",
        "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    fleet.kubernetes("us", "/api/v1/namespaces/default/events", event)


def break_a_machine(fleet: Fleet) -> str:
    node = fleet.nodes("us")[-1]
    path = f"/_sandbox/clusters/{fleet.cluster('us')['id']}/break"
    fleet.vultr("POST", path, {"node": node["id"]})
    return node["label"]


def lock(fleet: Fleet) -> Path:
    folder = fleet.directory / "state" / ".pulumi" / "locks" / "organization" / "edgefleet" / "us"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "left-over.json"
    told = {"pid": 7, "username": "me", "hostname": "laptop", "timestamp": "2026-11-21T20:00:00Z"}
    path.write_text(json.dumps(told))
    return path


def patch(fleet: Fleet, path: str, body: dict[str, Any], kind: str) -> None:
    fleet.kubernetes("us", path, body, method="PATCH", content_type=kind)


def settled(fleet: Fleet, path: str, count: int) -> bool:
    found = fleet.kubernetes("us", path)
    status = found["status"]
    names = ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable")
    seen = status["observedGeneration"] == found["metadata"]["generation"]
    return seen and all(status.get(name) == count for name in names)


def expired(hosts: list[str]) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now - timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


# --- what is found ----------------------------------------------------------------------------


def test_a_healthy_fleet_then_each_fault_by_name_then_what_was_said_to_do(
    fleet: Fleet, tmp_path: Path
):
    ran = run(fleet, "doctor")
    assert ran.code == 0, ran.output
    assert "Nothing found." in ran.output
    assert "edge: what visitors get: https://example.com/: " in " ".join(ran.output.split())
    page = tmp_path / "clusters.html"
    ran = run(fleet, "compare", "--html", str(page))
    assert ran.code == 0, ran.output
    assert "No difference" in ran.output
    ran = run(fleet, "drift", "edge")
    assert (ran.code, ran.output) == (0, "**edge**: as the code says\n")

    open_to_all(fleet)
    delete_rule(fleet)
    unproxy_delete_and_add_records(fleet)
    remove_route(fleet)
    stale_verdict(fleet)
    drop_variable(fleet)
    forget_upstream(fleet)
    off = keep_ingress_off_a_node(fleet)
    expire_certificate(fleet)
    refuse_an_ingress(fleet)
    code, report = doctor(fleet, "--all")
    assert code == 1
    assert faults(report) == {
        ("dns", "record-missing"),
        ("dns", "record-dead"),
        ("dns", "record-unproxied"),
        ("cloud-firewall", "rule-missing"),
        ("cloud-firewall", "web-open"),
        ("process", "ingress-pod-missing"),
        ("process", "certificate-expired"),
        ("process", "ingress-refused"),
        ("dataplane", "felix-environment"),
        ("dataplane", "coredns-no-upstream"),
        ("edge", "route-missing"),
        ("edge", "verdict-stale"),
    }
    assert len(report["findings"]) == 12
    assert report["blind"] == []
    told = {finding["fault"]: finding for finding in report["findings"]}
    assert told["ingress-pod-missing"]["subject"] == off
    assert told["web-open"]["came"].endswith("tcp 443 from 0.0.0.0/0")
    assert told["record-dead"]["came"].startswith("A 203.0.113.9")

    ran = run(fleet, "doctor", "us")
    assert ran.code == 1
    assert "us: dns: record-missing" in ran.output
    assert "· cloud-firewall  not looked at: --all" in ran.output
    ran = run(fleet, "compare", "--html", str(page))
    assert ran.code == 1
    for trait in ("FELIX_BPFENABLED", "records", "cloud firewall", "ingress pods"):
        assert f"us: {trait}: " in ran.output
    assert 'class="odd"' in page.read_text()

    ran = run(fleet, "drift")
    assert ran.code == 1
    for said in (
        "-aaaa` (DnsRecord) ",
        "(DnsRecord) differs: proxied is false, not true",
        "`us-firewall-rules` (VultrFirewallRules) differs: rules.bgp-179-10.0.0.0/8 is not there",
        "(ServerSidePatch) differs: containers.calico-node.env.FELIX_BPFENABLED is not there",
        "`edge-example.com` (WorkersRoute) isn't there",
        "us: a rule that nothing here made: tcp 443 from 0.0.0.0/0",
        "`pulumi up --refresh -s edge` makes them so.",
    ):
        assert said in ran.output, ran.output

    for stack in ("us", "edge"):
        fleet.pulumi(stack, "up", "--refresh", "--yes", "--skip-preview").require()
    code, report = doctor(fleet, "--all")
    assert faults(report) == {
        # What nothing here made, nothing here takes away.
        ("dns", "record-dead"),
        ("cloud-firewall", "web-open"),
        ("process", "ingress-pod-missing"),
        ("process", "ingress-refused"),
        ("dataplane", "coredns-no-upstream"),
        ("edge", "verdict-stale"),
    }


def test_a_machine_that_is_down_a_rotated_key_and_a_lock(fleet: Fleet):
    label, held = break_a_machine(fleet), lock(fleet)
    fleet.vultr("POST", f"/_sandbox/clusters/{fleet.cluster('us')['id']}/rotate")
    code, report = doctor(fleet, "--only", "node", "--only", "state")
    held.unlink()
    assert code == 1
    assert faults(report) == {
        ("node", "machine-down"),
        ("state", "locked"),
        ("state", "kubeconfig-old"),
    }
    told = {finding["fault"]: finding for finding in report["findings"]}
    assert told["machine-down"]["subject"] == label
    assert "me@laptop" in told["locked"]["came"]


def test_who_cannot_be_asked_is_named_and_nobody_is_blamed(fleet: Fleet):
    fleet.faulty("cloudflare", answering(403, "/workers/"))
    fleet.faulty("vultr", answering(401, "/v2/kubernetes"))
    ran = run(fleet, "doctor", "--only", "cloud-firewall", "--only", "edge")
    fleet.healthy()
    assert ran.code == 2, ran.output
    said = " ".join(ran.output.split())
    assert "us: Vultr: Vultr refused the API key (401)" in said
    assert "edge: Cloudflare: Cloudflare answered GET /zones/" in said
    for secret in ("VULTR_API_KEY", "CLOUDFLARE_API_TOKEN"):
        assert fleet.environment[secret] not in ran.output
    ran = run(fleet, "doctor", "nobody")
    assert ran.code == 2
    assert ran.output == "error: 'nobody': is no stack of this fleet: edge, us\n"
