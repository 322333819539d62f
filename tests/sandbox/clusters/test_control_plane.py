"""A real control plane: made, seeded, scaled, killed, stopped, started again and deleted."""

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from sandbox.clusters.api import ApiError, ClusterApi
from sandbox.clusters.backend import NodeSpec
from sandbox.clusters.control_plane import BINARIES, ControlPlanes
from sandbox.processes import Processes
from sandbox.toolchain.install import Toolchain, default_cache

ID = "455dcd32-e621-48ee-a10e-0cb5f754e13e"


def node(number: int, **changes: Any) -> NodeSpec:
    spec: dict[str, Any] = {
        "id": f"cb676a46-66fd-4dfb-b839-{number:012d}",
        "label": f"edge-{number:04d}",
        "pool_id": "e97bdee9-2781-4f31-be03-60fc75f399ae",
        "pool_label": "edge",
        "main_ip": f"203.0.113.{number}",
        "v6_main_ip": f"2001:db8::{number}",
        "internal_ip": f"10.1.96.{number}",
        "labels": {},
        "taints": [],
        "plan": "vc2-2c-4gb",
        "region": "ewr",
    }
    return NodeSpec(**{**spec, **changes})  # pyright: ignore


def eventually(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.1)


class Planes:
    """Control planes in a folder, and a way to stop and start them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        toolchain = Toolchain(default_cache())
        self._binaries = {name: toolchain.binary(name) for name in BINARIES}
        self.start()

    def start(self) -> None:
        self.processes = Processes(self.folder)
        self.planes = ControlPlanes(
            self.folder / "clusters", self.processes, self._binaries, self.said.append
        )
        self.planes.start()

    def stop(self) -> None:
        self.planes.stop()
        self.processes.stop_all()

    def api(self, cluster_id: str = ID) -> ClusterApi:
        address = self.planes.address(f"{cluster_id}.vultr-k8s.com")
        assert address is not None
        return ClusterApi(address[1], self.folder / "clusters" / cluster_id / "pki")

    def wait(self, cluster_id: str = ID) -> None:
        eventually(lambda: self.planes.kubeconfig(cluster_id) is not None)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planes]:
    made = Planes(tmp_path_factory.mktemp("planes"))
    made.planes.create(ID, "edgefleet-us", "v1.35.5+1", [])
    made.wait()
    made.planes.sync_nodes(ID, [node(1), node(2), node(3, taints=[TAINT])])
    eventually(lambda: len(names(made, "api/v1/nodes")) == 3)
    yield made
    made.stop()


TAINT = {"key": "edge", "value": "true", "effect": "PreferNoSchedule"}


def names(cluster: Planes, path: str, **params: str) -> list[str]:
    return [o["metadata"]["name"] for o in cluster.api().get(path, **params)["items"]]


def ready(cluster: Planes, path: str) -> tuple[int, int]:
    status = cluster.api().get(path)["status"]
    return status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)


def test_kubeconfig_looks_as_the_vendors(cluster: Planes) -> None:
    text = cluster.planes.kubeconfig(ID)
    assert text is not None
    config = yaml.safe_load(text)
    assert config["clusters"][0]["cluster"]["server"] == f"https://{ID}.vultr-k8s.com:6443"
    assert {"client-certificate-data", "client-key-data"} == set(config["users"][0]["user"])
    assert config["users"][0]["name"] == "admin"


def status_with(cluster: Planes, kubeconfig: str, folder: Path) -> int:
    """What the API server answers to the kubeconfig's certificate."""
    user = yaml.safe_load(kubeconfig)["users"][0]["user"]
    pair = []
    for key in ("client-certificate-data", "client-key-data"):
        pair.append(folder / key)
        pair[-1].write_bytes(base64.b64decode(user[key]))
    address = cluster.planes.address(f"{ID}.vultr-k8s.com")
    assert address
    with requests.Session() as session:
        session.trust_env = False
        return session.get(
            f"https://127.0.0.1:{address[1]}/api/v1/nodes",
            cert=(str(pair[0]), str(pair[1])),
            verify=False,
            timeout=10,
        ).status_code


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_rotated_kubeconfig_is_refused_and_the_new_one_works(
    cluster: Planes, tmp_path: Path
) -> None:
    old = cluster.planes.kubeconfig(ID)
    assert old is not None
    assert status_with(cluster, old, tmp_path) == 200
    cluster.planes.rotate(ID)
    new = cluster.planes.kubeconfig(ID)
    assert new is not None
    eventually(lambda: status_with(cluster, new, tmp_path) == 200)
    assert status_with(cluster, old, tmp_path) == 401
    assert len(names(cluster, "api/v1/nodes")) == 3


def test_the_vendor_sees_budgets_that_allow_nothing(cluster: Planes) -> None:
    eventually(lambda: cluster.planes.undisruptable(ID) == [])
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "pg", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "pg"}}},
    }
    cluster.api().create(budget, "test")
    eventually(lambda: cluster.planes.undisruptable(ID) == ["default/pg"])
    cluster.api().delete("apis/policy/v1/namespaces/default/poddisruptionbudgets/pg")


def test_an_unknown_cluster_has_no_kubeconfig_and_no_address(cluster: Planes) -> None:
    assert cluster.planes.kubeconfig("nope") is None
    assert cluster.planes.address("nope.vultr-k8s.com") is None
    cluster.planes.delete("nope")


def test_creating_again_changes_nothing(cluster: Planes) -> None:
    address = cluster.planes.address(f"{ID}.vultr-k8s.com")
    cluster.planes.create(ID, "other", "v1.30.0+1", [])
    assert cluster.planes.address(f"{ID}.vultr-k8s.com") == address
    assert [each["label"] for each in cluster.planes.status()] == ["edgefleet-us"]


def test_seeded_with_what_vke_ships(cluster: Planes) -> None:
    path = "apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
    eventually(lambda: ready(cluster, path) == (3, 3))
    found = cluster.api().get(path)
    assert {f["manager"] for f in found["metadata"]["managedFields"]} >= {"vke-addon-manager"}
    pools = cluster.api().get("apis/crd.projectcalico.org/v1/ippools")["items"]
    assert [pool["spec"]["vxlanMode"] for pool in pools] == ["Always"]
    eventually(
        lambda: (
            cluster.api()
            .get("apis/apps/v1/namespaces/kube-system/deployments/coredns")["status"]
            .get("readyReplicas")
            == 2
        )
    )


def test_nodes_are_ready_with_their_addresses(cluster: Planes) -> None:
    def is_ready() -> bool:
        status = cluster.api().get("api/v1/nodes/edge-0001")["status"]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])

    eventually(is_ready)
    addresses = cluster.api().get("api/v1/nodes/edge-0001")["status"]["addresses"]
    assert [a["address"] for a in addresses if a["type"] == "ExternalIP"] == [
        "203.0.113.1",
        "2001:db8::1",
    ]
    assert TAINT in cluster.api().get("api/v1/nodes/edge-0003")["spec"]["taints"]


def test_felix_refuses_a_wrong_value(cluster: Planes) -> None:
    path = "apis/crd.projectcalico.org/v1/felixconfigurations/default"
    with pytest.raises(ApiError, match="bpfConnectTimeLoadBalancing"):
        cluster.api().merge(path, {"spec": {"bpfConnectTimeLoadBalancing": "Maybe"}}, "test")


def test_host_ports_give_one_pod_a_node(cluster: Planes) -> None:
    def ingress(name: str) -> dict[str, Any]:
        ports = [{"containerPort": 80, "hostPort": 80}]
        container = {"name": "nginx", "image": "nginx:1", "ports": ports}
        return {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"hostNetwork": True, "containers": [container]},
                },
            },
        }

    cluster.api().apply(ingress("first"), "test")
    first = "apis/apps/v1/namespaces/default/daemonsets/first"
    eventually(lambda: ready(cluster, first) == (3, 3))
    # The ports are taken now: the same again has no place on any node.
    cluster.api().apply(ingress("second"), "test")
    pods = "api/v1/namespaces/default/pods"

    def refused() -> bool:
        items = cluster.api().get(pods, labelSelector="app=second")["items"]
        reasons = [c.get("reason") for pod in items for c in pod["status"].get("conditions", [])]
        return reasons.count("Unschedulable") == 3

    eventually(refused)
    cluster.api().delete(first)
    second = "apis/apps/v1/namespaces/default/daemonsets/second"
    eventually(lambda: ready(cluster, second) == (3, 3))


def test_a_node_that_goes_takes_its_pods_and_a_new_one_gets_some(cluster: Planes) -> None:
    labelled = node(2, labels={"tier": "edge"})
    cluster.planes.sync_nodes(ID, [node(1), labelled, node(4)])
    eventually(lambda: names(cluster, "api/v1/nodes") == ["edge-0001", "edge-0002", "edge-0004"])
    assert names(cluster, "api/v1/pods", fieldSelector="spec.nodeName=edge-0003") == []
    path = "apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
    eventually(lambda: ready(cluster, path) == (3, 3))
    eventually(
        lambda: (
            cluster.api().get("api/v1/nodes/edge-0002")["metadata"]["labels"].get("tier") == "edge"
        )
    )


def test_nodes_after_an_upgrade_run_the_new_version(cluster: Planes) -> None:
    cluster.planes.upgrade(ID, "v1.36.1+1")
    cluster.planes.sync_nodes(ID, [node(1), node(2), node(4), node(5)])
    eventually(lambda: "edge-0005" in names(cluster, "api/v1/nodes"))
    version = cluster.api().get("api/v1/nodes/edge-0005")["status"]["nodeInfo"]["kubeletVersion"]
    assert version == "v1.36.1"


def test_a_killed_api_server_comes_back(cluster: Planes) -> None:
    child = next(c for c in cluster.processes.running() if c.name == f"{ID}-kube-apiserver")
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: child.exit_code() is not None)
    cluster.planes.revive()
    assert cluster.planes.kubeconfig(ID) is None
    cluster.wait()
    assert "edge-0001" in names(cluster, "api/v1/nodes")


def test_state_survives_a_stop(cluster: Planes) -> None:
    config = cluster.planes.kubeconfig(ID)
    before = cluster.api().get("api/v1/nodes/edge-0001")["metadata"]["uid"]
    cluster.stop()
    assert cluster.processes.running() == []
    cluster.start()
    eventually(cluster.planes.settled)
    assert cluster.api().get("api/v1/nodes/edge-0001")["metadata"]["uid"] == before
    assert cluster.planes.kubeconfig(ID) == config


def test_deleting_forgets_everything(cluster: Planes) -> None:
    cluster.planes.delete(ID)
    assert cluster.planes.kubeconfig(ID) is None
    folder = cluster.folder / "clusters" / ID
    eventually(lambda: not folder.exists())
    assert [c.name for c in cluster.processes.running()] == ["etcd"]
    # The same id again begins empty: the keys under its prefix are gone.
    cluster.planes.create(ID, "again", "v1.30.5+1", [])
    cluster.wait()
    assert names(cluster, "api/v1/nodes") == []
    assert names(cluster, "apis/apps/v1/namespaces/default/daemonsets") == []
    pools = cluster.api().get("apis/crd.projectcalico.org/v1/ippools")["items"]
    assert [pool["spec"]["ipipMode"] for pool in pools] == ["Always"]


def test_a_cluster_that_cannot_start_says_why_and_is_tried_again(tmp_path: Path) -> None:
    toolchain = Toolchain(default_cache())
    binaries = {name: toolchain.binary(name) for name in BINARIES}
    broken = tmp_path / "kube-apiserver"
    broken.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/luck ] && exec {binaries["kube-apiserver"]} "$@"\n'
        "echo out of luck\nexit 7\n"
    )
    broken.chmod(0o755)
    processes = Processes(tmp_path)
    said: list[str] = []
    planes = ControlPlanes(
        tmp_path / "clusters", processes, {**binaries, "kube-apiserver": broken}, said.append
    )
    planes.start()
    try:
        planes.create(ID, "edgefleet-us", "v1.35.5+1", [])
        eventually(lambda: planes.status()[0]["state"].startswith("failed"), 20)
        assert "ended with exit code 7" in planes.status()[0]["state"]
        assert "out of luck" in said[-1]
        (tmp_path / "luck").touch()
        eventually(lambda: planes.revive() or planes.kubeconfig(ID) is not None)
        assert planes.status()[0]["state"] == "ready"
    finally:
        planes.stop()
        processes.stop_all()
