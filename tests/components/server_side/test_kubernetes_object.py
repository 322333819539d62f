"""An object registers what the SDK's class of its kind registers."""

import re
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components.server_side.kubernetes_object import KubernetesObject
from tests.projects import ROOT
from tests.registrations import registered

HERE = {"namespace": "n", "name": "x", "labels": {"a": "b"}}
WIDE = {"name": "x", "labels": {"a": "b"}}
SUBJECT = {"kind": "ServiceAccount", "name": "x", "namespace": "n"}
ADMISSION = "admissionregistration.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"
GIVEN: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "Namespace": ({"apiVersion": "v1", "metadata": WIDE}, kubernetes.core.v1.Namespace, {}),
    "ServiceAccount": (
        {"apiVersion": "v1", "metadata": HERE},
        kubernetes.core.v1.ServiceAccount,
        {},
    ),
    "ConfigMap": (
        {"apiVersion": "v1", "metadata": HERE, "data": {"k": "v"}, "immutable": True},
        kubernetes.core.v1.ConfigMap,
        {"data": {"k": "v"}, "immutable": True},
    ),
    "Secret": (
        {"apiVersion": "v1", "metadata": HERE, "type": "t", "stringData": {"k": "v"}},
        kubernetes.core.v1.Secret,
        {"type": "t", "string_data": {"k": "v"}},
    ),
    "DaemonSet": (
        {"apiVersion": "apps/v1", "metadata": HERE, "spec": {"selector": {"matchLabels": {}}}},
        kubernetes.apps.v1.DaemonSet,
        {"spec": {"selector": {"match_labels": {}}}},
    ),
    "ClusterRole": (
        {"apiVersion": RBAC, "metadata": WIDE, "rules": [{"apiGroups": [""], "verbs": ["get"]}]},
        kubernetes.rbac.v1.ClusterRole,
        {"rules": [{"api_groups": [""], "verbs": ["get"]}]},
    ),
    "Role": (
        {"apiVersion": RBAC, "metadata": HERE, "rules": [{"apiGroups": [""], "verbs": ["get"]}]},
        kubernetes.rbac.v1.Role,
        {"rules": [{"api_groups": [""], "verbs": ["get"]}]},
    ),
    "ClusterRoleBinding": (
        {"apiVersion": RBAC, "metadata": WIDE, "roleRef": {"apiGroup": "g"}, "subjects": [SUBJECT]},
        kubernetes.rbac.v1.ClusterRoleBinding,
        {"role_ref": {"api_group": "g"}, "subjects": [SUBJECT]},
    ),
    "RoleBinding": (
        {"apiVersion": RBAC, "metadata": HERE, "roleRef": {"apiGroup": "g"}, "subjects": [SUBJECT]},
        kubernetes.rbac.v1.RoleBinding,
        {"role_ref": {"api_group": "g"}, "subjects": [SUBJECT]},
    ),
    "IngressClass": (
        {"apiVersion": "networking.k8s.io/v1", "metadata": WIDE, "spec": {"controller": "c"}},
        kubernetes.networking.v1.IngressClass,
        {"spec": {"controller": "c"}},
    ),
    "ValidatingAdmissionPolicy": (
        {"apiVersion": ADMISSION, "metadata": WIDE, "spec": {"failurePolicy": "Fail"}},
        kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy,
        {"spec": {"failure_policy": "Fail"}},
    ),
    "ValidatingAdmissionPolicyBinding": (
        {"apiVersion": ADMISSION, "metadata": WIDE, "spec": {"policyName": "p"}},
        kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding,
        {"spec": {"policy_name": "p"}},
    ),
    "NetworkPolicy": (
        {
            "apiVersion": "networking.k8s.io/v1",
            "metadata": HERE,
            "spec": {"podSelector": {"matchLabels": {}}},
        },
        kubernetes.networking.v1.NetworkPolicy,
        {"spec": {"pod_selector": {"match_labels": {}}}},
    ),
    "GlobalNetworkPolicy": (
        {"apiVersion": "crd.projectcalico.org/v1", "metadata": WIDE, "spec": {"tier": "default"}},
        kubernetes.apiextensions.CustomResource,
        {
            "api_version": "crd.projectcalico.org/v1",
            "kind": "GlobalNetworkPolicy",
            "spec": {"tier": "default"},
        },
    ),
}
"""By kind: what we say, the SDK's class, and what it is told beside the metadata."""


def made(kind: str, secret: bool) -> tuple[tuple[dict[str, Any], ...], ...]:
    given, theirs, told = GIVEN[kind]

    def value(plain: Any) -> Any:
        return pulumi.Output.secret(plain) if secret else plain

    def options() -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(protect=True, depends_on=[])

    def ours() -> pulumi.Resource:
        fields = {k: v if k == "apiVersion" else value(v) for k, v in given.items()}
        return KubernetesObject("r", {**fields, "kind": kind}, options())

    def sdk() -> pulumi.Resource:
        fields = {k: v if k in ("api_version", "kind") else value(v) for k, v in told.items()}
        return theirs("r", metadata=value(given["metadata"]), **fields, opts=options())

    return tuple(registered(make, ("id", "metadata")) for make in (ours, sdk))


@pytest.mark.parametrize("secret", [False, True], ids=["plain", "as outputs"])
@pytest.mark.parametrize("kind", GIVEN)
def test_the_engine_is_sent_what_the_sdk_sends(kind: str, secret: bool):
    (sent, outputs), (theirs, their_outputs) = made(kind, secret)
    # Where a kind was before it was stable: nothing here was ever made by that name.
    older = [alias["spec"]["type"] for alias in theirs.pop("aliases", [])]
    assert all("beta" in name or "alpha" in name for name in older)
    assert sent["version"] == version("pulumi-kubernetes")
    assert sent == theirs
    assert outputs["id"] == their_outputs["id"]
    assert outputs["metadata"]["name"] == "x"


def test_every_kind_that_a_stack_registers_is_compared():
    golden = "".join(file.read_text() for file in (ROOT / "tests/infra/stacks/golden").iterdir())
    kinds = set(re.findall(r"kubernetes:[\w./]+:(\w+)", golden))
    assert len(kinds) > 5
    assert kinds <= {*GIVEN}


def test_the_programs_load_no_kinds_of_the_sdk():
    program = (
        "import sys, infra.program\n"
        "kinds = [name for name in sys.modules if name.endswith('.v1._inputs')]\n"
        "print([name for name in kinds if name.startswith('pulumi_kubernetes')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.strip() == "[]"
