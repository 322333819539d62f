"""Traefik's static configuration: entry points, providers, logs. Options in, its file out.

Names are those of Traefik v3.7 (docs/content/reference/install-configuration in traefik/traefik);
tests/traefik starts the real one with what is rendered here.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from ..contract import PORTS, VISITOR_HEADER
from ..mistake import IngressMistake

INGRESS_CLASS = "traefik"
NGINX_CLASS = "nginx"
READINESS_PORT = 8081
LOCAL = "127.0.0.1"
METRICS_PORT = 9113
DRAIN_SECONDS = 5
"""Between SIGTERM and the last new connection: the health path answers 503 already."""
WEB, SECURE, READY, METRICS = "web", "websecure", "ready", "metrics"
"""Entry points: the contract's ports, the kubelet's, the metrics'."""
EDGE = "edge@file"
"""The middleware of every router (routing.py)."""
DYNAMIC_FOLDER = "/etc/traefik/dynamic"


class TraefikTuning(TypedDict):
    """What is left out is as in `BUSY_EDGE`; seconds, at most 86400."""

    idle_timeout: NotRequired[int]
    """How long a client's idle connection stays. Default: 180."""
    read_timeout: NotRequired[int]
    """For a whole request with its body; 0 is without end. Default: 60."""
    shutdown_timeout: NotRequired[int]
    """How long requests may take to finish when a pod has to go, at least 1. Default: 30."""


BUSY_EDGE: TraefikTuning = {"idle_timeout": 180, "read_timeout": 60, "shutdown_timeout": 30}


class Providers(TypedDict):
    """Which objects Traefik reads besides Ingresses of `ingress_class`.

    `custom_resources` are IngressRoute, Middleware …; `gateway` the Gateway API; `nginx_class` is
    the class of Ingresses with annotations of the retired kubernetes/ingress-nginx. Objects are
    told `status_address`. `namespace` is Traefik's own.
    """

    namespace: str
    ingress_class: str
    custom_resources: bool
    gateway: bool
    nginx_class: str | None
    status_address: str | None


def seconds(tuning: TraefikTuning | None, name: str) -> int:
    """One of the timeouts. Raises IngressMistake."""
    low = {"shutdown_timeout": 1}.get(name, 0)
    value = {**BUSY_EDGE, **(tuning or {})}.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= 86_400:
        raise IngressMistake(f"{name}: {value!r}: must be a whole number from {low} to 86400")
    return value


def static_config(
    trusted_proxies: Sequence[str],
    providers: Providers,
    *,
    tuning: TraefikTuning | None = None,
    metrics: bool = True,
    host_ports: bool = True,
) -> dict[str, Any]:
    """Traefik's own file. No API, no dashboard, nothing told to its vendor. Raises IngressMistake.

    `trusted_proxies` are those whose X-Forwarded-* is kept. `host_ports`: on the node's network.
    """
    if not trusted_proxies:
        raise IngressMistake(
            "trusted_proxies is empty: every visitor would carry Cloudflare's address"
        )
    http, https = PORTS
    shared = _entry_point(trusted_proxies, tuning)
    middlewares = {"middlewares": [EDGE], "aliasHeadersStrategy": "delete"}
    points: dict[str, Any] = {
        WEB: {"address": f":{http}", **shared, "http": middlewares},
        SECURE: {"address": f":{https}", **shared, "http": {**middlewares, "tls": {}}},
        # For the kubelet alone, which is on the same network as a pod with host ports.
        READY: {"address": f"{LOCAL if host_ports else ''}:{READINESS_PORT}"},
    }
    found: dict[str, Any] = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO", "format": "json"},
        "accessLog": access_log(),
        # Answered where routing.py says.
        "ping": {"manualRouting": True},
        "entryPoints": points,
        "providers": _providers(providers),
    }
    if metrics:
        points[METRICS] = {"address": f":{METRICS_PORT}"}
        found["metrics"] = {"prometheus": {"entryPoint": METRICS, "addRoutersLabels": True}}
    return found


def access_log() -> dict[str, Any]:
    """A line of JSON a request. Its fields have Traefik's names, and can't have others."""
    kept = (
        "StartUTC",
        "ClientHost",
        "ClientAddr",
        "RequestHost",
        "RequestMethod",
        "RequestPath",
        "RequestScheme",
        "DownstreamStatus",
        "DownstreamContentSize",
        "Duration",
        "ServiceAddr",
        "OriginStatus",
        "OriginDuration",
        "RouterName",
        "TLSClientSubject",
    )
    headers = (VISITOR_HEADER, "CF-Ray", "User-Agent")
    return {
        "format": "json",
        "fields": {
            "defaultMode": "drop",
            "names": dict.fromkeys(kept, "keep"),
            "headers": {"defaultMode": "drop", "names": dict.fromkeys(headers, "keep")},
        },
    }


def _entry_point(trusted_proxies: Sequence[str], tuning: TraefikTuning | None) -> dict[str, Any]:
    return {
        "asDefault": True,
        "forwardedHeaders": {"trustedIPs": list(trusted_proxies)},
        "transport": {
            "lifeCycle": {
                "requestAcceptGraceTimeout": f"{DRAIN_SECONDS}s",
                "graceTimeOut": f"{seconds(tuning, 'shutdown_timeout')}s",
            },
            "respondingTimeouts": {
                "readTimeout": f"{seconds(tuning, 'read_timeout')}s",
                "idleTimeout": f"{seconds(tuning, 'idle_timeout')}s",
            },
        },
    }


def _providers(said: Providers) -> dict[str, Any]:
    told = said["status_address"]
    # Who may write an Ingress may not name what belongs to us or to another namespace.
    own = {} if said["custom_resources"] else {"crossProviderNamespaces": [said["namespace"]]}
    found: dict[str, Any] = {
        "precedence": list(precedence(said)),
        "file": {"directory": DYNAMIC_FOLDER, "watch": True},
        "kubernetesIngress": {
            "ingressClass": said["ingress_class"],
            **({"ingressEndpoint": {"hostname": told}} if told else {}),
            **own,
        },
    }
    if said["custom_resources"]:
        found["kubernetesCRD"] = {"allowCrossNamespace": False}
    if said["gateway"]:
        found["kubernetesGateway"] = {
            **({"statusAddress": {"hostname": told}} if told else {}),
            **own,
        }
    if said["nginx_class"]:
        found["kubernetesIngressNGINX"] = {
            "ingressClass": said["nginx_class"],
            "ingressClassByName": True,
            "controllerClass": "k8s.io/ingress-nginx",
            "httpEntryPoint": WEB,
            "httpsEntryPoint": SECURE,
            # The visitor is the last that Cloudflare has added to X-Forwarded-For.
            "ipAllowListStrategy": {"depth": 1},
            **({"publishStatusAddress": [told]} if told else {}),
        }
    return found


def precedence(said: Providers) -> tuple[str, ...]:
    """Whose router is taken where two of one priority fit. Ours: nobody outbids the refusals."""
    return (
        "file",
        *(["kubernetesgateway"] if said["gateway"] else []),
        *(["kubernetescrd"] if said["custom_resources"] else []),
        "kubernetes",
        *(["kubernetesingressnginx"] if said["nginx_class"] else []),
    )
