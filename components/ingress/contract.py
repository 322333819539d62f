"""What the edge, its WAF rule, the firewalls and the records need of any ingress, and what it gets.

An ingress listens on `PORTS`: of every node in the region's DNS, or, with `service`, of its pods
behind a Service, whose addresses the DNS has then (service.py). For any host name it answers
`HEALTH_PATH` with 200 while it works, and names its region in `REGION_HEADER`. A visitor's address
is what `VISITOR_HEADER` says where the connection comes from `trusted_proxies`, else the
connection's own. Whether a request came through our own edge it decides by `trust`.

`nginx/` is one. Another is another folder here: it takes `IngressArgs` and what is its own.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from .trust import EdgeTrust

PORTS = (80, 443)
HEALTH_PATH = "/nginx-health"
"""The same for every ingress: several clusters of one region may answer the Worker's probe."""
REGION_HEADER = "x-edge-region"
"""In every answer, the region it is from; components/edge/worker/forwarding.js."""
VISITOR_HEADER = "CF-Connecting-IP"


class Certificate(TypedDict):
    """A certificate and its key, both PEM; the key is kept as a secret."""

    certificate: pulumi.Input[str]
    key: pulumi.Input[str]


class LoadBalancerService(TypedDict):
    """A Service of type LoadBalancer in front of the ingress, in place of the nodes' own ports.

    It asks for `addresses`, one of each family at most; `annotations` tell whoever announces them.
    `sources` are the networks that are let in, CIDRs of either family. It opens `ports` of
    `PORTS`. `load_balancer_class` names the one of several that shall announce it.
    """

    addresses: Sequence[str]
    annotations: Mapping[str, str]
    sources: Sequence[str]
    ports: NotRequired[Sequence[int]]
    load_balancer_class: NotRequired[str | None]


class IngressArgs(TypedDict):
    """What every ingress is given.

    `image` is pinned (name:tag, better with digest). `trusted_proxies` are the networks whose
    `VISITOR_HEADER` is believed. Answers name `region`.

    `default_certificate` is for hosts that bring none of their own; or `default_tls_secret` names a
    secret of somebody else's with it: NAMESPACE/NAME, or a NAME in the ingress's namespace.

    `status_address` is what objects that ask for the ingress are told to be reached by: a host name
    or an address. Nodes whose label has one of the values in `not_on` serve nobody.

    With `service` the pods have a network of their own, and neither host network nor host ports.

    `trust` says how our own edge is known; `origin_secrets` are the values of its header that are
    taken, required where it asks for the header.
    """

    image: str
    trusted_proxies: Sequence[str]
    region: NotRequired[str | None]
    default_certificate: NotRequired[Certificate | None]
    default_tls_secret: NotRequired[pulumi.Input[str] | None]
    status_address: NotRequired[str | None]
    not_on: NotRequired[Mapping[str, Sequence[str]]]
    service: NotRequired[LoadBalancerService | None]
    trust: NotRequired[EdgeTrust]
    origin_secrets: NotRequired[pulumi.Input[Sequence[str]] | None]
