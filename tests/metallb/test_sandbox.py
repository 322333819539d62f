"""The sandbox's clusters of servers have MetalLB's controller run where its pod is said to."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.load_balancer.announced import STATUSES, announcers
from components.load_balancer.metallb_objects import annotations, objects
from sandbox.clusters import kubeadm
from sandbox.clusters.api import ClusterApi
from sandbox.clusters.control_plane import BINARIES, ControlPlanes
from sandbox.clusters.service_addresses import NAMESPACE
from sandbox.processes import Processes
from sandbox.toolchain import metallb
from sandbox.toolchain.install import Toolchain, default_cache
from tests.bare_api_server import apply

CLUSTER, ADDRESS = kubeadm.host("fra"), "45.76.203.9"
DEPLOYMENT = f"apis/apps/v1/namespaces/{NAMESPACE}/deployments/metallb-controller"
ONE = {"kubernetes.io/hostname": "fra-1"}
LABELS = {"app.kubernetes.io/name": "metallb", "app.kubernetes.io/component": "controller"}


@contextmanager
def cluster_of(folder: Path, built: Path | None) -> Iterator[tuple[ControlPlanes, list[str]]]:
    toolchain, processes, said = Toolchain(default_cache()), Processes(folder), list[str]()
    binaries = {name: toolchain.binary(name) for name in BINARIES}
    controller = built / "controller" if built else None
    planes = ControlPlanes(folder / "clusters", processes, binaries, said.append, controller)
    planes.start()
    try:
        planes.create(CLUSTER, "fra", kubeadm.VERSION, kubeadm.servers("fra", 1), "kubeadm")
        eventually(planes, lambda: planes.all_ready(CLUSTER))
        yield planes, said
    finally:
        planes.stop()
        processes.stop_all()


def eventually(planes: ControlPlanes, met: Callable[[], bool]) -> None:
    """What the daemon does every second, until it is so."""
    deadline = time.monotonic() + 120
    while not met():
        assert time.monotonic() < deadline, "it never came to be"
        planes.revive()
        time.sleep(0.2)


def api_of(planes: ControlPlanes, folder: Path) -> ClusterApi:
    address = planes.address(CLUSTER)
    assert address
    return ClusterApi(address[1], folder / "clusters" / CLUSTER / "pki")


def deployment(*arguments: str) -> dict[str, Any]:
    container = {"name": "controller", "image": "quay.io/metallb/controller:v0.16.2"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": NAMESPACE, "name": "metallb-controller"},
        "spec": {
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {"containers": [{**container, "args": [*arguments]}]},
            },
        },
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "default", "name": name, "annotations": annotations([ADDRESS])},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], **spec},
    }


def endpoints(service: str, nodes: Sequence[str]) -> dict[str, Any]:
    """Of its pods, which are ready."""
    ends = [
        {"addresses": [f"10.244.0.{n}"], "nodeName": node, "conditions": {"ready": True}}
        for n, node in enumerate(nodes, 1)
    ]
    labels = {"kubernetes.io/service-name": service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "default", "name": service, "labels": labels},
        "addressType": "IPv4",
        "endpoints": ends,
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }


def said_of(api: ClusterApi) -> dict[str, tuple[str, ...]]:
    """Who answers for each Service, as the product reads it."""
    statuses = api.get(STATUSES.strip("/"))["items"]
    names = {status["metadata"]["labels"]["metallb.io/service-name"] for status in statuses}
    return {name: announcers(statuses, "default", name) for name in names}


def given(api: ClusterApi, name: str) -> list[str]:
    live = api.get(f"api/v1/namespaces/default/services/{name}")
    return [each["ip"] for each in live["status"]["loadBalancer"].get("ingress") or []]


def running(folder: Path) -> bool:
    """Whether the controller's process is there, by its command line."""
    files = Path("/proc").glob("[0-9]*/cmdline")
    lines: list[bytes] = []
    for file in files:
        try:
            environ = (file.parent / "environ").read_bytes()
            lines += [file.read_bytes()] if str(folder).encode() in environ else []
        except OSError:
            continue
    return any(b"--webhook-mode=disabled" in line for line in lines)


def test_a_service_of_its_class_gets_its_address_while_the_pod_is_there(tmp_path: Path):
    built = metallb.BUILD.built(default_cache())
    if built is None:
        pytest.skip("MetalLB isn't built: `make metallb` makes it, in three minutes, once")
    with cluster_of(tmp_path, built) as (planes, said):
        api = api_of(planes, tmp_path)
        for file in sorted((built / "crds").glob("*.yaml")):
            definition = yaml.safe_load(file.read_text())
            definition["spec"].pop("conversion", None)
            apply(api, definition)
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        apply(api, space)
        for _, manifest in objects(
            [
                {"name": "web", "addresses": ["45.76.203.8/29"], "bgp": {}},
                {"name": "lan", "addresses": ["10.9.0.64/29"], "l2": {"node_selector": ONE}},
            ],
            [{"name": "router", "address": "10.9.0.1", "asn": 64500, "my_asn": 64513}],
        ):
            apply(api, manifest)
        assert not running(tmp_path)
        apply(api, deployment("--lb-class=ours"))
        apply(api, service("ours", loadBalancerClass="ours"))
        apply(api, service("theirs"))
        eventually(planes, lambda: given(api, "ours") == [ADDRESS])
        assert given(api, "theirs") == []
        near = service("near", loadBalancerClass="ours")
        near["metadata"]["annotations"] = annotations(["10.9.0.65"])
        apply(api, near)
        eventually(planes, lambda: given(api, "near") == ["10.9.0.65"])
        # Nobody serves on a node that the advertisement takes, and by BGP nobody asks.
        for name, nodes in (("near", ["fra-cp"]), ("ours", ["fra-1"])):
            apply(api, endpoints(name, nodes))
        planes.revive()
        apply(api, endpoints("near", ["fra-1", "fra-cp"]))
        eventually(planes, lambda: said_of(api) == {"near": ("fra-1",)})
        apply(api, endpoints("near", []))
        eventually(planes, lambda: said_of(api) == {})
        assert running(tmp_path)
        api.delete(DEPLOYMENT)
        eventually(planes, lambda: not running(tmp_path))
        assert not [line for line in said if "MetalLB" in line]


def test_where_it_isnt_built_somebody_says_so_once(tmp_path: Path):
    with cluster_of(tmp_path, None) as (planes, said):
        api = api_of(planes, tmp_path)
        apply(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        apply(api, deployment())
        eventually(planes, lambda: any("`make metallb`" in line for line in said))
        for _ in range(5):
            planes.revive()
            time.sleep(0.2)
        assert len([line for line in said if "MetalLB" in line]) == 1
