"""What Traefik needs in the cluster besides its pods: names, its rights, a Gateway."""

from collections.abc import Sequence
from typing import Any

import pulumi

from ...server_side.kubernetes_object import KubernetesObject
from ...server_side.ownership import NamedObject
from ..contract import PORTS
from ..controller import Metadata, rule
from .admission import NAME as ORIGIN_TRUST
from .pod import APP, LABELS

_GATEWAY = "gateway.networking.k8s.io/v1"
CONTROLLER = "traefik.io/ingress-controller"
NGINX_CONTROLLER = "k8s.io/ingress-nginx"
GATEWAY_CONTROLLER = "traefik.io/gateway-controller"
_READ = ["get", "list", "watch"]
_GATEWAY_KINDS = (
    "gatewayclasses",
    "gateways",
    "httproutes",
    "grpcroutes",
    "tcproutes",
    "tlsroutes",
    "referencegrants",
    "backendtlspolicies",
)
_CUSTOM_KINDS = (
    "ingressroutes",
    "ingressroutetcps",
    "ingressrouteudps",
    "middlewares",
    "middlewaretcps",
    "serverstransports",
    "serverstransporttcps",
    "tlsoptions",
    "tlsstores",
    "traefikservices",
)


def own_names(
    namespace: str, classes: Sequence[str], gateway: bool, admission: bool = False
) -> list[NamedObject]:
    """What it makes outside of a namespace of its own: names that somebody else may have."""
    option = "edgefleet:ingress"
    said_by = (f"{option}.class", f"{option}.nginxClass")
    found: list[NamedObject] = [
        {"kind": "Namespace", "object_name": namespace, "instead": f"{option}.namespace"}
    ]
    for name, instead in zip(classes, said_by, strict=False):
        found.append({"kind": "IngressClass", "object_name": name, "instead": instead})
    kinds = ["ClusterRole", "ClusterRoleBinding", *(["GatewayClass"] if gateway else [])]
    found += [NamedObject(kind=kind, object_name=APP) for kind in kinds]
    policies = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
    named = policies if admission else []
    return [*found, *(NamedObject(kind=kind, object_name=ORIGIN_TRUST) for kind in named)]


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


def cluster_rules(
    *, custom_resources: bool = False, gateway: bool = False, nginx: bool = False, status: bool
) -> list[dict[str, Any]]:
    """What it reads in the whole cluster, and the status that it writes. As Traefik says it of each
    provider (docs/content/reference/dynamic-configuration/kubernetes-*-rbac.yml), less the
    pods, which only OpenTelemetry asks for, and ConfigMaps where nobody names one."""
    maps = ["configmaps"] if custom_resources or gateway or nginx else []
    rules = [
        rule("", ["nodes", "secrets", "services", *maps], _READ),
        rule("discovery.k8s.io", ["endpointslices"], _READ),
        rule("networking.k8s.io", ["ingresses", "ingressclasses"], _READ),
    ]
    if status:
        rules.append(rule("networking.k8s.io", ["ingresses/status"], ["update"]))
    if gateway or nginx:
        rules.append(rule("", ["namespaces"], ["list", "watch"]))
    if custom_resources:
        rules.append(rule("traefik.io", [*_CUSTOM_KINDS], _READ))
    if gateway:
        written = [f"{kind}/status" for kind in _GATEWAY_KINDS]
        rules.append(rule("gateway.networking.k8s.io", [*_GATEWAY_KINDS], _READ))
        rules.append(rule("gateway.networking.k8s.io", written, ["update"]))
    return rules
