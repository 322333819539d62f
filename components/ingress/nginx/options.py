"""How the ingress controller is tuned: options in, its ConfigMap and its flags out.

Sources: docs/facts/calico-ingress.md §3; nginx/kubernetes-ingress, as `keys.py` says.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from ..contract import HEALTH_PATH, REGION_HEADER, VISITOR_HEADER
from ..mistake import IngressMistake
from ..trust import EdgeTrust
from .keys import merged
from .trust import config as trust_config
from .trust import log_fields

INGRESS_CLASS = "nginx"
READINESS_PORT = 8081
METRICS_PORT = 9113

HEALTH_SNIPPET = "\n".join(
    [
        f"location = {HEALTH_PATH} {{",
        "    access_log off;",
        "    default_type text/plain;",
        '    return 200 "healthy\\n";',
        "}",
    ]
)
"""For the key server-snippets, part of the server of every Ingress: the controller answers the path
by itself in the default server only."""

ACCESS_LOG = "\n".join(
    [
        '{"time":"$time_iso8601","client":"$remote_addr","peer":"$realip_remote_addr",',
        '"host":"$host","method":"$request_method","uri":"$request_uri","status":$status,',
        '"bytes":$body_bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr",',
        '"upstream_status":"$upstream_status","upstream_seconds":"$upstream_response_time",',
        '"ray":"$http_cf_ray","agent":"$http_user_agent"}',
    ]
)
"""A line a request, JSON: `client` is the visitor, `peer` the Cloudflare address that connected."""


def access_log(trust: EdgeTrust) -> str:
    """`ACCESS_LOG`, and what `trust` has to say about who came."""
    fields = [f'"{name}":"{variable}"' for name, variable in log_fields(trust).items()]
    return ",\n".join([ACCESS_LOG.removesuffix("}"), *fields]) + "}"


class NginxTuning(TypedDict):
    """What is left out is as a busy edge needs it."""

    worker_processes: NotRequired[int]
    """How many, 1 to 512. Default: one a core."""
    worker_connections: NotRequired[int]
    """At once in each worker, 1 to 1000000. Default: 10240."""
    keepalive_timeout: NotRequired[int]
    """Seconds that a client's idle connection stays, 0 to 86400. Default: 65."""
    upstream_keepalive: NotRequired[int]
    """Idle connections to each upstream in each worker, 0 to 100000. Default: 100."""
    shutdown_timeout: NotRequired[int]
    """Seconds that a worker that has to go may finish its requests in, 1 to 3600. Default: 30."""
    server_tokens: NotRequired[bool]
    """Whether nginx tells its version. Default: false."""


BUSY_EDGE: NginxTuning = {
    "worker_connections": 10240,
    "keepalive_timeout": 65,
    "upstream_keepalive": 100,
    "shutdown_timeout": 30,
    "server_tokens": False,
}


def nginx_config(
    trusted_proxies: Sequence[str],
    tuning: NginxTuning | None = None,
    config: Mapping[str, str] | None = None,
    region: str | None = None,
    trust: EdgeTrust | None = None,
    status_address: str | None = None,
) -> dict[str, str]:
    """The controller's ConfigMap: who the visitor is, and the limits of a busy edge.

    `config` are keys of the user's. Answers say that they are `region`'s. Ingress objects are told
    `status_address`. Raises IngressMistake.
    """
    tuning = {**BUSY_EDGE, **(tuning or {})}
    connections = _number(tuning, "worker_connections", 1, 1_000_000)
    ours = {
        "default-server-access-log-off": "False",
        "keepalive": str(_number(tuning, "upstream_keepalive", 0, 100_000)),
        "keepalive-timeout": f"{_number(tuning, 'keepalive_timeout', 0, 86_400)}s",
        "log-format": access_log(trust or EdgeTrust()),
        "log-format-escaping": "json",
        "real-ip-header": VISITOR_HEADER,
        "server-snippets": HEALTH_SNIPPET,
        "server-tokens": str(tuning.get("server_tokens")),
        "set-real-ip-from": ",".join(trusted_proxies),
        "worker-connections": str(connections),
        "worker-processes": _processes(tuning),
        # A connection of a client and one to its upstream are two files; some are nginx's own.
        "worker-rlimit-nofile": str(2 * connections + 1024),
        "worker-shutdown-timeout": f"{shutdown_timeout(tuning)}s",
    }
    if region:
        # nginx takes it over where a server adds no header of its own. Where one does, the edge's
        # Worker makes up for it, by a copy of the answer.
        ours["http-snippets"] = f"add_header {REGION_HEADER} {region} always;"
    if status_address:
        ours["external-status-address"] = status_address
    if not trusted_proxies:
        raise IngressMistake(
            "trusted_proxies is empty: every visitor would carry Cloudflare's address"
        )
    for keys, whose in ((trust_config(trust or EdgeTrust()), "trust"), (config or {}, "config")):
        if "log-format" in keys:
            # It belongs to our JSON, and this is somebody else's format.
            ours.pop("log-format-escaping", None)
        ours = merged(ours, keys, whose)
    return ours


def shutdown_timeout(tuning: NginxTuning) -> int:
    """Seconds that a worker may take to finish."""
    return _number({**BUSY_EDGE, **tuning}, "shutdown_timeout", 1, 3600)


def _processes(tuning: NginxTuning) -> str:
    if "worker_processes" not in tuning:
        return "auto"
    return str(_number(tuning, "worker_processes", 1, 512))


def _number(tuning: NginxTuning, name: str, low: int, high: int) -> int:
    value = tuning.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise IngressMistake(f"{name}: {value!r}: must be a whole number from {low} to {high}")
    return value


def flags(
    config_map: str,
    *,
    ingress_class: str = INGRESS_CLASS,
    custom_resources: bool = False,
    metrics: bool = True,
    ipv6: bool = True,
    report_status: bool = False,
) -> list[str]:
    """The controller's arguments, but for the default certificate.

    Telemetry to the vendor is off, and so is nginx's status port, which the metrics don't need:
    the controller reads nginx's counters by a socket.
    """
    return [
        f"-nginx-configmaps=$(POD_NAMESPACE)/{config_map}",
        f"-ingress-class={ingress_class}",
        f"-enable-custom-resources={str(custom_resources).lower()}",
        # One of the nodes' controllers writes the Ingresses' status.
        *(
            ["-enable-leader-election=true", "-report-ingress-status"]
            if report_status
            else ["-enable-leader-election=false"]
        ),
        "-enable-snippets=false",
        "-enable-telemetry-reporting=false",
        "-health-status",
        f"-health-status-uri={HEALTH_PATH}",
        "-nginx-status=false",
        f"-ready-status-port={READINESS_PORT}",
        *(
            [
                "-enable-prometheus-metrics",
                f"-prometheus-metrics-listen-port={METRICS_PORT}",
                "-enable-latency-metrics",
            ]
            if metrics
            else []
        ),
        *([] if ipv6 else ["-disable-ipv6"]),
    ]


def full_secret_name(name: str, namespace: str) -> str:
    """NAMESPACE/NAME of a secret, which is what the controller takes. Raises IngressMistake."""
    label = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
    if not re.fullmatch(f"({label}/)?{label}", name):
        raise IngressMistake(f"default_tls_secret: {name!r}: must be NAME or NAMESPACE/NAME")
    return name if "/" in name else f"{namespace}/{name}"
