"""A cluster that Vultr didn't make, beside one of Vultr's in the same region: up, looked at by the
commands of `fleet`, hurt, mended, and left to whoever made it."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ops.cli import application
from ops.live import looking, outputs
from sandbox import servers
from tests.fleet.by_hand import until
from tests.fleet.fleet import ZONE, Fleet, Ran
from tests.fleet.metal import Metal
from tests.fleet.wrong import KEEPER, KUBELET
from tests.projects import git

STACK, HOST = "us-metal", "us.example.com"
NODES = {f"us-metal-{n}": {"ipv4": f"45.76.200.{n}", "ipv6": f"2001:19f0:ff::{n}"} for n in (1, 2)}
ADDRESSES = sorted(address for node in NODES.values() for address in node.values())
Run = Callable[..., Ran]


@pytest.fixture
def metal(fleet: Fleet, tmp_path: Path) -> Iterator[Metal]:
    """Two workers and a control plane, whose objects know no public address."""
    kubeconfig = tmp_path / "kubeconfig"
    servers.write_kubeconfig(kubeconfig, servers.make(fleet.directory, STACK, len(NODES), print))
    config = {
        "region": "us",
        "cluster": {"existing": {"kubeconfig": str(kubeconfig), "addresses": NODES}},
        "calico": {"encapsulation": "vxlan", "kubeProxy": "stopped", "force": True},
        "firewall": {"adminCidrs": ["198.51.100.0/24"], "nodeNetworks": ["10.9.0.0/24"]},
    }
    file = fleet.project / f"Pulumi.{STACK}.yaml"
    file.write_text(yaml.safe_dump({"config": {f"edgefleet:{k}": v for k, v in config.items()}}))
    # `fleet` knows the stacks that git does.
    git(fleet.project, "add", file.name)
    git(fleet.project, "commit", "-qm", "a cluster on servers")
    fleet.reload()
    found = Metal(fleet, kubeconfig)
    yield found
    fleet.restore()
    fleet.pulumi(STACK, "destroy", "--yes", "--skip-preview").require()
    assert not {*fleet.records(HOST).values()} & {*ADDRESSES}
    # Whoever made it still has it.
    assert found.ready("us-metal-cp")
    servers.remove(fleet.directory, STACK)
    git(fleet.project, "reset", "-q", "--hard", "HEAD~1")


@pytest.fixture
def run(fleet: Fleet, metal: Metal, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command of `fleet`, in the project and with its environment."""
    assert metal
    monkeypatch.chdir(fleet.project)
    monkeypatch.setattr(looking, "SECONDS", 120)
    monkeypatch.setattr(outputs, "_SECONDS", 120)
    for name, value in fleet.environment.items():
        monkeypatch.setenv(name, value)

    def ran(*command: str, code: int = 0) -> Ran:
        done = CliRunner().invoke(application(command[0]), command)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return Ran(done.exit_code, done.output)

    return ran


def faults(run: Run, code: int) -> list[tuple[str, str]]:
    report = json.loads(run("doctor", STACK, "--all", "--json", code=code).output)
    assert report["blind"] == []
    return sorted((finding["rung"], finding["fault"]) for finding in report["findings"])


def test_it_comes_up_and_the_commands_know_it(fleet: Fleet, metal: Metal, run: Run):
    ran = fleet.up(STACK)[0].require()
    assert "vultr:" not in ran.output
    # The control plane's label takes it out of DNS.
    assert sorted(fleet.records(HOST).values()) == sorted([*ADDRESSES, *fleet.addresses("us")])
    fleet.preview(STACK, "--expect-no-changes", "--refresh").require()

    assert faults(run, 0) == []
    told = " ".join(run("doctor", STACK).output.split())
    assert "us-metal: no firewall of Vultr's stands before a cluster that it didn't make" in told
    told = run("compare", "us", STACK).output
    assert "No difference but those that the files or the clusters' makers mean (~)." in told
    assert run("drift", STACK).output == f"**{STACK}**: as the code says\n"
    assert run("reconcile", STACK).output == f"{STACK}: nothing to do\n"
    assert "us-metal  us      (existing)" in run("list").output
    told = run("expiries", STACK).output
    assert "us-metal  Kubernetes v1.3" in told
    assert "us-metal  the kubeconfig's CA" in told
    assert "for VKE clusters" in run("upgrade", STACK, "--to", "v1.36.2+1", code=2).output

    hurt_and_mended(fleet, metal, run)
    rolled(fleet, run)
    another_cluster(fleet, metal, run)


def hurt_and_mended(fleet: Fleet, metal: Metal, run: Run) -> None:
    lost = next(i for i, content in fleet.records(HOST).items() if content == "45.76.200.2")
    fleet.cloudflare("DELETE", f"/zones/{ZONE}/dns_records/{lost}")
    metal.call("DELETE", KEEPER)
    dead = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "PLEG"}
    metal.node("us-metal-1", {"conditions": [dead]}, **{KUBELET: "none"})
    assert faults(run, 1) == [
        ("dns", "record-missing"),
        ("node", "node-not-ready"),
        ("node-firewall", "keeper-missing"),
    ]
    told = " ".join(run("doctor", STACK, "--all", code=1).output.split())
    assert "no record for us-metal-2 (45.76.200.2)" in told
    assert "restart the machine, then pulumi up -s us-metal" in told
    assert "isn't there" in run("drift", STACK, code=1).output
    # Nodes come and go by others' hands, and their records follow.
    went = f"{STACK}: 1 node went (45.76.200.1): 2 records deleted\n"
    assert run("reconcile", STACK).output == went
    metal.node("us-metal-1", None, **{KUBELET: None})
    metal.rid_of_pods("us-metal-1")
    until(lambda: metal.ready("us-metal-1"))
    came = f"{STACK}: 1 node came (45.76.200.1): 2 records made\n"
    assert run("reconcile", STACK).output == came
    fleet.pulumi(STACK, "up", "--refresh", "--yes", "--skip-preview").require()
    assert faults(run, 0) == []


def rolled(fleet: Fleet, run: Run) -> None:
    """A change goes out there as anywhere, with the doctor's word."""
    file = fleet.project / f"Pulumi.{STACK}.yaml"
    before = file.read_text()
    file.write_text(before.replace("- 198.51.100.0/24", "- 198.51.100.0/24\n    - 203.0.113.0/24"))
    assert file.read_text() != before
    git(fleet.project, "commit", "-qam", "another office")
    told = run("roll", STACK, "--yes").output
    assert "nothing found" in told
    assert f"{STACK}: as the files say." in told
    git(fleet.project, "reset", "-q", "--soft", "HEAD~1")
    git(fleet.project, "commit", "-q", "--amend", "--no-edit")


def another_cluster(fleet: Fleet, metal: Metal, run: Run) -> None:
    """The kubeconfig of `us` in the place of its own: nobody changes or blames what is there."""
    kept = metal.kubeconfig.read_text()
    path = f"/v2/kubernetes/clusters/{fleet.cluster('us')['id']}/config"
    metal.kubeconfig.write_bytes(b64decode(fleet.vultr("GET", path)["kube_config"]))
    assert faults(run, 1) == [("node", "cluster-other")]
    said = "opens another cluster"
    assert said in run("compare", "us", STACK, code=2).output
    assert said in run("reconcile", STACK, code=2).output
    assert said in run("drift", STACK, code=2).output
    # The one beside it can't tell whose records these are, and says so.
    assert said in " ".join(run("doctor", "us", "--only", "dns").output.split())
    metal.kubeconfig.unlink()
    told = " ".join(run("doctor", STACK, "--only", "dns", code=2).output.split())
    assert "No such file or directory. Put the cluster's kubeconfig there" in told
    metal.kubeconfig.write_text(kept)
