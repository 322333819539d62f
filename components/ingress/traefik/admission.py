"""What an object of somebody's may not say, refused by the API server: it would go round our edge.

Traefik lets a host have TLS options of its own in place of ours, which ask for the edge's client
certificate; and two sets of options named `default` make neither hold, for any host.
"""

from collections.abc import Iterator
from typing import Any

from ..admission import admission_policy
from ..trust import EdgeTrust
from .pod import APP, LABELS

NAME = f"{APP}-origin-trust"
_ANNOTATIONS = (
    "traefik.ingress.kubernetes.io/router.tls.options",
    "nginx.ingress.kubernetes.io/auth-tls-secret",
)


def origin_trust_policy(trust: EdgeTrust, custom_resources: bool) -> list[dict[str, Any]]:
    """A policy and its binding; none where there is nothing to lose."""
    rules = [*_rules(trust, custom_resources)]
    if not rules:
        return []
    return admission_policy(
        NAME,
        LABELS,
        [(group, "*", resources) for group, resources, _, _, _ in rules],
        [
            (f"!(object.kind in {list(kinds)}) || {allowed}", message)
            for _, _, kinds, allowed, message in rules
        ],
    )


_Rule = tuple[str, list[str], tuple[str, ...], str, str]
"""API group, resources, their kinds, when one is allowed, and what is said otherwise."""


def _rules(trust: EdgeTrust, custom_resources: bool) -> Iterator[_Rule]:
    required = "edgefleet:originPulls is require, and the host would ask for no certificate of it"
    if trust.pulls == "require":
        yield (
            "networking.k8s.io",
            ["ingresses"],
            ("Ingress",),
            "!has(object.metadata.annotations) || "
            f"object.metadata.annotations.all(key, !(key in {list(_ANNOTATIONS)}))",
            f"TLS options of its own ({', '.join(_ANNOTATIONS)}): {required}",
        )
    if custom_resources:
        yield (
            "traefik.io",
            ["tlsoptions", "tlsstores"],
            ("TLSOption", "TLSStore"),
            "object.metadata.name != 'default'",
            "the name default is edgefleet's own in Traefik: with a second one no host is served "
            "over TLS. Take another name",
        )
    if custom_resources and trust.pulls == "require":
        yield (
            "traefik.io",
            ["ingressroutes"],
            ("IngressRoute",),
            "!has(object.spec.tls) || !has(object.spec.tls.options)",
            f"tls.options of its own: {required}",
        )
    if custom_resources and trust.asks:
        yield (
            "traefik.io",
            ["ingressroutetcps"],
            ("IngressRouteTCP",),
            "false",
            "it would take connections before anybody asks whether they come from our own edge "
            "(edgefleet:originPulls, originHeader)",
        )
