"""Keys of the controller's ConfigMap and its flags: what the pinned version knows.

Read in nginx/kubernetes-ingress (the 5.x line): keys in internal/configs/configmaps.go
(ParseConfigMap and what it calls, commit 003d5228), flags in cmd/nginx-ingress/flags.go (commit
60756821). The controller logs an unknown key of its ConfigMap nowhere: it has no effect, silently.
docs/ingress.md tells what each key and flag that is rendered here does, and where that was read.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from ..mistake import IngressMistake


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERSION = "5.6"
"""The release whose keys these are."""

KEYS = _words(
    """
    access-log access-log-off client-body-buffer-size client-max-body-size
    default-server-access-log-off default-server-return error-log-level external-status-address
    fail-timeout hsts hsts-behind-proxy hsts-include-subdomains hsts-max-age http-redirect-code
    http-snippets http2 ingress-template keepalive keepalive-requests keepalive-timeout lb-method
    location-snippets log-format log-format-escaping main-snippets main-template
    map-hash-bucket-size map-hash-max-size max-fails otel-exporter-endpoint
    otel-exporter-header-name otel-exporter-header-value otel-service-name otel-trace-in-http
    proxy-buffer-size proxy-buffering proxy-buffers proxy-busy-buffers-size proxy-connect-timeout
    proxy-hide-headers proxy-max-temp-file-size proxy-next-upstream proxy-next-upstream-timeout
    proxy-next-upstream-tries proxy-pass-headers proxy-protocol proxy-read-timeout
    proxy-send-timeout real-ip-header real-ip-recursive redirect-to-https
    server-names-hash-bucket-size server-names-hash-max-size server-snippets server-tokens
    set-real-ip-from ssl-ciphers ssl-dhparam-file ssl-prefer-server-ciphers ssl-protocols
    ssl-redirect stream-log-format stream-log-format-escaping stream-snippets
    transportserver-template upstream-zone-size variables-hash-bucket-size variables-hash-max-size
    virtualserver-template worker-connections worker-cpu-affinity worker-processes
    worker-rlimit-nofile worker-shutdown-timeout
    """
)

PLUS_KEYS = _words(
    """
    app-protect-compressed-requests-action app-protect-cookie-seed app-protect-cpu-thresholds
    app-protect-dos-arb-fqdn app-protect-dos-log-format app-protect-dos-log-format-escaping
    app-protect-failure-mode-action app-protect-physical-memory-util-thresholds
    app-protect-reconnect-period-seconds oidc-access-tokens-timeout oidc-access-tokens-zone-size
    oidc-id-tokens-timeout oidc-id-tokens-zone-size oidc-pkce-timeout oidc-pkce-zone-size
    oidc-refresh-tokens-timeout oidc-refresh-tokens-zone-size oidc-sids-timeout
    oidc-sids-zone-size resolver-addresses resolver-ipv6 resolver-timeout resolver-valid zone-sync
    zone-sync-port zone-sync-resolver-addresses zone-sync-resolver-ipv6 zone-sync-resolver-valid
    """
)
"""Known, but with NGINX Plus only; the free controller ignores them."""

FLAGS = _words(
    """
    default-server-tls-secret disable-ipv6 enable-custom-resources enable-latency-metrics
    enable-leader-election enable-prometheus-metrics enable-snippets enable-telemetry-reporting
    health-status health-status-uri ingress-class nginx-configmaps nginx-status
    prometheus-metrics-listen-port ready-status ready-status-port report-ingress-status
    wildcard-tls-secret
    """
)
"""Flags that this library may render."""

SNIPPETS = frozenset(
    ["http-snippets", "location-snippets", "main-snippets", "server-snippets", "stream-snippets"]
)
"""Keys whose lines are gathered from everybody who sets them."""


OPTIONS = {
    "keepalive": "upstream_keepalive",
    "keepalive-timeout": "keepalive_timeout",
    "real-ip-header": "trusted_proxies",
    "server-tokens": "server_tokens",
    "set-real-ip-from": "trusted_proxies",
    "worker-connections": "worker_connections",
    "worker-processes": "worker_processes",
    "worker-shutdown-timeout": "shutdown_timeout",
}
"""Keys that follow from an option of their own."""


def merged(ours: Mapping[str, str], theirs: Mapping[str, str], whose: str) -> dict[str, str]:
    """`ours` with further keys: lines of snippets are added, other keys replace ours.

    `whose` names where `theirs` came from, for the message. Raises IngressMistake for what the
    controller doesn't know, and for what an option of its own says.
    """
    result = dict(ours)
    for key, value in theirs.items():
        if key in PLUS_KEYS:
            raise IngressMistake(
                f"{whose}: {key}: needs NGINX Plus, and the controller here is the free one"
            )
        if key not in KEYS:
            meant = get_close_matches(key, KEYS, n=1)
            raise IngressMistake(
                f"{whose}: {key}: is no key of the controller's ConfigMap in {VERSION}"
                f"{f'; did you mean {meant[0]}?' if meant else ''}"
            )
        if key in OPTIONS:
            raise IngressMistake(f"{whose}: {key}: {value!r}: say it by the option {OPTIONS[key]}")
        result[key] = f"{result[key]}\n{value}" if key in SNIPPETS and key in result else value
    return result
