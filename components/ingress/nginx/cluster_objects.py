"""What the controller needs in the cluster besides its pods: names, and its rights."""

from typing import Any

from ...server_side.ownership import NamedObject
from ..controller import rule
from .admission import NAME as HEALTH_PATH_POLICY
from .pod import APP

CONTROLLER = "nginx.org/ingress-controller"


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


def cluster_rules(
    custom_resources: bool = False, report_status: bool = False
) -> list[dict[str, Any]]:
    """What the controller reads in the whole cluster, and the events that it writes."""
    read = ["get", "list", "watch"]
    rules = [
        rule("", ["namespaces", "pods", "secrets", "services"], read),
        rule("", ["events"], ["create", "patch", "list"]),
        rule("discovery.k8s.io", ["endpointslices"], read),
        rule("networking.k8s.io", ["ingresses"], read),
        rule("networking.k8s.io", ["ingressclasses"], ["get", "list"]),
    ]
    if report_status:
        rules.append(rule("networking.k8s.io", ["ingresses/status"], ["update"]))
    if custom_resources:
        kinds = ["virtualservers", "virtualserverroutes", "transportservers", "policies"]
        status = [f"{kind}/status" for kind in kinds]
        rules.append(rule("k8s.nginx.org", [*kinds, "globalconfigurations"], read))
        rules.append(rule("k8s.nginx.org", status, ["update"]))
    return rules


def own_rules(report_status: bool = False) -> list[dict[str, Any]]:
    """What it does in its own namespace: follow its ConfigMap, label its pod with its version, and
    agree with the others on who reports status."""
    lease = ["get", "list", "watch", "update", "create"]
    return [
        rule("", ["configmaps"], ["get", "list", "watch"]),
        rule("", ["pods"], ["update"]),
        *([rule("coordination.k8s.io", ["leases"], lease)] if report_status else []),
    ]
