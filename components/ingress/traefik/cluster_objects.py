"""What Traefik needs in the cluster besides its pods: a namespace, rights, classes, a Gateway."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from ...server_side.kubernetes_object import KubernetesObject
from ...server_side.ownership import NamedObject
from ..contract import PORTS
from .pod import APP, LABELS, cluster_rules

Metadata = Mapping[str, Any]
_RBAC = "rbac.authorization.k8s.io"
_GATEWAY = "gateway.networking.k8s.io/v1"
CONTROLLER = "traefik.io/ingress-controller"
NGINX_CONTROLLER = "k8s.io/ingress-nginx"
GATEWAY_CONTROLLER = "traefik.io/gateway-controller"


def own_names(namespace: str, classes: Sequence[str], gateway: bool) -> list[NamedObject]:
    """What it makes outside of a namespace of its own: names that somebody else may have."""
    option = "edgefleet:ingress"
    said_by = (f"{option}.class", f"{option}.nginxClass")
    found: list[NamedObject] = [
        {"kind": "Namespace", "object_name": namespace, "instead": f"{option}.namespace"}
    ]
    for name, instead in zip(classes, said_by, strict=False):
        found.append({"kind": "IngressClass", "object_name": name, "instead": instead})
    kinds = ["ClusterRole", "ClusterRoleBinding", *(["GatewayClass"] if gateway else [])]
    return [*found, *(NamedObject(kind=kind, object_name=APP) for kind in kinds)]


def make_namespace(name: str, namespace: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The controller's own; gives its name."""
    # hostNetwork and host ports: Pod Security has no milder word for them.
    enforced = {"pod-security.kubernetes.io/enforce": "privileged"}
    metadata = {"name": namespace, "labels": {**LABELS, **enforced}}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return KubernetesObject(f"{name}-namespace", manifest, opts).name


def make_class(
    resource: str, ingress_class: str, controller: str, default: bool, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """An IngressClass, the cluster's default or not."""
    annotations = {"ingressclass.kubernetes.io/is-default-class": str(default).lower()}
    metadata = {"name": ingress_class, "labels": LABELS, "annotations": annotations}
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": metadata,
        "spec": {"controller": controller},
    }
    return KubernetesObject(resource, manifest, opts)


def make_gateway(
    name: str,
    here: Metadata,
    certificate: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """GatewayClass and Gateway, for routes of every namespace. Their kinds are somebody else's to
    install: the Gateway API's standard channel. HTTPS needs `certificate`, a Secret beside it."""
    kind = KubernetesObject(
        f"{name}-gateway-class",
        {
            "apiVersion": _GATEWAY,
            "kind": "GatewayClass",
            "metadata": {"name": APP, "labels": LABELS},
            "spec": {"controllerName": GATEWAY_CONTROLLER},
        },
        opts,
    )
    manifest = {
        "apiVersion": _GATEWAY,
        "kind": "Gateway",
        "metadata": here,
        "spec": {"gatewayClassName": kind.name, "listeners": listeners(certificate)},
    }
    return [kind, KubernetesObject(f"{name}-gateway", manifest, opts)]


def listeners(certificate: pulumi.Input[str] | None) -> list[dict[str, Any]]:
    """Of the Gateway: those ports that Traefik's entry points have."""
    http, https = PORTS
    anybody = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    found: list[dict[str, Any]] = [{"name": "http", "port": http, "protocol": "HTTP", **anybody}]
    if certificate is not None:
        tls = {"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": certificate}]}
        found.append({"name": "https", "port": https, "protocol": "HTTPS", "tls": tls, **anybody})
    return found


def bind_rights(
    name: str, namespace: pulumi.Output[str], opts: pulumi.ResourceOptions, **reads: bool
) -> pulumi.Resource:
    """The binding of the controller's account to what `pod.cluster_rules` lists."""
    metadata: Metadata = {"name": APP, "labels": LABELS}
    role = KubernetesObject(
        f"{name}-role",
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": cluster_rules(**reads),
        },
        opts,
    )
    return KubernetesObject(
        f"{name}-binding",
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role.name},
            "subjects": [{"kind": "ServiceAccount", "name": APP, "namespace": namespace}],
        },
        opts,
    )
