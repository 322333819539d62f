"""The component library: takes Inputs, knows no stack and no file.

Each component is usable alone; what lives in a cluster needs its kubeconfig, whoever made it:
`CalicoDataplane`, `HostEndpoints` and `ServerSidePatch` take it as an argument, the others take a
`pulumi_kubernetes.Provider` by their options. What isn't named here may change at any time.

The folders: `cluster`, `ingress` each say in `contract.py` what the rest needs of any cluster and
any ingress; `vendors` has one HTTP client a vendor; `errors.py` draws what can go wrong.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if "pulumi.dynamic" in sys.modules:
    # Pulumi's process for dynamic resources imports their modules in several threads at once, and
    # then requests, which one wants and kubernetes another, was met half loaded.
    import requests as _requests  # noqa: F401  # pyright: ignore[reportUnusedImport]

if TYPE_CHECKING:
    from .arguments import ArgumentsMistake
    from .cluster.contract import Cluster, Node, ServingNode, in_cluster
    from .cluster.existing import ExistingCluster
    from .cluster.vke import VkeCluster
    from .dataplane.calico import CalicoDataplane
    from .dataplane.calico_bgp import CalicoBgp
    from .dataplane.calico_options import CalicoMistake
    from .dataplane.cilium import CiliumDataplane
    from .dataplane.cilium_options import CiliumMistake
    from .dataplane.host_endpoints import HostEndpoints
    from .dataplane.kube_proxy import KubeProxy
    from .dataplane.kube_proxy_options import KubeProxyMistake
    from .dataplane.network_baseline import NetworkBaseline, PolicyMistake
    from .dataplane.pod_routes import PodRoutes
    from .dns.regional import RegionalDns
    from .edge.origin_pulls import OriginPulls
    from .edge.router import EdgeRouter
    from .edge.table import EdgeMistake
    from .edge.worker_filter import WorkerFilter
    from .edge.zone_settings import ZoneSettings
    from .errors import (
        CloudflareError,
        EdgefleetError,
        NoCredential,
        OptionsError,
        VendorError,
        VultrError,
    )
    from .firewall.cilium_host_protection import CiliumHostProtection
    from .firewall.cloud import CloudFirewall
    from .firewall.cloudflare_ranges import cloudflare_networks
    from .firewall.host_protection import CalicoHostProtection
    from .firewall.node import NodeFirewall
    from .firewall.rule_data import PortRange, RuleArgs, node_rules
    from .ingress.mistake import IngressMistake
    from .ingress.nginx.daemon_set import IngressDaemonSet
    from .ingress.origin_tls import OriginTls
    from .ingress.traefik.daemon_set import TraefikIngress
    from .ingress.trust import EdgeTrust
    from .load_balancer.addresses import LoadBalancerMistake
    from .load_balancer.metallb import MetalLb
    from .server_side.patch import ServerSidePatch
    from .server_side.rollout import Rollout

_HOMES = {
    "ArgumentsMistake": "arguments",
    "CalicoBgp": "dataplane.calico_bgp",
    "CalicoDataplane": "dataplane.calico",
    "CalicoHostProtection": "firewall.host_protection",
    "CalicoMistake": "dataplane.calico_options",
    "CiliumDataplane": "dataplane.cilium",
    "CiliumHostProtection": "firewall.cilium_host_protection",
    "CiliumMistake": "dataplane.cilium_options",
    "CloudFirewall": "firewall.cloud",
    "CloudflareError": "errors",
    "Cluster": "cluster.contract",
    "EdgeMistake": "edge.table",
    "EdgeRouter": "edge.router",
    "EdgeTrust": "ingress.trust",
    "EdgefleetError": "errors",
    "ExistingCluster": "cluster.existing",
    "HostEndpoints": "dataplane.host_endpoints",
    "IngressDaemonSet": "ingress.nginx.daemon_set",
    "IngressMistake": "ingress.mistake",
    "KubeProxy": "dataplane.kube_proxy",
    "KubeProxyMistake": "dataplane.kube_proxy_options",
    "LoadBalancerMistake": "load_balancer.addresses",
    "MetalLb": "load_balancer.metallb",
    "NetworkBaseline": "dataplane.network_baseline",
    "NoCredential": "errors",
    "Node": "cluster.contract",
    "NodeFirewall": "firewall.node",
    "OptionsError": "errors",
    "OriginPulls": "edge.origin_pulls",
    "OriginTls": "ingress.origin_tls",
    "PodRoutes": "dataplane.pod_routes",
    "PortRange": "firewall.rule_data",
    "PolicyMistake": "dataplane.network_baseline",
    "RegionalDns": "dns.regional",
    "Rollout": "server_side.rollout",
    "RuleArgs": "firewall.rule_data",
    "ServerSidePatch": "server_side.patch",
    "ServingNode": "cluster.contract",
    "TraefikIngress": "ingress.traefik.daemon_set",
    "VendorError": "errors",
    "VkeCluster": "cluster.vke",
    "VultrError": "errors",
    "WorkerFilter": "edge.worker_filter",
    "ZoneSettings": "edge.zone_settings",
    "cloudflare_networks": "firewall.cloudflare_ranges",
    "in_cluster": "cluster.contract",
    "node_rules": "firewall.rule_data",
}

__all__ = [
    "ArgumentsMistake",
    "CalicoBgp",
    "CalicoDataplane",
    "CalicoHostProtection",
    "CalicoMistake",
    "CiliumDataplane",
    "CiliumHostProtection",
    "CiliumMistake",
    "CloudFirewall",
    "CloudflareError",
    "Cluster",
    "EdgeMistake",
    "EdgeRouter",
    "EdgeTrust",
    "EdgefleetError",
    "ExistingCluster",
    "HostEndpoints",
    "IngressDaemonSet",
    "IngressMistake",
    "KubeProxy",
    "KubeProxyMistake",
    "LoadBalancerMistake",
    "MetalLb",
    "NetworkBaseline",
    "NoCredential",
    "Node",
    "NodeFirewall",
    "OptionsError",
    "OriginPulls",
    "OriginTls",
    "PodRoutes",
    "PolicyMistake",
    "PortRange",
    "RegionalDns",
    "Rollout",
    "RuleArgs",
    "ServerSidePatch",
    "ServingNode",
    "TraefikIngress",
    "VendorError",
    "VkeCluster",
    "VultrError",
    "WorkerFilter",
    "ZoneSettings",
    "cloudflare_networks",
    "in_cluster",
    "node_rules",
]


def __getattr__(name: str) -> object:
    # On demand: a dynamic provider's process imports this package too, and needs one module of it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
