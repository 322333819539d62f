"""What the controller needs in the cluster besides its pods: a namespace, its rights, its class."""

from collections.abc import Mapping
from typing import Any

import pulumi

from ...server_side.kubernetes_object import KubernetesObject
from ...server_side.ownership import NamedObject
from .admission import NAME as HEALTH_PATH_POLICY
from .admission import health_path_policy
from .pod import APP, LABELS, cluster_rules, own_rules

Metadata = Mapping[str, Any]
_RBAC = "rbac.authorization.k8s.io"


def own_names(namespace: str, ingress_class: str) -> list[NamedObject]:
    """What it makes outside of a namespace of its own: names that somebody else may have."""
    option = "edgefleet:ingress"
    wide = ("ClusterRole", "ClusterRoleBinding")
    admission = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    return [
        {"kind": "Namespace", "object_name": namespace, "instead": f"{option}.namespace"},
        {
            "kind": "IngressClass",
            "object_name": ingress_class,
            "instead": f"{option}.class",
        },
        *(NamedObject(kind=kind, object_name=APP) for kind in wide),
        *(NamedObject(kind=kind, object_name=HEALTH_PATH_POLICY) for kind in admission),
    ]


def make_namespace(name: str, namespace: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The controller's own; gives its name."""
    # hostNetwork and host ports: Pod Security has no milder word for them.
    enforced = {"pod-security.kubernetes.io/enforce": "privileged"}
    metadata = {"name": namespace, "labels": {**LABELS, **enforced}}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return KubernetesObject(f"{name}-namespace", manifest, opts).name


def make_class(
    name: str, ingress_class: str, default: bool, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """The IngressClass, the cluster's default or not."""
    annotations = {"ingressclass.kubernetes.io/is-default-class": str(default).lower()}
    metadata = {"name": ingress_class, "labels": LABELS, "annotations": annotations}
    return KubernetesObject(
        f"{name}-class",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": metadata,
            "spec": {"controller": "nginx.org/ingress-controller"},
        },
        opts,
    )


def refuse_health_path(
    name: str, ingress_class: str, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """The admission policy of `admission.py`."""
    policy, binding = health_path_policy(ingress_class)
    first = KubernetesObject(f"{name}-health-path", policy, opts)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[first]))
    return [first, KubernetesObject(f"{name}-health-path-binding", binding, after)]


def bind_rights(
    name: str,
    here: Metadata,
    custom_resources: bool,
    report_status: bool,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Bindings of the controller's account: to the cluster's objects, and to its own namespace."""
    subjects = [{"kind": "ServiceAccount", "name": APP, "namespace": here["namespace"]}]
    everywhere = cluster_rules(custom_resources, report_status)
    cluster_wide: Metadata = {"name": APP, "labels": LABELS}

    def rbac(part: str, kind: str, metadata: Metadata, **content: Any) -> KubernetesObject:
        manifest = {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, **content}
        return KubernetesObject(f"{name}-{part}", manifest, opts)

    def bound(part: str, kind: str, metadata: Metadata, role: KubernetesObject) -> KubernetesObject:
        ref = {"apiGroup": _RBAC, "kind": kind, "name": role.name}
        return rbac(part, f"{kind}Binding", metadata, roleRef=ref, subjects=subjects)

    role = rbac("role", "ClusterRole", cluster_wide, rules=everywhere)
    own = rbac("own-role", "Role", here, rules=own_rules(report_status))
    return [
        bound("binding", "ClusterRole", cluster_wide, role),
        bound("own-binding", "Role", here, own),
    ]
