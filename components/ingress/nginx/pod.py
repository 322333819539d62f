"""The ingress controller's pod.

Compared with NGINX's own (deployments/daemon-set and deployments/rbac of v5.5.4) in
tests/components/ingress/test_nginx_objects.py, where each difference has its reason.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import pulumi

from ..contract import PORTS
from ..placing import RESOURCES, Placed, Resources, placed_pod
from .options import METRICS_PORT, READINESS_PORT

APP = "nginx-ingress"
CONFIG = "nginx-config"
LABELS = {"app.kubernetes.io/name": APP, "app.kubernetes.io/part-of": "edgefleet"}
NAMESPACE = "nginx-ingress"
"""Of the controller and what it is given, unless its arguments name another."""
DRAIN_SECONDS = 5
"""Between the pod's farewell to Kubernetes and nginx's own: connections that are on their way
still find somebody."""
_MARGIN_SECONDS = 10
_UID = 101
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": _UID,
    "capabilities": {"drop": ["ALL"]},
}
_WRITABLE = {
    "nginx-etc": "/etc/nginx",
    "nginx-cache": "/var/cache/nginx",
    "nginx-lib": "/var/lib/nginx",
    "nginx-state": "/var/lib/nginx/state",
    "nginx-log": "/var/log/nginx",
}


def pod_spec(
    image: str,
    flags: Sequence[pulumi.Input[str]],
    *,
    shutdown_seconds: int,
    resources: Resources = RESOURCES,
    metrics: bool = True,
    files: tuple[pulumi.Input[str], str] | None = None,
    host_ports: bool = True,
    **placed: Unpack[Placed],
) -> dict[str, Any]:
    """The pod: host network, host ports, nothing it doesn't need; without `host_ports` a network of
    its own.

    The root file system is read-only as NGINX documents it: an init container copies /etc/nginx
    into a volume. `files` is a secret's name and where to mount it.
    """
    return {
        **placed_pod(APP, host_ports=host_ports, **placed),
        "terminationGracePeriodSeconds": DRAIN_SECONDS + shutdown_seconds + _MARGIN_SECONDS,
        "volumes": [
            *({"name": name, "emptyDir": {}} for name in _WRITABLE),
            *([{"name": "files", "secret": {"secretName": files[0]}}] if files else []),
        ],
        "initContainers": [
            {
                "name": "copy-etc-nginx",
                "image": image,
                "command": ["cp", "-vdR", "/etc/nginx/.", "/mnt/etc"],
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "securityContext": _CONFINED,
                "volumeMounts": [{"name": "nginx-etc", "mountPath": "/mnt/etc"}],
            }
        ],
        "containers": [_controller(image, flags, resources, metrics, files, host_ports)],
    }


def _controller(
    image: str,
    flags: Sequence[pulumi.Input[str]],
    resources: Resources,
    metrics: bool,
    files: tuple[pulumi.Input[str], str] | None,
    host_ports: bool,
) -> dict[str, Any]:
    ports = [*zip(("http", "https"), PORTS, strict=True), ("readiness-port", READINESS_PORT)]
    ready = {"httpGet": {"path": "/nginx-ready", "port": "readiness-port"}}
    return {
        "name": APP,
        "image": image,
        "args": list(flags),
        "env": [
            {"name": env, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.{field}"}}}
            for env, field in (("POD_NAMESPACE", "namespace"), ("POD_NAME", "name"))
        ],
        # Declared, so that the scheduler sees a conflict before a pod crashes on one.
        "ports": [
            {
                "name": name,
                "containerPort": port,
                **({"hostPort": port} if host_ports else {}),
                "protocol": "TCP",
            }
            for name, port in [*ports, *([("metrics", METRICS_PORT)] if metrics else [])]
        ],
        # The first configuration of many Ingresses takes its time.
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**ready, "periodSeconds": 1},
        # Whether the controller lives; nginx's end is its end. Not whether nginx is busy: a
        # restart would take the rest of a crowded edge down.
        "livenessProbe": {
            "tcpSocket": {"port": "readiness-port"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        # Then SIGTERM, on which the controller has nginx finish its requests.
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "resources": resources,
        "securityContext": {
            **_CONFINED,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "volumeMounts": [
            *({"name": name, "mountPath": path} for name, path in _WRITABLE.items()),
            *([{"name": "files", "mountPath": files[1], "readOnly": True}] if files else []),
        ],
    }
