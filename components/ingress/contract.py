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

from .trust import TrustArgs

PORTS = (80, 443)
HEALTH_PATH = "/nginx-health"
"""The same for every ingress: several clusters of one region may answer the Worker's probe."""
REGION_HEADER = "x-edge-region"
"""In every answer, the region it is from; components/edge/worker/forwarding.js."""
VISITOR_HEADER = "CF-Connecting-IP"


class Certificate(TypedDict):
    """A certificate and its key."""

    certificate: pulumi.Input[str]
    """PEM, with its chain. Changes in place."""
    key: pulumi.Input[str]
    """PEM; kept as a secret. Changes in place."""


class LoadBalancerService(TypedDict):
    """A Service of type LoadBalancer in front of the ingress, in place of the nodes' own ports."""

    addresses: Sequence[str]
    """IP addresses that it asks for, one of each family at most."""
    annotations: Mapping[str, str]
    """Tell whoever announces them."""
    sources: Sequence[str]
    """Networks that are let in, CIDRs of either family."""
    ports: NotRequired[Sequence[int]]
    """Of 80 and 443. Default: both."""
    load_balancer_class: NotRequired[str | None]
    """Names the one of several that shall announce it. Default: the cluster's own."""


class IngressArgs(TypedDict):
    """What every ingress is given. Changes roll the pods, node after node."""

    image: str
    """name:tag, better with digest; never latest."""
    trusted_proxies: Sequence[str]
    """Networks whose word about the visitor's address is believed, CIDRs of either family."""
    region: NotRequired[str | None]
    """Named by every answer (x-edge-region). Default: no header."""
    default_certificate: NotRequired[Certificate | None]
    """For hosts that bring none of their own. Default: one that nobody trusts."""
    default_tls_secret: NotRequired[pulumi.Input[str] | None]
    """In its place: a secret of somebody else's with it, NAMESPACE/NAME, or a NAME in the ingress's
    namespace."""
    status_address: NotRequired[str | None]
    """What objects that ask for the ingress are told to be reached by: a host name or an address.
    Default: they are told nothing."""
    not_on: NotRequired[Mapping[str, Sequence[str]]]
    """Values by a node's label: nodes with one of them serve nobody. Default: every node serves."""
    service: NotRequired[LoadBalancerService | None]
    """With it the pods have a network of their own, and neither host network nor host ports.
    Default: ports 80 and 443 of every node."""
    trust: NotRequired[TrustArgs]
    """How our own edge is known. Default: nothing is asked for."""
    origin_secrets: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]] | None]
    """Values of the secret header that are taken, one or two, a secret; needed unless
    `trust.header` is off."""
