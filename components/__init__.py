"""The component library: takes Inputs, knows no stack, no file and no environment variable.

Each component is usable alone; what lives in a cluster needs its kubeconfig, whoever made it:
`CalicoDataplane`, `HostEndpoints` and `ServerSidePatch` take it as an argument, the others take a
`pulumi_kubernetes.Provider` by their options. What isn't named here may change at any time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.calico import CalicoDataplane
    from components.calico_options import CalicoMistake
    from components.cloud_firewall import CloudFirewall
    from components.cluster import VkeCluster
    from components.edge_router import EdgeRouter
    from components.edge_table import EdgeMistake
    from components.host_endpoints import HostEndpoints
    from components.host_protection import CalicoHostProtection
    from components.ingress import IngressDaemonSet
    from components.ingress_keys import IngressMistake
    from components.network_policy import NetworkBaseline, PolicyMistake
    from components.node_firewall import NodeFirewall
    from components.origin_tls import OriginTls
    from components.regional_dns import RegionalDns
    from components.server_side_patch import ServerSidePatch
    from components.server_side_rollout import Rollout
    from components.worker_filter import WorkerFilter

_HOMES = {
    "CalicoDataplane": "calico",
    "CalicoHostProtection": "host_protection",
    "CalicoMistake": "calico_options",
    "CloudFirewall": "cloud_firewall",
    "EdgeMistake": "edge_table",
    "EdgeRouter": "edge_router",
    "HostEndpoints": "host_endpoints",
    "IngressDaemonSet": "ingress",
    "IngressMistake": "ingress_keys",
    "NetworkBaseline": "network_policy",
    "NodeFirewall": "node_firewall",
    "OriginTls": "origin_tls",
    "PolicyMistake": "network_policy",
    "RegionalDns": "regional_dns",
    "Rollout": "server_side_rollout",
    "ServerSidePatch": "server_side_patch",
    "VkeCluster": "cluster",
    "WorkerFilter": "worker_filter",
}

__all__ = [
    "CalicoDataplane",
    "CalicoHostProtection",
    "CalicoMistake",
    "CloudFirewall",
    "EdgeMistake",
    "EdgeRouter",
    "HostEndpoints",
    "IngressDaemonSet",
    "IngressMistake",
    "NetworkBaseline",
    "NodeFirewall",
    "OriginTls",
    "PolicyMistake",
    "RegionalDns",
    "Rollout",
    "ServerSidePatch",
    "VkeCluster",
    "WorkerFilter",
]


def __getattr__(name: str) -> Any:
    # On demand: a dynamic provider's process imports this package too, and needs one module of it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"components.{_HOMES[name]}"), name)
