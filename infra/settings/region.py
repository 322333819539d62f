"""A region stack's file, as types. What isn't said is what the components do by themselves.

The models are strict: a key that isn't known, a string where a number belongs or a value out of
range is refused; `mistakes.py` says so in words.
"""

from ipaddress import ip_network

from pydantic import Field, model_validator

from components.dataplane.calico_options import CalicoMistake, CalicoOptions, goes_past_ufw, refuse
from components.ingress.mistake import IngressMistake
from components.ingress.traefik.pod import beside
from infra.settings.calico import Calico
from infra.settings.cluster import AnyCluster, ExistingCluster
from infra.settings.edge import Routing
from infra.settings.firewall import Firewall
from infra.settings.ingress import AnyIngress, Ingress, Tls, TraefikIngress
from infra.settings.kube_proxy import KubeProxy
from infra.settings.load_balancer import LoadBalancer
from infra.settings.network_policy import NetworkPolicy
from infra.settings.section import DnsLabel, Section, Switch


class Coordinates(Section):
    """A place, in degrees; for a location that the catalog doesn't know."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Region(Section):
    """A region stack: one cluster of a logical region.

    Of a cluster that is there already nobody knows where it lies, nor which networks its nodes are
    in; and closing its nodes closes its API server, which VKE runs elsewhere.
    """

    region: DnsLabel
    coordinates: Coordinates | None = None
    cluster: AnyCluster
    calico: Calico = Calico()
    kube_proxy: KubeProxy | None = None
    ingress: AnyIngress = Ingress()
    firewall: Firewall = Firewall()
    tls: Tls = Tls()
    load_balancer: LoadBalancer | None = None
    network_policy: NetworkPolicy = NetworkPolicy()
    routing: Routing | None = None
    drain: Switch = False

    def calico_options(self) -> CalicoOptions:
        """The dataplane as the component takes it; Calico's host protection needs IPv6 policed, and
        felix writes nftables where kube-proxy does."""
        nftables = self.kube_proxy is not None and self.kube_proxy.mode == "nftables"
        return {**self.calico.options(), "ipv6": self.firewall.by_calico, "nftables": nftables}

    @model_validator(mode="after")
    def _what_vultr_would_know_is_said(self) -> "Region":
        if not isinstance(self.cluster, ExistingCluster):
            if self.load_balancer:
                raise ValueError(
                    "loadBalancer: goes with cluster.existing: Vultr's network sends a VKE node "
                    "packets for its own addresses only, so nodes there can't announce others. The "
                    "ingress has the nodes' ports"
                )
            return self
        if "source" in self.firewall.model_fields_set:
            raise ValueError(
                "firewall.source: is about Vultr's firewall, and cluster.existing has none: take "
                "it out"
            )
        if self.firewall.node_networks is None:
            raise ValueError(
                "firewall.nodeNetworks: is required with cluster.existing: the networks in which "
                "its nodes talk to each other"
            )
        if self.firewall.node in ("enforce", "observe") and not self.firewall.admin_cidrs:
            raise ValueError(
                "firewall.adminCidrs: is required with cluster.existing: the nodes' firewall "
                f"closes SSH and the API server (:{self.cluster.existing.api_port}) to all others, "
                "and whoever runs `pulumi up` would be locked out"
            )
        return self

    @model_validator(mode="after")
    def _pods_have_the_families_announced(self) -> "Region":
        addresses = self.load_balancer and self.load_balancer.ingress
        if addresses and isinstance(self.ingress, TraefikIngress):
            raise ValueError(
                "loadBalancer.ingress: goes with NGINX's ingress: Traefik here listens on the "
                "nodes' own ports only. Take it out, or ingress.controller"
            )
        families = {ip_network(network).version for network in self.firewall.pod_networks}
        for family, said in ((4, addresses and addresses.ipv4), (6, addresses and addresses.ipv6)):
            if said and family not in families:
                raise ValueError(
                    f"loadBalancer.ingress.ipv{family}: {said!r}: its packets are passed on to "
                    f"pods, and firewall.podNetworks names no IPv{family} network: name the pods' "
                    "own, where they have one, or take the address out"
                )
        return self

    @model_validator(mode="after")
    def _routes_are_known(self) -> "Region":
        if self.calico.bgp and not isinstance(self.cluster, ExistingCluster):
            raise ValueError(
                "calico.bgp: goes with cluster.existing: on VKE nobody knows of a router that "
                "takes routes, nor whether Vultr forwards pods' addresses. Take it out"
            )
        return self

    @model_validator(mode="after")
    def _kube_proxy_serves(self) -> "Region":
        if self.kube_proxy is None:
            return self
        if not isinstance(self.cluster, ExistingCluster):
            raise ValueError(
                "kubeProxy: goes with cluster.existing: VKE's kube-proxy is Vultr's, and how it "
                "is configured isn't known. calico.kubeProxy says whether it runs"
            )
        if self.calico.dataplane != "iptables":
            raise ValueError(
                f"kubeProxy.mode: {self.kube_proxy.mode!r} with calico.dataplane ebpf: there felix "
                "serves services itself. Take kubeProxy out, or say calico.dataplane: iptables"
            )
        return self

    @model_validator(mode="after")
    def _the_ingress_reaches_its_certificate(self) -> "Region":
        if not isinstance(self.ingress, TraefikIngress) or not self.tls.secret:
            return self
        try:
            beside(self.tls.secret, self.ingress.namespace)
        except IngressMistake as mistake:
            raise ValueError(str(mistake).replace("default_tls_secret", "tls.secret")) from None
        return self

    @model_validator(mode="after")
    def _calico_can_protect(self) -> "Region":
        try:
            refuse(self.calico_options())
        except CalicoMistake as mistake:
            raise ValueError(
                f"firewall.hostProtection: {self.firewall.host_protection!r}: {mistake}"
            ) from None
        return self

    @model_validator(mode="after")
    def _nothing_goes_round_ufw(self) -> "Region":
        by_ufw_alone = self.firewall.ufw_mode == "enforce" and not self.firewall.by_calico
        if by_ufw_alone and goes_past_ufw(self.calico_options()):
            raise ValueError(
                f"calico.version: {self.calico.version!r} with firewall.hostProtection ufw: until "
                "v3.27.4 Calico's eBPF accepts packets to a node before ufw is asked. Say v3.28 "
                "or newer"
            )
        by_iptables = self.calico.dataplane == "iptables"
        if by_ufw_alone and by_iptables and self.network_policy.by_host_endpoints:
            raise ValueError(
                "networkPolicy.variant: 'calico' with calico.dataplane iptables and "
                "firewall.hostProtection ufw: the host endpoints that it needs allow everything, "
                "and Calico accepts it before ufw is asked. Say hostProtection: both, or variant: "
                "kubernetes"
            )
        return self
