"""A cluster on plain servers, as kubeadm and Calico's manifest leave it: no vendor's API lists it.

Nodes have kubelet's own labels and their private addresses alone; the control plane carries the
taint and the label that kubeadm gives it.
"""

from collections.abc import Sequence

from sandbox.clusters import seed as vke
from sandbox.clusters.api import ClusterApi, Object
from sandbox.clusters.backend import NodeSpec

VERSION = "v1.35.4"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_BEFORE_EBPF = "v1.28.15"
"""What VKE shipped until then are Calico's and kubeadm's manifests, unchanged."""
_MANAGER = "kubectl-client-side-apply"


def host(name: str) -> str:
    """The name of its API server, which is the cluster's id, too."""
    return f"{name}.servers.internal"


def servers(name: str, count: int) -> list[NodeSpec]:
    """A control plane and so many workers, in 10.9.0.0/24."""
    return [_server(f"{name}-{number or 'cp'}", number) for number in range(count + 1)]


def _server(name: str, number: int) -> NodeSpec:
    return {
        "id": name,
        "label": name,
        "pool_id": "",
        "pool_label": "",
        "main_ip": "",
        "v6_main_ip": "",
        "internal_ip": f"10.9.0.{10 + number}",
        "labels": {} if number else {_CONTROL_PLANE: "", _EXCLUDED: ""},
        "taints": [] if number else [{"key": _CONTROL_PLANE, "effect": "NoSchedule"}],
        "plan": "metal-4c-16gb",
        "region": "",
    }


def node_object(node: NodeSpec, version: str) -> Object:
    """A Node as kubelet registers it where there is no cloud controller."""
    found = vke.node_object(node, version)
    labels = found["metadata"]["labels"]
    own = {key: value for key, value in labels.items() if key.startswith("kubernetes.io/")}
    found["metadata"]["labels"] = own | node["labels"]
    del found["spec"]["providerID"]
    status = found["status"]
    status["addresses"] = [a for a in status["addresses"] if a["type"] != "ExternalIP"]
    return found


def seed(api: ClusterApi, version: str, endpoint: str) -> None:
    """Apply everything but nodes. Raises ApiError."""
    vke.seed(api, _BEFORE_EBPF, endpoint, _MANAGER)


def sync_nodes(api: ClusterApi, nodes: Sequence[NodeSpec], version: str) -> None:
    """Add and remove Node objects. Raises ApiError."""
    vke.sync_nodes(api, nodes, version, node_object)
