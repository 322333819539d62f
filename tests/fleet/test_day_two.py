"""`fleet doctor`, `compare`, `drift` and `expiries` on the sandbox: a healthy fleet, and faults
that were made by real calls, each found by its name, and nothing else blamed.

Many at once, as long as they don't hide each other: a fleet and a look are what costs. The command
runs in this process but where a person's would be another.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.dataplane.felix_words import FELL_BACK as SAID
from ops.cli import application
from ops.live import looking, outputs
from tests.fleet import runbook, wrong
from tests.fleet.by_hand import until
from tests.fleet.fleet import Fleet, Ran, answering
from tests.fleet.kubelet import Kubelet
from tests.fleet.wrong import HOSTS, Wrong
from tests.projects import ROOT, git

VERSION = "v1.36.2+1"
"""Its end isn't known here, so that this test doesn't fail on that day."""
ENDED = "v1.34.3+1"
BEFORE = "rules in iptables' INPUT decide before ufw: DROP tcp dpt:443"

AT_ONCE = (
    Wrong("process", "ingress-pod-missing", "edge-", wrong.keep_the_ingress_off_a_node),
    Wrong("dataplane", "felix-environment", "BPFENABLED is not there", wrong.drop_a_variable),
    Wrong("dataplane", "kube-proxy-beside", "kube-proxy (", wrong.start_kube_proxy),
    Wrong("dataplane", "network-beside", "kube-flannel-ds runs, too", wrong.leave_a_network),
    Wrong("dataplane", "ipip-leftover", "ipipMode is Always", wrong.encapsulate_as_before),
    Wrong("dataplane", "mtu-too-large", "have 1500 bytes", wrong.widen_the_mtu),
    Wrong("dataplane", "coredns-no-upstream", "no forward", wrong.forget_the_upstream),
    Wrong("dataplane", "coredns-down", "0 replicas", wrong.stop_coredns),
    Wrong("dataplane", "calico-pod", "CrashLoopBackOff", wrong.crash_a_calico),
    Wrong("process", "ingress-pod-not-ready", "CrashLoopBackOff", wrong.crash_an_ingress),
    Wrong("process", "certificate-expired", "ended on", wrong.show_a_certificate(HOSTS, -2)),
    Wrong("process", "ingress-refused", "no such annotation", wrong.refuse_an_ingress),
    Wrong("node-firewall", "node-behind", BEFORE, wrong.ufw(0, "blocked", BEFORE)),
    Wrong("node-firewall", "node-behind", "2400:cb00", wrong.ufw(1, "failed", "no 2400:cb00::/32")),
    Wrong("node", "node-pressure", "DiskPressure", wrong.fill_a_disk),
    Wrong("node", "node-not-ready", "KubeletNotReady: PLEG", wrong.stop_a_kubelet),
    Wrong("dns", "record-unproxied", "not proxied: ", wrong.unproxy),
    Wrong("dns", "record-missing", "no record for edge-", wrong.delete_a_record),
    Wrong("dns", "record-dead", "A 203.0.113.9", wrong.add_a_record),
    Wrong("dns", "host-unproxied", "not proxied: CNAME", wrong.unproxy_a_host),
    Wrong("dns", "host-record-missing", "no record", wrong.delete_a_hosts_record),
    Wrong("cloud-firewall", "web-open", "tcp 443 from 0.0.0.0/0", wrong.open_to_all("443")),
    Wrong("cloud-firewall", "open-to-everybody", "tcp 22 from 0.0", wrong.open_to_all("22")),
    Wrong("cloud-firewall", "rule-missing", "tcp 179 from", wrong.delete_a_rule),
    Wrong("edge", "route-missing", "no route example.com/*", wrong.remove_a_route),
    Wrong("edge", "worker-old", "script ", wrong.edit_the_worker),
    Wrong("edge", "table-old", "lacks region us", wrong.lack_a_region),
    Wrong("edge", "verdict-stale", "us was down (status 503)", wrong.leave_a_verdict),
    Wrong("state", "locked", "me@laptop", wrong.lock),
)
"""Each hides none of the others."""

THEN = (
    Wrong("process", "ingress-image", "nginx:9", wrong.another_ingress),
    Wrong("process", "certificate-wrong", "not for us.example.com",
          wrong.show_a_certificate(HOSTS[:2], 9), (("process", "certificate-ending"),)),
    Wrong("dataplane", "coredns-missing", "no ConfigMap", wrong.lose_the_corefile),
    Wrong("node-firewall", "table-old", "edgefleet-node-firewall-old", wrong.keep_another_table),
    Wrong("edge", "probes-off", "no schedule", wrong.stop_the_cron),
    # Its record is still there, and leads nowhere.
    Wrong("node", "node-without-ipv6", "no IPv6 address", wrong.control("lose-ipv6", 0),
          (("dns", "record-dead"),)),
    Wrong("node", "machine-down", "it is pending", wrong.control("break", -1)),
    Wrong("state", "kubeconfig-old", "401", wrong.rotate),
)  # fmt: skip
"""What some of these hide, or are hidden by."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """us and edge are the whole fleet, and up."""
    made = Fleet.make(tmp_path_factory.mktemp("day-two"))
    try:
        git(made.project, "rm", "-q", "Pulumi.eu.yaml", "Pulumi.apac.yaml")
        made.change("us", version=VERSION)
        git(made.project, "commit", "-qam", "a fleet of one region")
        for ran in made.up("us", "edge"):
            ran.require()
        yield made
    finally:
        made.stop()


@pytest.fixture
def run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """A command of `fleet`, in the project and with its environment; output and errors together."""
    monkeypatch.chdir(fleet.project)
    # How busy the machine of the tests is says nothing of a system that doesn't answer.
    monkeypatch.setattr(looking, "SECONDS", 120)
    monkeypatch.setattr(outputs, "_SECONDS", 120)
    for name, value in fleet.environment.items():
        monkeypatch.setenv(name, value)

    def ran(*command: str) -> Ran:
        done = CliRunner().invoke(application(command[0]), command)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ran(done.exit_code, done.output)

    return ran


def alone(fleet: Fleet, *command: str) -> Ran:
    """The command as somebody types it."""
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


def report(ran: Ran, code: int) -> dict[str, Any]:
    assert ran.code == code, ran.output
    return json.loads(ran.output)


def faults(report: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((finding["rung"], finding["fault"]) for finding in report["findings"])


def require_each_by_name(done: Sequence[Wrong], found: dict[str, Any]) -> None:
    """Each of what was done is found, by what came back too; and nothing but that."""
    expected = [each for w in done for each in ((w.rung, w.fault), *w.also)]
    assert faults(found) == sorted(expected)
    assert found["blind"] == []
    for each in done:
        said = [f["came"] for f in found["findings"] if f["fault"] == each.fault]
        assert [came for came in said if each.said in came], (each.fault, each.said, said)


def test_a_healthy_fleet(fleet: Fleet, run: Callable[..., Ran], tmp_path: Path):
    ran = alone(fleet, "doctor")
    assert ran.code == 0, ran.output
    assert "Nothing found." in ran.output
    assert "edge: what visitors get: https://example.com/: " in " ".join(ran.output.split())
    page = tmp_path / "clusters.html"
    ran = run("compare", "--html", str(page))
    assert ran.code == 0, ran.output
    assert "No difference" in ran.output
    ran = run("drift", "edge")
    assert (ran.code, ran.output) == (0, "**edge**: as the code says\n")
    ran = run("expiries")
    assert ran.code == 0, ran.output
    for said in (
        "Kubernetes v1.36.2+1: its end isn't known here",
        "us     the ingress's certificate, for ",
        "us     the kubeconfig's CA",
        "the Cloudflare API token: it has no end",
        "Nothing ends within 30 days.",
    ):
        assert said in ran.output
    assert report(run("expiries", "--within", "3650", "--json"), 1)["blind"] == []


def test_each_fault_by_name_and_nothing_else_then_what_was_said_to_do(
    fleet: Fleet, run: Callable[..., Ran], tmp_path: Path
):
    undo = [each.do(fleet) for each in AT_ONCE]
    found = report(run("doctor", "--all", "--json"), 1)
    require_each_by_name(AT_ONCE, found)

    # docs/runbook.md, walked: each rung, and what stands beside them.
    for command in runbook.blocks():
        ran = runbook.walk(run, command)
    assert "  do  fleet reconcile us --certificates" in ran.output, "what ends stands last"
    page = tmp_path / "clusters.html"
    assert run("compare", "--html", str(page)).code == 1
    assert 'class="odd"' in page.read_text()

    for back in reversed(undo):
        back()
    until(lambda: faults_of_nodes(run) == [])
    for stack in ("us", "edge"):
        fleet.pulumi(stack, "up", "--refresh", "--yes", "--skip-preview").require()
    assert faults(report(run("doctor", "--all", "--json"), 0)) == []


def faults_of_nodes(run: Callable[..., Ran]) -> list[tuple[str, str]]:
    """Nodes and pods come back one after the other."""
    only = ("--only", "node", "--only", "node-firewall", "--only", "dataplane")
    ran = run("doctor", "us", "--json", *only)
    return [each for each in faults(json.loads(ran.output)) if each[1] != "felix-environment"]


def test_what_hides_others(fleet: Fleet, run: Callable[..., Ran], tmp_path: Path):
    with ExitStack() as undone, Kubelet(tmp_path, {"calico-node": f"[ERROR] {SAID}."}) as kubelet:
        undone.callback(answer_for_kubelets(fleet, kubelet.port))
        for each in THEN:
            undone.callback(each.do(fleet))
        fell_back = Wrong("dataplane", "felix-fell-back", "gave eBPF up on edge-", wrong.lock)
        found = report(run("doctor", "--all", "--json"), 1)
        require_each_by_name((*THEN, fell_back), found)


def answer_for_kubelets(fleet: Fleet, port: int) -> Callable[[], None]:
    """The API server asks this port for the logs of all nodes."""
    for number in range(3):
        addresses = [{"type": "Hostname", "address": "127.0.0.1"}]
        endpoint = {"kubeletEndpoint": {"Port": port}}
        status = {"addresses": addresses, "daemonEndpoints": endpoint}
        path = f"/api/v1/nodes/{wrong.node(fleet, number)}/status"
        wrong.patch(fleet, path, {"status": status}, wrong.STRATEGIC)
    return wrong.nothing


def test_vultr_made_all_nodes_anew_in_a_release_that_has_ended(
    fleet: Fleet, run: Callable[..., Ran]
):
    """Records of machines that are gone, and none of those that came."""
    before = {node["id"] for node in fleet.nodes("us")}
    path = f"/_sandbox/clusters/{fleet.cluster('us')['id']}/upgrade"
    fleet.vultr("POST", path, {"version": ENDED})
    fleet.change("us", version=ENDED)
    until(lambda: not before & {n["id"] for n in fleet.nodes("us") if n["status"] == "active"})
    until(lambda: len(fleet.addresses("us")) == 6 and "" not in fleet.addresses("us"))
    found = report(run("doctor", "--only", "dns", "--only", "node", "--json"), 1)
    # Machines that came just now.
    coming = {("node", "node-not-joined"), ("node", "node-not-ready")}
    assert [each for each in faults(found) if each not in coming] == [
        ("dns", "record-dead"),
        ("dns", "record-missing"),
        ("node", "version-ended"),
    ]
    fleet.restore()


def test_who_cannot_be_asked_is_named_and_nobody_is_blamed(fleet: Fleet, run: Callable[..., Ran]):
    fleet.faulty("cloudflare", answering(403, "/workers/"))
    fleet.faulty("vultr", answering(401, "/v2/kubernetes"))
    ran = run("doctor", "--only", "cloud-firewall", "--only", "edge")
    fleet.healthy()
    assert ran.code == 2, ran.output
    said = " ".join(ran.output.split())
    assert "us: Vultr: Vultr refused the API key (401)" in said
    assert "edge: Cloudflare: Cloudflare answered GET /zones/" in said
    for secret in ("VULTR_API_KEY", "CLOUDFLARE_API_TOKEN"):
        assert fleet.environment[secret] not in ran.output
    fleet.faulty("vultr", answering(503, "/v2/"))
    ran = run("expiries", "us")
    fleet.healthy()
    assert ran.code == 2, ran.output
    assert "  us: Vultr: " in ran.output
    ran = run("doctor", "nobody")
    assert ran.code == 2
    assert ran.output == "error: 'nobody': is no stack of this fleet: edge, us\n"
