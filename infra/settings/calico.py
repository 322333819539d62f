"""What a stack file says about its cluster's dataplane."""

from pydantic import Field, model_validator

from components.dataplane.calico_network import Dataplane, Encapsulation
from components.dataplane.calico_options import (
    CalicoImage,
    CalicoMistake,
    CalicoOptions,
    ConnectTimeLoadBalancing,
    ExternalServiceMode,
    KubeProxyState,
    Switch,
    refuse,
)
from infra.settings.bgp import Bgp
from infra.settings.section import Section, in_camel_case


class Calico(Section):
    """The dataplane baseline on VKE's calico-node. Leave it alone and every cluster is the same."""

    dataplane: Dataplane | None = None
    external_service_mode: ExternalServiceMode | None = None
    connect_time_load_balancing: ConnectTimeLoadBalancing | None = None
    host_networked_nat_without_ctlb: Switch | None = Field(
        default=None, alias="hostNetworkedNATWithoutCTLB"
    )
    kube_proxy: KubeProxyState | None = None
    kube_proxy_cleanup: bool | None = None
    api_endpoint: str | None = None
    version: str | None = None
    registry: str | None = None
    init_containers: dict[str, CalicoImage] | None = None
    encapsulation: Encapsulation | None = None
    ip_pool: str | None = None
    nat_outgoing: bool | None = None
    mtu: int | None = None
    nic_mtu: int | None = None
    autodetection: str | None = None
    bgp: Bgp | None = None
    force: bool = False

    def options(self) -> CalicoOptions:
        """As the component takes them: what isn't said is left to it."""
        said = self.model_dump(exclude={"force", "api_endpoint", "bgp"}, exclude_none=True)
        return CalicoOptions(**said)  # pyright: ignore[reportReturnType]

    @model_validator(mode="after")
    def _go_together(self) -> "Calico":
        try:
            refuse(self.options())
        except CalicoMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self
