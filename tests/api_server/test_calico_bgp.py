"""`CalicoBgp` and `PodRoutes` by `pulumi up`, on a real API server with Calico's own CRDs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes_client
from kubernetes.config import new_client_from_config_dict
from yaml import safe_load

from components.dataplane.bgp_options import bgp_peers
from sandbox.providers.base.server import Server
from sandbox.providers.kubernetes.client import ApiError, Cluster
from tests.component_project import ComponentProject
from tests.data import manifest
from tests.kubernetes_harness import Json, client, named, until

pytest_plugins = ("tests.kubernetes_harness",)

PROGRAM = """
import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components import CalicoBgp, PodRoutes

here = Path(pulumi.get_root_directory())
args = json.loads((here / "args.json").read_text())
kubeconfig = pulumi.Output.secret((here / "kubeconfig").read_text())
provider = kubernetes.Provider("k8s", kubeconfig=kubeconfig, cluster_identifier="one")
if bgp := args.get("bgp"):
    routes = PodRoutes("routes", {"kubeconfig": kubeconfig, "bare": True, "bgp": bgp})
    opts = pulumi.ResourceOptions(providers=[provider], depends_on=[routes])
    passwords = {"tor-1": pulumi.Output.secret("s3cret")}
    CalicoBgp("bgp", {**bgp, "kubeconfig": kubeconfig, "passwords": passwords}, opts)
"""
CRD = "crd.projectcalico.org/v1"
CONFIGURATION = named(CRD, "BGPConfiguration", "default")
SECRET = named("v1", "Secret", "edgefleet-bgp-passwords", "kube-system")
BACKEND = named("v1", "ConfigMap", "calico-config", "kube-system")
TOR: Any = {"name": "tor-1", "address": "10.9.0.1", "as_number": 64500, "password": True}
NODES = {"bgp-1": "10.9.0.5/24", "bgp-2": "10.9.0.6/24"}


@pytest.fixture(scope="module")
def calico(kubeconfig: str) -> Iterator[Cluster]:
    """Calico's definitions, and two nodes as calico-node has found them."""
    cluster = client(kubeconfig)
    for obj in manifest("calico"):
        if obj["kind"] == "CustomResourceDefinition":
            cluster.apply(obj, "vke-addon-manager", force=True)
    until(lambda: _served(cluster), "served BGPPeers and BGPConfigurations")
    api: Any = kubernetes_client.CoreV1Api(new_client_from_config_dict(safe_load(kubeconfig)))
    for name, address in NODES.items():
        notes = {"projectcalico.org/IPv4Address": address}
        api.create_node({"metadata": {"name": name, "annotations": notes}})
    cluster.apply({**BACKEND, "data": {"calico_backend": "bird"}}, "calico-bgp-test", force=True)
    yield cluster
    cluster.apply(BACKEND, "calico-bgp-test", force=True)
    for name in NODES:
        api.delete_node(name)


def _served(cluster: Cluster) -> bool:
    cluster.forget_kinds()
    return there(cluster, CONFIGURATION) is None and cluster.items(CRD, "BGPPeer") == []


def there(cluster: Cluster, ref: Json) -> Json | None:
    """An object, None where there is none."""
    try:
        return cluster.get(ref)
    except ApiError as error:
        if error.not_found:
            return None
        raise


@pytest.fixture
def project(
    calico: Cluster, kubeconfig: str, tmp_path: Path, server: Server
) -> Iterator[ComponentProject]:
    attached = {"PULUMI_DEBUG_PROVIDERS": f"kubernetes:{server.port}"}
    project = ComponentProject(tmp_path, PROGRAM, kubeconfig, **attached)
    yield project
    project.destroy()


def test_peers_then_reflectors_and_back(calico: Cluster, project: ComponentProject):
    assert there(calico, CONFIGURATION) is None
    project.up(bgp={"peers": [TOR]})
    ours = {"nodeToNodeMeshEnabled": True, "asNumber": 64512}
    assert calico.get(CONFIGURATION)["spec"].items() >= ours.items()
    tor = calico.get(named(CRD, "BGPPeer", "edgefleet-tor-1"))
    assert tor["spec"] == bgp_peers({"peers": [TOR]})["edgefleet-tor-1"]
    assert set(calico.get(SECRET)["data"]) == {"tor-1"}
    assert "s3cret" not in project.pulumi("stack", "export", "-s", "dev")

    told = project.up(bgp={"mesh": False, "route_reflectors": {"nodes": ["bgp-1"]}})
    assert told.index("bgp-route-reflectors created") < told.index("bgp-configuration updated")
    meta = calico.get(named("v1", "Node", "bgp-1"))["metadata"]
    assert meta["labels"]["edgefleet.dev/route-reflector"] == "true"
    assert meta["annotations"]["projectcalico.org/RouteReflectorClusterID"] == "244.0.0.1"
    assert calico.get(CONFIGURATION)["spec"]["nodeToNodeMeshEnabled"] is False
    assert there(calico, SECRET) is None
    project.pulumi("preview", "--expect-no-changes", "--refresh", "-s", "dev")

    project.up()
    assert there(calico, CONFIGURATION) is None
    meta = calico.get(named("v1", "Node", "bgp-1"))["metadata"]
    assert "edgefleet.dev/route-reflector" not in meta.get("labels", {})


def test_a_preview_refuses_what_the_cluster_is_not_made_for(
    calico: Cluster, project: ComponentProject
):
    project.say(bgp={"mesh": False, "route_reflectors": {"nodes": ["gone"]}})
    told = project.pulumi("preview", "-s", "dev", fails=True)
    assert "there is no node gone; there are bgp-1, bgp-2" in " ".join(told.split())
    calico.apply({**BACKEND, "data": {"calico_backend": "vxlan"}}, "calico-bgp-test", force=True)
    told = project.pulumi("preview", "-s", "dev", fails=True)
    assert "calico_backend of ConfigMap kube-system/calico-config is 'vxlan'" in told
    calico.apply({**BACKEND, "data": {"calico_backend": "bird"}}, "calico-bgp-test", force=True)


def test_an_as_number_of_32_bits_is_stored(calico: Cluster):
    """Though its definition says int32: `bgp_options` takes them."""
    spec = {"peerIP": "10.9.0.1", "asNumber": 4200000000}
    peer = {**named(CRD, "BGPPeer", "wide"), "spec": spec}
    calico.apply(peer, "calico-bgp-test")
    assert calico.get(peer)["spec"]["asNumber"] == spec["asNumber"]
