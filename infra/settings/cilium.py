"""What a stack file says about Cilium, where a cluster has it instead of Calico."""

from typing import Any

from pydantic import Field

from components.dataplane.cilium_options import Routing, TunnelProtocol
from infra.settings.section import Section


class CiliumPool(Section):
    """Addresses for Services: networks, or ranges FIRST-LAST."""

    name: str
    addresses: list[str] = Field(min_length=1)


class CiliumL2(Section):
    """Answer ARP and NDP for them."""

    interfaces: list[str] = Field(default=[])
    node_labels: dict[str, str] = Field(default={})


class CiliumPeer(Section):
    """A router. With `password` sessions have the stack's secret `bgpPassword`."""

    name: str
    address: str
    as_number: int
    password: bool = False


class CiliumBgp(Section):
    """Tell routers of pods' networks (routing native) and of pools."""

    as_number: int = 64512
    peers: list[CiliumPeer] = Field(default=[])


class Cilium(Section):
    """The dataplane by Cilium's own chart. `networks` of pods and nodes are the firewall's."""

    kube_proxy_replacement: bool = True
    api_endpoint: str | None = None
    routing: Routing = "tunnel"
    tunnel_protocol: TunnelProtocol | None = None
    direct_routes: bool = False
    mtu: int | None = None
    devices: list[str] = Field(default=[])
    host_firewall: bool = False
    pools: list[CiliumPool] = Field(default=[])
    l2: CiliumL2 | None = None
    bgp: CiliumBgp | None = None

    def said(self) -> dict[str, Any]:
        """As the component takes it, but for the networks."""
        return self.model_dump(exclude_none=True)
