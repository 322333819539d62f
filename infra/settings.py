"""What a stack file may say, as types; every default of the fleet stands here.

The models are strict: a key that isn't known, a string where a number belongs or a value out of
range is refused; `sentences.py` says so in words.
"""

import re
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


class _Strict(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
    )


def _matching(pattern: str, what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(what)
        return value

    return AfterValidator(check)


def _cidr(value: object) -> str:
    try:
        return str(IPv4Network(value))  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError) as error:
        raise ValueError(f"must be an IPv4 network like 10.20.0.0/20 ({error})") from None


DnsLabel = Annotated[
    str, _matching(LABEL, "must be a DNS label: lower-case letters, digits and hyphens, at most 63")
]
Hostname = Annotated[
    str,
    _matching(rf"{LABEL}(\.{LABEL})+", "must be a host name in lower case, like www.example.com"),
]
CloudflareId = Annotated[
    str, _matching(r"[0-9a-f]{32}", "must be Cloudflare's id: 32 hexadecimal digits")
]
KubernetesVersion = Annotated[
    str, _matching(r"v\d+\.\d+\.\d+\+\d+", "must be a VKE version like v1.35.5+1")
]
Image = Annotated[
    str,
    _matching(
        r"[a-z0-9./_-]+:[\w][\w.-]*(@sha256:[0-9a-f]{64})?",
        "must be pinned: name:tag, better name:tag@sha256:<64 hex digits>",
    ),
    AfterValidator(lambda image: _not_latest(image)),
]
Cidr = Annotated[str, BeforeValidator(_cidr)]


def _not_latest(image: str) -> str:
    if image.split("@")[0].endswith(":latest"):
        raise ValueError("must be pinned: `latest` is another image tomorrow")
    return image


class Autoscale(_Strict):
    """Bounds between which the vendor's autoscaler moves a pool, in nodes."""

    min: int = Field(ge=1)
    max: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscale":
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) must not be above max ({self.max})")
        return self


class Pool(_Strict):
    """A node pool. `nodes` is its size, or with `autoscale` the size it is made with."""

    label: DnsLabel
    plan: str = Field(min_length=1)
    nodes: int = Field(ge=1)
    autoscale: Autoscale | None = None
    labels: dict[str, str] = {}

    @model_validator(mode="after")
    def _within_bounds(self) -> "Pool":
        if self.autoscale and not self.autoscale.min <= self.nodes <= self.autoscale.max:
            raise ValueError(
                f"nodes ({self.nodes}) must lie within autoscale "
                f"({self.autoscale.min} to {self.autoscale.max})"
            )
        return self


class Vpc(_Strict):
    """A VPC made for the cluster. Without one Vultr makes its own."""

    cidr: Cidr


ReplacingField = Literal["location", "highAvailability"]


class Cluster(_Strict):
    """A VKE cluster.

    `replace` is consent: the names of the fields whose change may delete this cluster and make
    another. `protect` keeps Pulumi from deleting it at all.
    """

    label: DnsLabel | None = None
    location: str = Field(min_length=1)
    version: KubernetesVersion
    pools: list[Pool] = Field(min_length=1)
    vpc: Vpc | None = None
    high_availability: bool = False
    protect: bool = True
    replace: list[ReplacingField] = []

    @model_validator(mode="after")
    def _pool_labels_differ(self) -> "Cluster":
        labels = [pool.label for pool in self.pools]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two pools are called {', '.join(twice)}: labels must differ")
        return self


class Calico(_Strict):
    """The dataplane baseline on VKE's calico-node. Leave it alone and every cluster is the same."""

    external_service_mode: Literal["Tunnel", "DSR"] = "Tunnel"
    force: bool = False


class Ingress(_Strict):
    """F5 NGINX Ingress Controller on every node's :80 and :443."""

    image: Image = "nginx/nginx-ingress:5.6.1"


class Coordinates(_Strict):
    """A place, in degrees; for a location that the catalog doesn't know."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class RegionStack(_Strict):
    """A region stack: one cluster of a logical region."""

    region: DnsLabel
    coordinates: Coordinates | None = None
    cluster: Cluster
    calico: Calico = Calico()
    ingress: Ingress = Ingress()
    drain: bool = False


class Edge(_Strict):
    """The edge stack. `script` is the Worker's name in the account."""

    script: DnsLabel = "edgefleet"


class FleetValues(_Strict):
    """What every stack shares. It stands in Pulumi.yaml; a stack file may say otherwise."""

    domain: Hostname
    hosts: list[Hostname] = Field(min_length=1)
    zone_id: CloudflareId
    account_id: CloudflareId
    stacks: list[str] = []

    @model_validator(mode="after")
    def _hosts_in_zone(self) -> "FleetValues":
        for host in self.hosts:
            if host != self.domain and not host.endswith(f".{self.domain}"):
                raise ValueError(f"host {host} is not in the zone {self.domain}")
        if twice := sorted({host for host in self.hosts if self.hosts.count(host) > 1}):
            raise ValueError(f"host {', '.join(twice)} is listed twice")
        return self
