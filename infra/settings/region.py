"""What a stack file may say, as types; every default of the fleet stands here.

The models are strict: a key that isn't known, a string where a number belongs or a value out of
range is refused; `mistakes.py` says so in words.
"""

from ipaddress import IPv4Network, ip_network
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from components.dataplane.calico_options import CalicoMistake, CalicoOptions, refuse
from infra.settings.dataplane import Calico, Ingress, NetworkPolicy
from infra.settings.edge import Routing
from infra.settings.section import Strict as _Strict
from infra.settings.section import matching as _matching

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


SECRETS = ("originPullsKey", "originSecret", "statusToken")
"""Keys that hold secrets: `originPullsKey` is the key of the CA whose certificate `fleet ca init`
writes, `originSecret` the value of the Worker's header, `statusToken` opens the Worker's status
page. Read with Pulumi's decryption only."""


def _cidr(value: object) -> str:
    try:
        return str(IPv4Network(value))  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError) as error:
        raise ValueError(f"must be an IPv4 network like 10.20.0.0/20 ({error})") from None


def _network(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a network like 198.51.100.0/24 or 2001:db8::/48")
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be a network like 198.51.100.0/24 ({error})") from None


def _somebody(network: str) -> str:
    if ip_network(network).prefixlen == 0:
        raise ValueError("opens SSH to everybody: name the networks that administrators come from")
    return network


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
Cidr = Annotated[str, BeforeValidator(_cidr)]
Network = Annotated[str, BeforeValidator(_network)]
Step = Literal["off", "observe", "require"]


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
    labels: dict[str, str] = Field(default={})

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
    replace: list[ReplacingField] = Field(default=[])

    @model_validator(mode="after")
    def _pool_labels_differ(self) -> "Cluster":
        labels = [pool.label for pool in self.pools]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two pools are called {', '.join(twice)}: labels must differ")
        return self


class Firewall(_Strict):
    """Who reaches a node: one table for Vultr's firewall and the node's own.

    `source`: "cloudflare" lets Vultr keep Cloudflare's ranges up to date, "explicit" spells out the
    pinned ones, with which a group is full at two ports: name 443 alone in `web_ports`. SSH is
    closed but for `admin_cidrs`. `node` is what happens to the node's own ufw: kept in step, only
    compared, put back as it was found, or left alone. `host_protection` says who enforces the table
    on the node: its ufw, Calico, or both; with `node` off nobody does. `node_networks` are the
    nodes' private networks: the VPC's, where the stack names one, else the range that Vultr takes
    VPCs from. `pod_networks` is the cluster's subnet.
    """

    source: Literal["cloudflare", "explicit"] = "cloudflare"
    web_ports: list[Literal[80, 443]] = Field(default=[80, 443], min_length=1)
    admin_cidrs: list[Annotated[Network, AfterValidator(_somebody)]] = Field(default=[])
    ssh_port: int = Field(default=22, ge=1, le=65535)
    node: Literal["enforce", "observe", "remove", "off"] = "enforce"
    host_protection: Literal["ufw", "calico", "both"] = "ufw"
    node_networks: list[Network] | None = Field(default=None, min_length=1)
    pod_networks: list[Network] = Field(default=["10.244.0.0/16"], min_length=1)

    @property
    def by_calico(self) -> bool:
        """Whether Calico enforces the table on the nodes."""
        return self.node != "off" and self.host_protection != "ufw"

    @property
    def ufw_mode(self) -> Literal["enforce", "observe", "remove"] | None:
        """What happens to the nodes' ufw, if anything does."""
        if self.node == "off" or (self.host_protection == "calico" and self.node == "enforce"):
            return None
        return self.node

    @model_validator(mode="after")
    def _host_protection_goes_with_node(self) -> "Firewall":
        if self.by_calico and self.node == "observe":
            raise ValueError(
                f"hostProtection {self.host_protection} with node observe: Calico's policies for "
                "nodes can't be watched without being enforced. Say node: enforce, or observe "
                "with hostProtection ufw"
            )
        if self.host_protection == "both" and self.node == "remove":
            raise ValueError(
                "hostProtection both with node remove: the one keeps ufw's rules, the other takes "
                "them out. Say hostProtection: calico to leave ufw behind"
            )
        return self


class Tls(_Strict):
    """The ingress's default certificate: of Cloudflare's Origin CA, unless `secret` names one.

    `secret` is a `kubernetes.io/tls` secret as NAMESPACE/NAME, or a NAME in the ingress's
    namespace, that somebody else keeps: cert-manager, or a person.
    """

    secret: (
        Annotated[
            str, _matching(rf"({LABEL}/)?{LABEL}(\.{LABEL})*", "must be NAME or NAMESPACE/NAME")
        ]
        | None
    ) = None
    validity_days: Literal[7, 30, 90, 365, 730, 1095, 5475] = 1095


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
    firewall: Firewall = Firewall()
    tls: Tls = Tls()
    network_policy: NetworkPolicy = NetworkPolicy()
    routing: Routing | None = None
    drain: bool = False

    def calico_options(self) -> CalicoOptions:
        """The dataplane as the component takes it; Calico's host protection needs IPv6 policed."""
        return {**self.calico.options(), "ipv6": self.firewall.by_calico}

    @model_validator(mode="after")
    def _calico_can_protect(self) -> "RegionStack":
        try:
            refuse(self.calico_options())
        except CalicoMistake as mistake:
            raise ValueError(
                f"firewall.hostProtection: {self.firewall.host_protection!r}: {mistake}"
            ) from None
        return self

    @model_validator(mode="after")
    def _nothing_goes_round_ufw(self) -> "RegionStack":
        by_ufw_alone = self.firewall.ufw_mode == "enforce" and not self.firewall.by_calico
        by_iptables = self.calico.dataplane == "iptables"
        if by_ufw_alone and by_iptables and self.network_policy.by_host_endpoints:
            raise ValueError(
                "networkPolicy.variant: 'calico' with calico.dataplane iptables and "
                "firewall.hostProtection ufw: the host endpoints that it needs allow everything, "
                "and Calico accepts it before ufw is asked. Say hostProtection: both, or variant: "
                "kubernetes"
            )
        return self


class FleetValues(_Strict):
    """What every stack shares. It stands in Pulumi.yaml; a stack file may say otherwise.

    `origin_pulls` is Authenticated Origin Pulls: on the edge stack whether Cloudflare shows a
    client certificate, on a region stack what the ingress makes of it. `origin_header` is the
    Worker's secret header.
    """

    domain: Hostname
    hosts: list[Hostname] = Field(min_length=1)
    zone_id: CloudflareId
    account_id: CloudflareId
    stacks: list[str] = Field(default=[])
    origin_pulls: Step = "observe"
    origin_header: Step = "off"

    @model_validator(mode="after")
    def _hosts_in_zone(self) -> "FleetValues":
        for host in self.hosts:
            if host != self.domain and not host.endswith(f".{self.domain}"):
                raise ValueError(f"host {host} is not in the zone {self.domain}")
        if twice := sorted({host for host in self.hosts if self.hosts.count(host) > 1}):
            raise ValueError(f"host {', '.join(twice)} is listed twice")
        return self
