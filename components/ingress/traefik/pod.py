"""Traefik's pod."""

from typing import Any, Unpack

import pulumi

from ..contract import PORTS
from ..mistake import IngressMistake
from ..placing import RESOURCES, Placed, Resources, placed_pod
from .options import DRAIN_SECONDS, DYNAMIC_FOLDER, LOCAL, METRICS_PORT, READINESS_PORT
from .routing import READY_PATH

APP = "traefik"
NAMESPACE = "traefik"
"""Of the controller and what it is given, unless its arguments name another."""
LABELS = {"app.kubernetes.io/name": APP, "app.kubernetes.io/part-of": "edgefleet"}
STATIC_FOLDER = "/etc/traefik/static"
STATIC_FILE, EDGE_FILE, SECRETS_FILE = "traefik.yaml", "edge.yaml", "origin-secrets.yaml"
SECRETS = f"{APP}-files"
"""How the secret with the edge's header's values begins."""
_MARGIN_SECONDS = 10


def pod_spec(
    image: str,
    *,
    static: pulumi.Input[str],
    edge: pulumi.Input[str],
    secrets: pulumi.Input[str] | None = None,
    certificate: pulumi.Input[str] | None = None,
    shutdown_seconds: int,
    resources: Resources = RESOURCES,
    metrics: bool = True,
    host_ports: bool = True,
    **placed: Unpack[Placed],
) -> dict[str, Any]:
    """The pod: host network, host ports, nothing it doesn't need; without `host_ports` a network of
    its own.

    `static` and `edge` are names of ConfigMaps, `secrets` and `certificate` of Secrets. The dynamic
    files lie in one folder with the certificate, so that Traefik looks again when the kubelet
    replaces that.
    """
    grace = DRAIN_SECONDS + shutdown_seconds + _MARGIN_SECONDS
    together: list[dict[str, Any]] = [{"configMap": {"name": edge}}]
    together += [{"secret": {"name": name}} for name in (secrets, certificate) if name is not None]
    return {
        **placed_pod(APP, host_ports=host_ports, **placed),
        "terminationGracePeriodSeconds": grace,
        "volumes": [
            {"name": "static", "configMap": {"name": static}},
            {"name": "dynamic", "projected": {"sources": together}},
        ],
        "containers": [_controller(image, resources, metrics, host_ports)],
    }


def _controller(
    image: str, resources: Resources, metrics: bool, host_ports: bool
) -> dict[str, Any]:
    ports = [*zip(("http", "https"), PORTS, strict=True)]
    asked = {"port": READINESS_PORT, **({"host": LOCAL} if host_ports else {})}
    ready = {"httpGet": {"path": READY_PATH, **asked}}
    return {
        "name": APP,
        "image": image,
        "args": [f"--configFile={STATIC_FOLDER}/{STATIC_FILE}"],
        # Declared, so that the scheduler sees a conflict before a pod crashes on one.
        "ports": [
            {
                "name": name,
                "containerPort": port,
                **({"hostPort": port} if host_ports else {}),
                "protocol": "TCP",
            }
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
            "tcpSocket": asked,
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


def is_certificate(secret: str) -> bool:
    """Whether a secret that the pod mounts is the default certificate, by its name."""
    return not secret.startswith(f"{SECRETS}-")


def beside(secret: str, namespace: str) -> str:
    """The NAME of a secret that a pod in `namespace` may mount. Raises IngressMistake."""
    where, _, name = secret.rpartition("/")
    if where not in ("", namespace):
        raise IngressMistake(
            f"default_tls_secret: {secret!r}: Traefik mounts it, so that it has to be in Traefik's "
            f"own namespace, {namespace}: keep it there and say {name}"
        )
    return name
