"""`ExistingCluster` on a real API server, whose nodes somebody else registered."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulumi
import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from components.cluster.existing import ExistingCluster, ExistingClusterArgs, ask_api_server
from tests.registrations import all_registered

pytest_plugins = ["tests.kubernetes_harness"]

NAME = "metal-1"
ADDRESSES = {"ipv4": "45.76.1.10", "ipv6": "2001:19f0:1:a::a"}


@pytest.fixture
def node(kubeconfig: str) -> Iterator[None]:
    """Ready, with a private address of kubelet's and public ones by annotation."""
    api: Any = client.CoreV1Api(new_client_from_config_dict(yaml.safe_load(kubeconfig)))
    notes = {f"edgefleet.dev/{family}": address for family, address in ADDRESSES.items()}
    api.create_node({"metadata": {"name": NAME, "annotations": notes}})
    ready = {"type": "Ready", "status": "True", "reason": "x", "message": "y"}
    internal = {"type": "InternalIP", "address": "10.9.0.5"}
    api.patch_node_status(NAME, {"status": {"conditions": [ready], "addresses": [internal]}})
    # A taint that comes with a node and goes by itself, as the controllers are about to say.
    api.patch_node(NAME, {"spec": {"taints": []}})
    yield
    api.delete_node(NAME)


def outputs(args: ExistingClusterArgs, *names: str, **own: Any) -> dict[str, Any]:
    return all_registered(lambda: ExistingCluster("fra", args, **own), names)[1]


@pytest.mark.usefixtures("node")
def test_identity_version_and_nodes_are_asked(kubeconfig: str):
    seen = ask_api_server(kubeconfig)
    found = outputs(
        {"kubeconfig": kubeconfig, "identity": seen.identity},
        "identity", "version", "nodes", "expected_nodes", "kubeconfig",
    )  # fmt: skip
    assert len(found["identity"]) == 36
    assert found["version"].startswith("v1.")
    assert found["nodes"] == [{"id": NAME, "name": NAME, **ADDRESSES}]
    assert found["expected_nodes"] == 1
    assert found["kubeconfig"] == kubeconfig


def test_a_cluster_that_lists_no_node_is_not_believed(kubeconfig: str):
    own: dict[str, Any] = {
        "published": ["a", "b"],
        # Other tests have nodes in this cluster.
        "read": lambda text: replace(ask_api_server(text), nodes=[]),
    }
    with pytest.raises(pulumi.RunError, match="lists no node at all"):
        outputs({"kubeconfig": kubeconfig}, "nodes", **own)
    consenting = outputs({"kubeconfig": kubeconfig}, "nodes", **own, accept_loss=True)
    assert consenting == {"nodes": []}


def test_one_that_does_not_answer_is_named(kubeconfig: str):
    config = yaml.safe_load(kubeconfig)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    with pytest.raises(pulumi.RunError, match="cluster fra: the API server does not answer"):
        outputs({"kubeconfig": yaml.safe_dump(config)}, "nodes")
