"""Traefik's dynamic configuration: what stands before every router of whoever writes Ingresses.

Traefik has no words for "believe CF-Connecting-IP" or "ask for this header". What it has is rules:
a router of the highest priority takes the requests that are to be refused, and the providers' order
lets no other router before it (options.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..contract import HEALTH_PATH, REGION_HEADER, VISITOR_HEADER
from ..mistake import IngressMistake
from ..trust import SECRET_HEADER, EdgeTrust
from .options import READY, SECURE, WEB

FIRST = 2**63 - 1 - 1000
"""The highest priority that a router may have (maxUserPriority in traefik's pkg/server/router)."""
READY_PATH = "/ready"
CERTIFICATE_FILES = ("tls.crt", "tls.key")
_BOTH = [WEB, SECURE]
_ANY = "PathPrefix(`/`)"
_CLIENT_AUTH = {"observe": "RequestClientCert", "require": "RequireAndVerifyClientCert"}


def edge_config(
    trusted_proxies: Sequence[str],
    trust: EdgeTrust,
    *,
    region: str | None = None,
    response_headers: Mapping[str, str] | None = None,
    certificate: str | None = None,
) -> dict[str, Any]:
    """What holds for every host; nothing in it is secret.

    `certificate` is the folder with `CERTIFICATE_FILES`, the default certificate. Answers name
    `region`, and carry `response_headers`.

    Raises IngressMistake.
    """
    if trust.header == "observe":
        raise IngressMistake(
            "trust.header: 'observe': Traefik can't log whether the header came. Say 'off', or "
            "'require' once the edge sends it"
        )
    named = {REGION_HEADER: region} if region else {}
    headers = {
        "customResponseHeaders": {**(response_headers or {}), **named},
        # What proves the edge to the ingress is none of the application's business.
        "customRequestHeaders": {SECRET_HEADER: ""},
    }
    tls: dict[str, Any] = {"options": {"default": _tls_options(trust)}}
    if certificate:
        crt, key = (f"{certificate}/{name}" for name in CERTIFICATE_FILES)
        tls["stores"] = {"default": {"defaultCertificate": {"certFile": crt, "keyFile": key}}}
    return {
        "http": {
            "routers": _routers(trusted_proxies),
            "middlewares": {
                "edge": {"headers": headers},
                "https": {"redirectScheme": {"scheme": "https", "permanent": True}},
                "refuse": _refusal(403),
                "nothing-here": _refusal(404),
            },
            # Whoever is sent there was answered by a middleware before.
            "services": {"nowhere": {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:9"}]}}},
        },
        "tls": tls,
    }


def secret_config(secrets: Sequence[str]) -> dict[str, Any]:
    """Who doesn't know one of the `secrets` is refused: two while one replaces the other."""
    known = " || ".join(f"Header(`{SECRET_HEADER}`, `{secret}`)" for secret in secrets)
    return {"http": {"routers": {"stranger": _refused(f"!({known})")}}}


def _routers(trusted_proxies: Sequence[str]) -> dict[str, Any]:
    from_proxy = " || ".join(f"ClientIP(`{network}`)" for network in trusted_proxies)
    ping = {"service": "ping@internal"}
    return {
        "ready": {"entryPoints": [READY], "rule": f"Path(`{READY_PATH}`)", **ping},
        # Nobody takes it away by who sends it, so that a request with a forged one goes nowhere.
        "forged": _refused(f"HeaderRegexp(`{VISITOR_HEADER}`, `.`) && !({from_proxy})"),
        "health": {
            "entryPoints": _BOTH,
            "rule": f"Path(`{HEALTH_PATH}`)",
            "priority": FIRST - 1,
            **ping,
        },
        "https": {
            "entryPoints": [WEB],
            "rule": _ANY,
            "priority": FIRST - 2,
            "middlewares": ["https"],
            "service": "nowhere",
        },
        # With the region's name, which Traefik's own 404 wouldn't have.
        "nothing-here": {
            "entryPoints": _BOTH,
            "rule": _ANY,
            "priority": 1,
            "middlewares": ["nothing-here"],
            "service": "nowhere",
        },
    }


def _refused(rule: str) -> dict[str, Any]:
    return {
        "entryPoints": _BOTH,
        "rule": rule,
        "priority": FIRST,
        "middlewares": ["refuse"],
        "service": "nowhere",
    }


def _refusal(status: int) -> dict[str, Any]:
    """A middleware that answers everybody so: nobody comes from this address."""
    return {"ipAllowList": {"sourceRange": ["255.255.255.255/32"], "rejectStatusCode": status}}


def _tls_options(trust: EdgeTrust) -> dict[str, Any]:
    options: dict[str, Any] = {"minVersion": "VersionTLS12"}
    if trust.pulls != "off":
        asked = {"caFiles": [trust.ca], "clientAuthType": _CLIENT_AUTH[trust.pulls]}
        options["clientAuth"] = asked
    return options
