"""Clusters on plain servers: what is refused, and what their nodes say of themselves."""

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from sandbox.clusters import kubeadm
from sandbox.clusters.backend import NodeSpec
from sandbox.lifecycle import SandboxError
from sandbox.servers import write_kubeconfig
from sandbox.vendors.servers import create_app


class Planes:
    """Remembers what it is asked for; a cluster's nodes are ready when it is asked again."""

    def __init__(self) -> None:
        self.made: dict[str, list[NodeSpec]] = {}
        self.asked = 0

    def create(
        self, cluster_id: str, label: str, version: str, nodes: list[NodeSpec], made_by: str
    ) -> None:
        assert (label, version, made_by) == ("fra", kubeadm.VERSION, "kubeadm")
        self.made.setdefault(cluster_id, nodes)

    def kubeconfig(self, cluster_id: str) -> str | None:
        return f"of {cluster_id}" if cluster_id in self.made else None

    def all_ready(self, cluster_id: str) -> bool:
        self.asked += 1
        return self.asked > 1

    def delete(self, cluster_id: str) -> None:
        self.made.pop(cluster_id, None)


def test_a_cluster_comes_and_goes():
    planes: Any = Planes()
    client = Client(create_app(planes))
    assert client.get("/clusters/fra").status_code == 404
    assert client.post("/clusters", json={"name": "fra", "nodes": 2}).status_code == 201
    assert client.get("/clusters/fra").status_code == 404
    answer = client.get("/clusters/fra").get_json()
    assert answer == {"kubeconfig": "of fra.servers.internal"}
    names = [node["label"] for node in planes.made["fra.servers.internal"]]
    assert names == ["fra-cp", "fra-1", "fra-2"]
    assert client.delete("/clusters/fra").status_code == 204
    assert client.get("/clusters/fra").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "Fra", "nodes": 2}, "'Fra': must be a DNS label"),
        ({"name": "fra", "nodes": 0}, "0: must be a number of nodes from 1 to 50"),
        ({"name": "fra"}, "None: must be a number of nodes"),
    ],
)
def test_what_is_refused(body: dict[str, Any], said: str):
    planes: Any = Planes()
    answer = Client(create_app(planes)).post("/clusters", json=body)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]


def test_nodes_know_neither_vultr_nor_their_public_addresses():
    plane, worker = (
        kubeadm.node_object(node, kubeadm.VERSION) for node in kubeadm.servers("fra", 1)
    )
    for node in (plane, worker):
        assert "vultr" not in str(node).lower()
        assert {a["type"] for a in node["status"]["addresses"]} == {"Hostname", "InternalIP"}
        assert "providerID" not in node["spec"]
    assert plane["metadata"]["labels"].keys() - worker["metadata"]["labels"].keys() == {
        "node-role.kubernetes.io/control-plane",
        "node.kubernetes.io/exclude-from-external-load-balancers",
    }


def test_a_kubeconfig_that_is_somebodys_is_left_alone(tmp_path: Path):
    path = tmp_path / "kube" / "fra"
    write_kubeconfig(path, "server: https://fra.servers.internal:6443")
    assert path.stat().st_mode & 0o777 == 0o600
    write_kubeconfig(path, "server: https://fra.servers.internal:6443 # another")
    assert path.read_text().endswith("another")
    path.write_text("server: https://production:6443")
    with pytest.raises(SandboxError, match="is no kubeconfig of the sandbox's: move it"):
        write_kubeconfig(path, "server: https://fra.servers.internal:6443")
    assert path.read_text() == "server: https://production:6443"
