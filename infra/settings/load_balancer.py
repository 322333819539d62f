"""What a stack file says about the load balancer of a cluster that is there already."""

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from components.cluster.node_objects import public_address
from components.load_balancer import kube_vip
from components.load_balancer.addresses import (
    LoadBalancerMistake,
    address_range,
    refuse_outside,
    refuse_overlaps,
)
from components.load_balancer.kube_vip import BgpPeer, KubeVipOptions
from components.load_balancer.metallb_options import (
    Bfd,
    Bgp,
    MetalLbL2,
    Peer,
    Pool,
    by_name,
    refuse,
)
from infra.settings.section import DnsLabel, Image, Section, in_camel_case

_Labels = dict[str, str]


def _address(value: object) -> str:
    try:
        return str(ip_address(value))  # pyright: ignore[reportArgumentType]
    except ValueError:
        raise ValueError("must be an address like 192.0.2.1 or 2001:db8::1") from None


_Address = Annotated[str, BeforeValidator(_address)]
_Asn = Annotated[int, Field(ge=1, le=4294967295)]


class BfdSettings(Section):
    """Milliseconds between packets, each way, and how many may be missing."""

    transmit: int | None = None
    receive: int | None = None
    multiplier: int | None = None


class PeerSettings(Section):
    """A router. With `password` the session has the one in the stack's secret `bgpPassword`."""

    name: DnsLabel
    address: _Address
    asn: _Asn
    my_asn: _Asn
    port: int = Field(default=179, ge=1, le=16384)
    hold_seconds: int | None = Field(default=None, ge=3, le=65535)
    password: bool = False
    bfd: BfdSettings | None = None
    multi_hop: bool = False
    node_selector: _Labels = Field(default={})

    def options(self) -> Peer:
        """As the component takes it, without the password."""
        said: Peer = {
            "name": self.name,
            "address": self.address,
            "asn": self.asn,
            "my_asn": self.my_asn,
            "port": self.port,
            "multi_hop": self.multi_hop,
            "node_selector": self.node_selector,
        }
        if self.hold_seconds is not None:
            said["hold_seconds"] = self.hold_seconds
        if self.bfd is not None:
            said["bfd"] = Bfd(**self.bfd.model_dump(exclude_none=True))
        return said


class L2Settings(Section):
    """Which nodes answer ARP and NDP, on which interfaces; all of them, without a word."""

    node_selector: _Labels = Field(default={})
    interfaces: list[str] = Field(default=[])


class BgpSettings(Section):
    """Which peers are told, with which communities, by which nodes."""

    peers: list[DnsLabel] = Field(default=[])
    communities: list[str] = Field(default=[])
    node_selector: _Labels = Field(default={})


class PoolSettings(Section):
    """Addresses to give, and how they are announced."""

    name: DnsLabel
    addresses: list[str] = Field(min_length=1)
    auto_assign: bool = False
    l2: L2Settings | None = None
    bgp: BgpSettings | None = None

    def options(self) -> Pool:
        """As the component takes it."""
        l2, bgp = self.l2, self.bgp
        return {
            "name": self.name,
            "addresses": self.addresses,
            "auto_assign": self.auto_assign,
            "l2": None if l2 is None else MetalLbL2(**l2.model_dump(exclude_defaults=True)),
            "bgp": None if bgp is None else Bgp(**bgp.model_dump(exclude_defaults=True)),
        }


class MetalLbSettings(Section):
    """MetalLB's pools and the routers that it tells. `mode` says who speaks BGP."""

    pools: list[PoolSettings] = Field(min_length=1)
    peers: list[PeerSettings] = Field(default=[])
    mode: Literal["frr-k8s", "native"] = "frr-k8s"

    @model_validator(mode="after")
    def _possible(self) -> "MetalLbSettings":
        try:
            refuse(self.pool_options(), [peer.options() for peer in self.peers], self.mode)
        except LoadBalancerMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self

    def pool_options(self) -> list[Pool]:
        """As the component takes them."""
        return [pool.options() for pool in self.pools]


class KubeVipPeer(Section):
    """A router that kube-vip tells."""

    address: _Address
    asn: _Asn
    multi_hop: bool = False


class KubeVipSettings(Section):
    """kube-vip: the control plane's address, for a static pod that `fleet kube-vip` prints, and
    whether it announces those of Services. By BGP with `peers`."""

    interface: str = Field(min_length=1, max_length=15)
    control_plane: _Address | None = None
    services: bool = False
    my_asn: _Asn | None = None
    peers: list[KubeVipPeer] = Field(default=[])
    image: Image = kube_vip.IMAGE

    def options(self, api_port: int) -> KubeVipOptions:
        """As the component takes them."""
        return {
            "interface": self.interface,
            "control_plane": self.control_plane,
            "api_port": api_port,
            "services": self.services,
            "my_asn": self.my_asn,
            "peers": [
                BgpPeer(address=one.address, asn=one.asn, multi_hop=one.multi_hop)
                for one in self.peers
            ],
        }

    @model_validator(mode="after")
    def _possible(self) -> "KubeVipSettings":
        try:
            kube_vip.refuse(self.options(1))
        except LoadBalancerMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self


class IngressAddresses(Section):
    """The addresses of the ingress's Service, which the region's host name gets in place of the
    nodes': public ones."""

    ipv4: str | None = None
    ipv6: str | None = None

    @field_validator("ipv4", "ipv6")
    @classmethod
    def _public(cls, value: str | None, info: ValidationInfo) -> str | None:
        family = int(str(info.field_name)[-1])
        if value is not None and not public_address(value, family):
            raise ValueError(f"must be a public IPv{family} address")
        return value if value is None else public_address(value, family)

    @model_validator(mode="after")
    def _one_at_least(self) -> "IngressAddresses":
        if not self.said:
            raise ValueError("names no address: say ipv4, ipv6 or both")
        return self

    @property
    def said(self) -> list[str]:
        """Those that are named, IPv4 first."""
        return [address for address in (self.ipv4, self.ipv6) if address]


class LoadBalancer(Section):
    """Who announces addresses of Services, and those of the ingress; without `ingress` that one
    stays on the nodes' own ports. kube-vip may keep the control plane's beside MetalLB."""

    metallb: MetalLbSettings | None = None
    kube_vip: KubeVipSettings | None = None
    ingress: IngressAddresses | None = None

    def announced(self) -> dict[str, list[str]]:
        """Addresses that this cluster announces, by whose they are here."""
        found = {
            f"pool {p.name}": p.addresses for p in (self.metallb.pools if self.metallb else [])
        }
        if self.kube_vip and self.kube_vip.control_plane:
            found["controlPlane"] = [_alone(self.kube_vip.control_plane)]
        if self.kube_vip and self.kube_vip.services and self.ingress:
            found["ingress"] = [_alone(address) for address in self.ingress.said]
        return found

    @property
    def by_neighbours(self) -> bool:
        """Whether MetalLB tells the ingress's addresses by ARP and NDP alone."""
        if self.metallb is None or self.ingress is None:
            return False
        addresses = [ip_address(address) for address in self.ingress.said]
        pools = [
            pool
            for pool in self.metallb.pools
            for text in pool.addresses
            if any(address_range(text).holds(address) for address in addresses)
        ]
        return all(pool.l2 is not None and pool.bgp is None for pool in pools)

    @model_validator(mode="after")
    def _one_for_each_address(self) -> "LoadBalancer":
        metallb, other = self.metallb, self.kube_vip
        if metallb is None and other is None:
            raise ValueError("names nobody who announces: say metallb or kubeVip")
        if metallb and other and other.services:
            raise ValueError(
                "kubeVip.services beside metallb: both would announce the same Services' "
                "addresses. Leave Services to one of them; kubeVip.controlPlane may stay"
            )
        if self.ingress and not metallb and not (other and other.services):
            raise ValueError("ingress: nobody announces addresses of Services: kubeVip.services")
        try:
            refuse_overlaps(self.announced())
            if metallb and self.ingress:
                refuse_outside(by_name(metallb.pool_options()), self.ingress.said)
        except LoadBalancerMistake as mistake:
            raise ValueError(str(mistake)) from None
        return self


def _alone(address: str) -> str:
    return f"{address}-{address}"
