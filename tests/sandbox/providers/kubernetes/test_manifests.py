"""Real manifests through the emulated kubernetes provider: created, they must show no change.

Of the definitions' schemas there is one field of each sort: tests/data.
"""

from collections.abc import Callable, Iterator

import pytest

from sandbox.providers.kubernetes.client import Cluster
from tests.data import manifest
from tests.kubernetes_harness import Engine, Json, control_plane, named

pytest_plugins = ("tests.kubernetes_harness",)


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A control plane of its own: whole manifests, Calico's among them, stay on it."""
    with control_plane(tmp_path_factory.mktemp("control-plane")) as text:
        yield text


def documents(name: str) -> list[Json]:
    order = ("Namespace", "CustomResourceDefinition")
    return sorted(manifest(name), key=lambda doc: doc["kind"] not in order)


@pytest.mark.parametrize(
    "name",
    [
        "calico",
        "nginx-definitions",
        "nginx-rights",
        "nginx-daemon-set",
        "metallb",
    ],
)
def test_a_real_manifest_settles(connect: Callable[..., Engine], cluster: Cluster, name: str):
    engine = connect()
    cluster.apply(named("v1", "Namespace", "nginx-ingress"), "test")
    unsettled = {}
    for number, doc in enumerate(documents(name)):
        module = "core/v1" if doc["apiVersion"] == "v1" else doc["apiVersion"]
        if doc["kind"] != "CustomResourceDefinition":
            annotations = doc["metadata"].get("annotations") or {}
            doc["metadata"]["annotations"] = {**annotations, "pulumi.com/skipAwait": "true"}
        resource = engine.resource(f"kubernetes:{module}:{doc['kind']}", str(number))
        resource.create(doc, preview=True)
        resource.create(doc)
        changes = resource.changes(doc)
        resource.refresh()
        changes |= resource.changes(doc)
        if changes:
            unsettled[f"{doc['kind']}/{doc['metadata']['name']}"] = changes
    assert unsettled == {}
