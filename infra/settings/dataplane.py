"""What a stack file may say about its cluster's dataplane, ingress and policies."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from components.dataplane.calico_options import CalicoMistake, CalicoOptions, refuse
from components.dataplane.network_baseline import PolicyMistake, checked, kubernetes_policies
from components.ingress.nginx.keys import IngressMistake
from components.ingress.nginx.options import Tuning, nginx_config
from infra.settings.section import Image, Strict, in_camel_case


class Calico(Strict):
    """The dataplane baseline on VKE's calico-node. Leave it alone and every cluster is the same."""

    dataplane: Literal["ebpf", "iptables"] = "ebpf"
    external_service_mode: Literal["Tunnel", "DSR"] | None = None
    connect_time_load_balancing: Literal["TCP", "Enabled", "Disabled"] | None = None
    host_networked_nat_without_ctlb: Literal["Enabled", "Disabled"] | None = Field(
        default=None, alias="hostNetworkedNATWithoutCTLB"
    )
    kube_proxy: Literal["absent", "left", "stopped"] = "absent"
    kube_proxy_cleanup: bool | None = None
    api_endpoint: str | None = None
    version: str | None = None
    registry: str | None = None
    init_containers: dict[str, Literal["node", "cni"]] | None = None
    encapsulation: Literal["none", "vxlan", "ipip", "crossSubnet"] | None = None
    ip_pool: str = "default-ipv4-ippool"
    nat_outgoing: bool | None = None
    mtu: int | None = None
    autodetection: str | None = None
    force: bool = False

    def options(self) -> CalicoOptions:
        """As the component takes them."""
        said = self.model_dump(exclude={"force", "api_endpoint"})
        return CalicoOptions(**said)  # pyright: ignore[reportReturnType]

    @model_validator(mode="after")
    def _go_together(self) -> "Calico":
        try:
            refuse(self.options())
        except CalicoMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self


class IngressTuning(Strict):
    """A busy edge's limits; timeouts in seconds. See `components.ingress_options.Tuning`."""

    worker_processes: int | Literal["auto"] = "auto"
    worker_connections: int = 10240
    keepalive_timeout: int = 65
    upstream_keepalive: int = 100
    shutdown_timeout: int = 30
    server_tokens: bool = False

    def options(self) -> Tuning:
        """As the component takes them."""
        return Tuning(**self.model_dump())  # pyright: ignore[reportReturnType]


class IngressResources(Strict):
    """Kubernetes quantities by resource."""

    requests: dict[str, str] = Field(default={"cpu": "100m", "memory": "256Mi"})
    limits: dict[str, str] = Field(default={"memory": "1Gi"})


class IngressCanary(Strict):
    """Another image on the nodes that have all of these labels."""

    image: Image
    node_selector: dict[str, str] = Field(min_length=1)


class Ingress(Strict):
    """F5 NGINX Ingress Controller on every node's :80 and :443."""

    image: Image = "nginx/nginx-ingress:5.6.1"
    tuning: IngressTuning = IngressTuning()
    config: dict[str, str] = Field(default={})
    resources: IngressResources = IngressResources()
    canary: IngressCanary | None = None
    custom_resources: bool = False
    default_class: bool = True
    metrics: bool = True

    @model_validator(mode="after")
    def _known(self) -> "Ingress":
        try:
            nginx_config(["192.0.2.0/24"], self.tuning.options(), None, self.config)
        except IngressMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self


def _namespaces(value: object) -> object:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        try:
            return checked(value)
        except PolicyMistake as mistake:
            raise ValueError(str(mistake).removeprefix("namespaces: ")) from None
    return value


class NetworkPolicy(Strict):
    """Default deny for namespaces that exist; none, and there are no policies. See
    `components.dataplane.network_baseline`."""

    namespaces: Annotated[list[str], BeforeValidator(_namespaces)] = Field(default=[])
    variant: Literal["kubernetes", "calico"] = "calico"
    sources: list[str] = Field(default=[])
    ingress_selector: str | None = None
    order: int = 1000
    tier: str = "default"

    @property
    def by_host_endpoints(self) -> bool:
        """Whether the ingress is known by the nodes' automatic host endpoints."""
        return bool(self.namespaces) and self.variant == "calico" and not self.ingress_selector

    @model_validator(mode="after")
    def _served(self) -> "NetworkPolicy":
        if self.namespaces and self.variant == "kubernetes":
            try:
                kubernetes_policies(self.sources)
            except PolicyMistake as mistake:
                raise ValueError(str(mistake)) from None
        return self
