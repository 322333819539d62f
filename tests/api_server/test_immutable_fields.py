"""ops/render/replacing_fields.py's Kubernetes column, held against a real API server."""

from typing import Any

import pytest

from ops.render.replacing_fields import FORCE_NEW
from sandbox.providers.kubernetes.client import ApiError, Cluster
from tests.kubernetes_harness import Json, daemon_set, named

pytest_plugins = ["tests.kubernetes_harness"]

RBAC = "rbac.authorization.k8s.io/v1"
SELECTOR = {"selector": {"matchLabels": {"app": "ds", "tier": "other"}}}


def binding(kind: str, namespace: str, role: str) -> Json:
    made = named(RBAC, kind, f"immutable-{namespace}", namespace if kind == "RoleBinding" else "")
    return {**made, "roleRef": {"apiGroup": RBAC[:-3], "kind": "ClusterRole", "name": role}}


def workload(kind: str, namespace: str) -> Json:
    return {**daemon_set(namespace), "kind": kind}


def ingress_class(namespace: str, controller: str) -> Json:
    made = named("networking.k8s.io/v1", "IngressClass", namespace)
    return {**made, "spec": {"controller": controller}}


def secret(namespace: str, kind: str) -> Json:
    return {**named("v1", "Secret", "s", namespace), "type": kind, "stringData": {"a": "b"}}


def changed(cluster: Cluster, obj: Json, path: str, value: Any) -> None:
    cluster.create(obj, "test")
    cluster.patch_json(obj, [{"op": "replace", "path": path, "value": value}])


CASES: dict[tuple[str, str], Any] = {
    ("kubernetes:apps/v1:DaemonSet", "spec.selector"): lambda n: (
        workload("DaemonSet", n), "/spec/selector", SELECTOR["selector"],
    ),
    ("kubernetes:apps/v1:Deployment", "spec.selector"): lambda n: (
        workload("Deployment", n), "/spec/selector", SELECTOR["selector"],
    ),
    (f"kubernetes:{RBAC}:ClusterRoleBinding", "roleRef"): lambda n: (
        binding("ClusterRoleBinding", n, "view"), "/roleRef/name", "edit",
    ),
    (f"kubernetes:{RBAC}:RoleBinding", "roleRef"): lambda n: (
        binding("RoleBinding", n, "view"), "/roleRef/name", "edit",
    ),
    ("kubernetes:core/v1:Secret", "type"): lambda n: (
        secret(n, "Opaque"), "/type", "example.com/other",
    ),
}  # fmt: skip


def test_every_field_of_the_table_is_tried():
    listed = {
        (token, field)
        for token, fields in FORCE_NEW.items()
        if token.startswith("kubernetes:")
        for field in fields
        if not field.startswith("metadata.")
    }
    assert listed == set(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].rpartition(":")[2])
def test_a_field_that_replaces_cannot_be_changed(
    cluster: Cluster, namespace: str, case: tuple[str, str]
):
    with pytest.raises(ApiError) as refused:
        changed(cluster, *CASES[case](namespace))
    assert refused.value.code == 422
    assert case[1] in str(refused.value)
    # "cannot change roleRef", or "field is immutable".
    assert "immutable" in str(refused.value) or "cannot change" in str(refused.value)


def test_what_the_provider_takes_for_an_update_and_the_server_refuses(
    cluster: Cluster, namespace: str
):
    """pulumi-kubernetes #1738: such an `up` fails, and replaces nothing."""
    with pytest.raises(ApiError, match="immutable") as refused:
        changed(cluster, ingress_class(namespace, "example.com/a"), "/spec/controller", "e.com/b")
    assert refused.value.code == 422
