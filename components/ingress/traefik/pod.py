"""Traefik's pod and rights, as Kubernetes objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from ..contract import PORTS
from ..mistake import IngressMistake
from ..placing import RESOURCES, TOLERATIONS, Resources, affinity
from .options import DRAIN_SECONDS, DYNAMIC_FOLDER, METRICS_PORT, READINESS_PORT
from .routing import READY_PATH

APP = "traefik"
NAMESPACE = "traefik"
"""Of the controller and what it is given, unless its arguments name another."""
LABELS = {"app.kubernetes.io/name": APP, "app.kubernetes.io/part-of": "edgefleet"}
STATIC_FOLDER = "/etc/traefik/static"
STATIC_FILE, EDGE_FILE, SECRETS_FILE = "traefik.yaml", "edge.yaml", "origin-secrets.yaml"
_MARGIN_SECONDS = 10
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


def cluster_rules(
    *, custom_resources: bool = False, gateway: bool = False, nginx: bool = False, status: bool
) -> list[dict[str, Any]]:
    """What it reads in the whole cluster, and the status that it writes. As Traefik says it of each
    provider (docs/content/reference/dynamic-configuration/kubernetes-*-rbac.yml), less the
    pods, which only OpenTelemetry asks for, and ConfigMaps where nobody names one."""
    maps = ["configmaps"] if custom_resources or gateway or nginx else []
    rules = [
        _rule("", ["nodes", "secrets", "services", *maps], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("networking.k8s.io", ["ingresses", "ingressclasses"], _READ),
    ]
    if status:
        rules.append(_rule("networking.k8s.io", ["ingresses/status"], ["update"]))
    if gateway or nginx:
        rules.append(_rule("", ["namespaces"], ["list", "watch"]))
    if custom_resources:
        rules.append(_rule("traefik.io", [*_CUSTOM_KINDS], _READ))
    if gateway:
        written = [f"{kind}/status" for kind in _GATEWAY_KINDS]
        rules.append(_rule("gateway.networking.k8s.io", [*_GATEWAY_KINDS], _READ))
        rules.append(_rule("gateway.networking.k8s.io", written, ["update"]))
    return rules


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def pod_spec(
    image: str,
    *,
    static: pulumi.Input[str],
    edge: pulumi.Input[str],
    secrets: pulumi.Input[str] | None = None,
    certificate: pulumi.Input[str] | None = None,
    shutdown_seconds: int,
    resources: Resources = RESOURCES,
    tolerations: Sequence[Mapping[str, str]] = TOLERATIONS,
    node_selector: Mapping[str, str] | None = None,
    avoided: Mapping[str, str] | None = None,
    not_on: Mapping[str, Sequence[str]] | None = None,
    metrics: bool = True,
) -> dict[str, Any]:
    """The pod: host network, host ports, nothing it doesn't need.

    `static` and `edge` are names of ConfigMaps, `secrets` and `certificate` of Secrets. The dynamic
    files lie in one folder with the certificate, so that Traefik looks again when the kubelet
    replaces that.
    """
    grace = DRAIN_SECONDS + shutdown_seconds + _MARGIN_SECONDS
    together: list[dict[str, Any]] = [{"configMap": {"name": edge}}]
    together += [{"secret": {"name": name}} for name in (secrets, certificate) if name is not None]
    return {
        "serviceAccountName": APP,
        "enableServiceLinks": False,
        "hostNetwork": True,
        # With hostNetwork the node's resolver is the default, and Services would not resolve.
        "dnsPolicy": "ClusterFirstWithHostNet",
        "priorityClassName": "system-node-critical",
        "nodeSelector": {"kubernetes.io/os": "linux", **(node_selector or {})},
        "tolerations": [dict(toleration) for toleration in tolerations],
        "terminationGracePeriodSeconds": grace,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {"name": "static", "configMap": {"name": static}},
            {"name": "dynamic", "projected": {"sources": together}},
        ],
        "containers": [_controller(image, resources, metrics)],
        **affinity(avoided, not_on),
    }


def _controller(image: str, resources: Resources, metrics: bool) -> dict[str, Any]:
    ports = [*zip(("http", "https"), PORTS, strict=True)]
    ready = {"httpGet": {"host": "127.0.0.1", "path": READY_PATH, "port": READINESS_PORT}}
    return {
        "name": APP,
        "image": image,
        "args": [f"--configFile={STATIC_FOLDER}/{STATIC_FILE}"],
        # Declared, so that the scheduler sees a conflict before a pod crashes on one.
        "ports": [
            {"name": name, "containerPort": port, "hostPort": port, "protocol": "TCP"}
            for name, port in [
                *ports,
                ("readiness-port", READINESS_PORT),
                *([("metrics", METRICS_PORT)] if metrics else []),
            ]
        ],
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**ready, "periodSeconds": 1},
        # Whether it lives, not whether it is busy or about to go.
        "livenessProbe": {
            "tcpSocket": {"host": "127.0.0.1", "port": READINESS_PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            # The image's program has no capability of its own, so that another user could bind no
            # port below 1024 on the host's network, whatever is added here.
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "volumeMounts": [
            {"name": "static", "mountPath": STATIC_FOLDER, "readOnly": True},
            {"name": "dynamic", "mountPath": DYNAMIC_FOLDER, "readOnly": True},
        ],
    }


def beside(secret: str, namespace: str) -> str:
    """The NAME of a secret that a pod in `namespace` may mount. Raises IngressMistake."""
    where, _, name = secret.rpartition("/")
    if where not in ("", namespace):
        raise IngressMistake(
            f"default_tls_secret: {secret!r}: Traefik mounts it, so that it has to be in Traefik's "
            f"own namespace, {namespace}: keep it there and say {name}"
        )
    return name
