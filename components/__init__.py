"""The component library: takes Inputs, knows no stack, no file and no environment variable.

Each component is usable alone; what lives in a cluster needs its kubeconfig, whoever made it:
`CalicoDataplane`, `HostEndpoints` and `ServerSidePatch` take it as an argument, the others take a
`pulumi_kubernetes.Provider` by their options. What isn't named here may change at any time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster.vke import VkeCluster
    from .dataplane.calico import CalicoDataplane
    from .dataplane.calico_options import CalicoMistake
    from .dataplane.host_endpoints import HostEndpoints
    from .dataplane.network_baseline import NetworkBaseline, PolicyMistake
    from .dns.regional import RegionalDns
    from .edge.router import EdgeRouter
    from .edge.table import EdgeMistake
    from .edge.worker_filter import WorkerFilter
    from .firewall.cloud import CloudFirewall
    from .firewall.host_protection import CalicoHostProtection
    from .firewall.node import NodeFirewall
    from .ingress.nginx.daemon_set import IngressDaemonSet
    from .ingress.nginx.keys import IngressMistake
    from .ingress.origin_tls import OriginTls
    from .server_side.patch import ServerSidePatch
    from .server_side.rollout import Rollout

_HOMES = {
    "CalicoDataplane": "dataplane.calico",
    "CalicoHostProtection": "firewall.host_protection",
    "CalicoMistake": "dataplane.calico_options",
    "CloudFirewall": "firewall.cloud",
    "EdgeMistake": "edge.table",
    "EdgeRouter": "edge.router",
    "HostEndpoints": "dataplane.host_endpoints",
    "IngressDaemonSet": "ingress.nginx.daemon_set",
    "IngressMistake": "ingress.nginx.keys",
    "NetworkBaseline": "dataplane.network_baseline",
    "NodeFirewall": "firewall.node",
    "OriginTls": "ingress.origin_tls",
    "PolicyMistake": "dataplane.network_baseline",
    "RegionalDns": "dns.regional",
    "Rollout": "server_side.rollout",
    "ServerSidePatch": "server_side.patch",
    "VkeCluster": "cluster.vke",
    "WorkerFilter": "edge.worker_filter",
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
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
