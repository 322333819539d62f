"""`CalicoHostProtection` by `pulumi up`, on a real API server with Calico's own definitions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.dataplane import host_endpoints
from components.firewall import cloudflare_ranges
from components.firewall.renderings.calico import (
    failsafe_ports,
    forward_policy,
    node_policy,
    node_port_policy,
)
from components.firewall.rule_table import node_rules
from sandbox.clusters.host_endpoints import configuration
from sandbox.providers.base.server import Server
from sandbox.providers.kubernetes.client import ApiError, Cluster
from tests.component_project import ComponentProject
from tests.data import manifest
from tests.kubernetes_harness import Json, client, named, until

pytest_plugins = ("tests.kubernetes_harness",)

CLOUDFLARE = cloudflare_ranges.load().cidrs
PROGRAM = """
import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components import CalicoHostProtection, HostEndpoints, NetworkBaseline, node_rules
from components.firewall import cloudflare_ranges

here = Path(pulumi.get_root_directory())
args = json.loads((here / "args.json").read_text())
kubeconfig = pulumi.Output.secret((here / "kubeconfig").read_text())
provider = kubernetes.Provider("k8s", kubeconfig=kubeconfig, cluster_identifier="one")
endpoints = HostEndpoints("endpoints", {"kubeconfig": kubeconfig})
after = pulumi.ResourceOptions(depends_on=[endpoints])
opts = pulumi.ResourceOptions(depends_on=[endpoints], providers=[provider])
if args.get("table"):
    CalicoHostProtection("protection", {
        "kubeconfig": kubeconfig,
        "rules": node_rules(**args["table"]),
        "cloudflare": cloudflare_ranges.load().cidrs,
        "force": args.get("force", False),
    }, after)
if args.get("namespaces"):
    NetworkBaseline("baseline", {"namespaces": args["namespaces"]}, opts)
"""
TABLE: dict[str, Any] = {
    "ssh_sources": ["198.51.100.0/24", "2001:db8:5::/48"],
    "node_networks": ["10.20.0.0/20"],
    "pod_networks": ["10.244.0.0/16"],
}
CRD = "crd.projectcalico.org/v1"
FELIX = named(CRD, "FelixConfiguration", "default")
SWITCH = named(CRD, "KubeControllersConfiguration", "default")
POLICIES = ("edgefleet-nodes", "edgefleet-forward", "edgefleet-node-ports")


class Project(ComponentProject):
    """It protects the nodes of one cluster."""

    def __init__(self, folder: Path, kubeconfig: str, server: Server) -> None:
        attached = {"PULUMI_DEBUG_PROVIDERS": f"kubernetes:{server.port}"}
        super().__init__(folder, PROGRAM, kubeconfig, **attached)

    def settled(self) -> None:
        self.pulumi("preview", "--expect-no-changes", "-s", "dev")
        self.pulumi("preview", "--refresh", "--expect-no-changes", "-s", "dev")


@pytest.fixture(scope="module")
def calico(kubeconfig: str) -> Cluster:
    """Calico's own definitions, and what its parts make at their first start."""
    cluster = client(kubeconfig)
    for obj in manifest("calico"):
        if obj["kind"] == "CustomResourceDefinition":
            cluster.apply(obj, "vke-addon-manager", force=True)

    def served(obj: Json, manager: str) -> Any:
        cluster.forget_kinds()
        return cluster.apply(obj, manager, force=True)

    felix = {**FELIX, "spec": {"logSeverityScreen": "Info", "reportingInterval": "0s"}}
    for obj, manager in ((felix, "calico-node"), (configuration(), "kube-controllers")):
        until(lambda obj=obj, manager=manager: served(obj, manager), f"a served {obj['kind']}")
    # The API server is other tests' too.
    for policy in cluster.items(CRD, "GlobalNetworkPolicy"):
        cluster.delete(named(CRD, "GlobalNetworkPolicy", policy["metadata"]["name"]), "Background")
    return cluster


@pytest.fixture
def project(calico: Cluster, kubeconfig: str, server: Server, tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path, kubeconfig, server)
    yield project
    project.destroy()


def spec(cluster: Cluster, name: str) -> Json | None:
    named_so = [
        item
        for item in cluster.items(CRD, "GlobalNetworkPolicy")
        if item["metadata"]["name"] == f"default.{name}"
    ]
    return named_so[0]["spec"] if named_so else None


def world(cluster: Cluster) -> list[Any]:
    """What Calico is told, with who told it; and which policies there are."""
    found: list[Any] = []
    for ref in (FELIX, SWITCH):
        live = cluster.get(ref)
        owners = {
            entry["manager"]: entry["fieldsV1"] for entry in live["metadata"]["managedFields"]
        }
        found.append((live["spec"], owners))
    return [
        *found,
        [item["metadata"]["name"] for item in cluster.items(CRD, "GlobalNetworkPolicy")],
    ]


def auto_create(cluster: Cluster) -> str:
    return cluster.get(SWITCH)["spec"]["controllers"]["node"]["hostEndpoint"]["autoCreate"]


def test_up_settles_and_destroy_leaves_nothing(calico: Cluster, project: Project):
    before = world(calico)
    told = project.up(table=TABLE)
    table = node_rules(**TABLE)
    assert spec(calico, "edgefleet-nodes") == node_policy(table, CLOUDFLARE)
    assert spec(calico, "edgefleet-forward") == forward_policy(table, CLOUDFLARE)
    assert spec(calico, "edgefleet-node-ports") == node_port_policy(table, CLOUDFLARE)
    failsafes = calico.get(FELIX)["spec"]["failsafeInboundHostPorts"]
    assert failsafes == failsafe_ports(table, CLOUDFLARE)
    assert auto_create(calico) == "Enabled"
    steps = ["endpoints-switch", "endpoints-made", "protection-nodes", "protection-forward"]
    steps += ["protection-node-ports", "protection-failsafe"]
    made = [told.index(f"{step} created") for step in steps]
    assert made == sorted(made), told
    project.settled()
    told = project.destroy()
    gone = [told.index(f"{step} deleted") for step in steps]
    assert gone == sorted(gone, reverse=True), told
    assert world(calico) == before


def test_a_changed_table_changes_each_policy_at_once(calico: Cluster, project: Project):
    project.up(table=TABLE)
    changed = {**TABLE, "ssh_sources": ["203.0.113.0/24"], "ssh_port": 2222}
    told = project.up(table=changed)
    table = node_rules(**changed)
    assert spec(calico, "edgefleet-nodes") == node_policy(table, CLOUDFLARE)
    failsafes = calico.get(FELIX)["spec"]["failsafeInboundHostPorts"]
    assert failsafes == failsafe_ports(table, CLOUDFLARE)
    # Updated, never replaced: what opens is there before the failsafe ports are narrowed.
    opened, narrowed = (told.index(f"protection-{part} updated") for part in ("nodes", "failsafe"))
    assert opened < narrowed
    assert "replaced" not in told
    project.settled()


def test_failsafe_ports_of_somebody_elses_are_theirs(calico: Cluster, project: Project):
    theirs = {"spec": {"failsafeInboundHostPorts": [{"port": 22, "protocol": "tcp"}]}}
    calico.apply({**FELIX, **theirs}, "somebody")
    before = world(calico)
    project.say(table=TABLE)
    told = project.pulumi("preview", "-s", "dev", fails=True)
    assert "set by somebody" in told
    assert world(calico) == before
    project.up(table=TABLE, force=True)
    assert calico.get(FELIX)["spec"]["failsafeInboundHostPorts"][0]["net"] == "198.51.100.0/24"
    project.destroy()
    assert calico.get(FELIX)["spec"] == before[0][0]
    # Theirs again with the next apply of theirs, which gives it up here.
    calico.apply({**FELIX, **theirs}, "somebody")
    assert world(calico) == before
    calico.apply(FELIX, "somebody")


def test_default_deny_beside_it_shares_the_switch(calico: Cluster, project: Project):
    before = world(calico)
    project.up(namespaces=["default"])
    assert [spec(calico, name) for name in POLICIES] == [None] * 3
    project.up(namespaces=["default"], table=TABLE)
    assert None not in [spec(calico, name) for name in (*POLICIES, "edgefleet-baseline")]
    project.settled()
    project.up(table=TABLE)
    assert spec(calico, "edgefleet-baseline") is None
    assert auto_create(calico) == "Enabled"
    project.settled()
    project.destroy()
    assert world(calico) == before


def test_up_waits_until_every_node_has_its_endpoint(
    calico: Cluster, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
):
    node = named("v1", "Node", "n1")
    calico.apply(node, "test")
    props = {"kubeconfig": kubeconfig, "generation": 1.0}
    monkeypatch.setattr(host_endpoints, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(host_endpoints, "APPEAR_SECONDS", 0.2)
    with pytest.raises(RuntimeError, match=r"no host endpoint for n1\. Calico's controllers make"):
        host_endpoints._Awaited().create(props)
    endpoint = named(CRD, "HostEndpoint", "n1-auto-hep")
    # One interface isn't the node.
    calico.apply({**endpoint, "spec": {"node": "n1", "interfaceName": "eth0"}}, "test")
    with pytest.raises(RuntimeError, match="no host endpoint for n1"):
        host_endpoints._Awaited().create(props)
    calico.apply({**endpoint, "spec": {"node": "n1", "interfaceName": "*"}}, "test")
    assert host_endpoints._Awaited().create(props).id
    calico.delete(endpoint, "Background")
    calico.delete(node, "Background")


def test_what_calico_would_not_take_is_refused(calico: Cluster):
    """The real definitions do check what is rendered."""
    bad = node_policy(node_rules(**TABLE), CLOUDFLARE)
    bad["ingress"][0]["source"]["nets"] *= 2
    policy = {**named(CRD, "GlobalNetworkPolicy", "default.bad"), "spec": bad}
    with pytest.raises(ApiError, match="duplicate entries for key"):
        calico.apply(policy, "test")
