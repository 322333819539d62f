"""What a stack file says about who tells nodes where pods are."""

from pydantic import Field, model_validator

from components.dataplane.bgp_options import (
    AS_NUMBER,
    CLUSTER_ID,
    BgpOptions,
    BgpPeer,
    SourceAddress,
    refuse_bgp,
)
from components.dataplane.calico_options import CalicoMistake
from infra.settings.section import Section, in_camel_case


class Peer(Section):
    """A router. With `password` the sessions have the stack's secret `bgpPassword`."""

    name: str
    address: str
    as_number: int
    node_selector: str | None = None
    source_address: SourceAddress | None = None
    password: bool = False


class Reflectors(Section):
    """Nodes, by name, that pass on what the others tell them."""

    nodes: list[str] = Field(default=[])
    cluster_id: str = CLUSTER_ID


class Bgp(Section):
    """Nodes' BGP: with each other (`mesh`), through route reflectors, and with routers."""

    mesh: bool = True
    as_number: int = AS_NUMBER
    route_reflectors: Reflectors | None = None
    peers: list[Peer] = Field(default=[])

    @property
    def with_password(self) -> list[str]:
        """The peers that have one."""
        return [peer.name for peer in self.peers if peer.password]

    def options(self) -> BgpOptions:
        """As the component takes them."""
        found: BgpOptions = {
            "mesh": self.mesh,
            "as_number": self.as_number,
            "peers": [BgpPeer(**peer.model_dump(exclude_none=True)) for peer in self.peers],
        }
        if reflectors := self.route_reflectors:
            found["route_reflectors"] = {
                "nodes": reflectors.nodes,
                "cluster_id": reflectors.cluster_id,
            }
        return found

    @model_validator(mode="after")
    def _go_together(self) -> "Bgp":
        try:
            refuse_bgp(self.options())
        except CalicoMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self
