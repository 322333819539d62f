"""Arguments for each public component, as somebody's program would have them: for tests of what all
components have in common, and for the pictures in docs/reference."""

from collections.abc import Callable
from typing import Any

import components
from components.cluster.existing import ClusterSeen
from tests.rendered import FakeVultr, live_cluster, live_nodes

KUBECONFIG = """
apiVersion: v1
clusters: [{name: one, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: one, context: {cluster: one, user: me}}]
current-context: one
"""
CLOUDFLARE = ["104.16.0.0/13", "2606:4700::/32"]
TABLE = components.node_rules(
    ssh_sources=[], node_networks=["10.0.0.0/8"], pod_networks=["10.244.0.0/16"]
)


class _Vultr(FakeVultr):
    def kubeconfig(self, cluster_id: str) -> str:
        return KUBECONFIG


def _regions(number: int) -> list[dict[str, Any]]:
    host = f"us{number}.example.com"
    return [{"name": f"us{number}", "host": host, "lat": 40.7, "lon": -74.0, "drain": False}]


def _ingress(number: int) -> dict[str, Any]:
    return {
        "image": "controller:1",
        "trusted_proxies": CLOUDFLARE,
        "namespace": f"edge-{number}",
        "ingress_class": f"edge-{number}",
    }


IN_CLUSTER: dict[str, Any] = {"kubeconfig": KUBECONFIG}
ZONE = {"zone_id": "zone"}
ARGUMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "CalicoBgp": lambda _: IN_CLUSTER,
    "CalicoDataplane": lambda _: IN_CLUSTER,
    "CalicoHostProtection": lambda _: {**IN_CLUSTER, "rules": TABLE, "cloudflare": CLOUDFLARE},
    "CiliumDataplane": lambda _: {
        **IN_CLUSTER,
        "pod_networks": ["10.244.0.0/16"],
        "node_networks": ["10.0.0.0/8"],
        "kube_proxy_replacement": False,
        "pools": [{"name": "web", "addresses": ["192.0.2.16/28"]}],
        "bgp": {
            "as_number": 64512,
            "peers": [{"name": "a", "address": "10.0.0.1", "as_number": 1}],
        },
    },
    "CiliumHostProtection": lambda _: {"rules": TABLE, "cloudflare": CLOUDFLARE},
    "CloudFirewall": lambda _: {"group_id": "group", "rules": TABLE},
    "EdgeRouter": lambda number: {
        **ZONE,
        "account_id": "account",
        "script_name": f"edge-{number}",
        "hosts": [f"www{number}.example.com"],
        "regions": _regions(number),
        "options": {"health_path": "/nginx-health"},
    },
    "ExistingCluster": lambda _: IN_CLUSTER,
    "HostEndpoints": lambda _: IN_CLUSTER,
    "IngressDaemonSet": _ingress,
    "KubeProxy": lambda _: {**IN_CLUSTER, "mode": "nftables"},
    "MetalLb": lambda number: {
        "pools": [{"name": f"p{number}", "addresses": [f"192.0.2.{number}/32"], "l2": {}}]
    },
    "NetworkBaseline": lambda number: {
        "namespaces": [f"shop-{number}"],
        "policy_name": f"shop-{number}",
    },
    "NodeFirewall": lambda _: {**IN_CLUSTER, "rules": TABLE, "cloudflare": CLOUDFLARE},
    "OriginPulls": lambda _: {**ZONE, "ca_certificate": "PEM", "ca_key": "PEM"},
    "OriginTls": lambda _: {"hostnames": ["example.com"], "validity_days": 90},
    "PodRoutes": lambda _: {**IN_CLUSTER, "bare": True},
    "RegionalDns": lambda number: {
        **ZONE,
        "hostname": "us.example.com",
        "owner": f"us-{number}",
        "nodes": [
            {
                "id": f"n{number}",
                "name": "n",
                "ipv4": f"192.0.2.{number}",
                "ipv6": f"2001:db8::{number}",
            }
        ],
        "expected_nodes": 1,
    },
    "Rollout": lambda _: {
        **IN_CLUSTER,
        "kind": "DaemonSet",
        "namespace": "kube-system",
        "object_name": "calico-node",
        "generation": 1,
    },
    "ServerSidePatch": lambda number: {
        **IN_CLUSTER,
        "kind": "ConfigMap",
        "namespace": "kube-system",
        "object_name": "calico-config",
        "fields": {"data": {f"key-{number}": "value"}},
        "field_manager": f"team-{number}",
    },
    "TraefikIngress": _ingress,
    "VkeCluster": lambda number: {
        "label": f"edgefleet-{number}",
        "location": "ewr",
        "version": "v1.35.5+1",
        "pools": [{"label": "edge", "plan": "vc2-2c-4gb", "nodes": 3}],
    },
    "WorkerFilter": lambda number: {
        **ZONE,
        "zone": "example.com",
        "hosts": [f"us{number}.example.com"],
        "health_path": "/nginx-health",
    },
    "ZoneSettings": lambda number: {**ZONE, "settings": {["ssl", "min_tls_version"][number]: "x"}},
}
"""Of the one and the other, in one cluster, group, zone or account."""
BESIDE: dict[str, Callable[[int], dict[str, Any]]] = {
    "ExistingCluster": lambda number: {
        "read": lambda _: ClusterSeen(f"uid-{number}", "v1.35.5", [])  # pyright: ignore[reportUnknownLambdaType]
    },
    "VkeCluster": lambda number: {
        "reader": _Vultr(live_cluster(live_nodes(3), f"edgefleet-{number}"))
    },
}
"""What isn't asked of a vendor or a cluster: beside the arguments, by keyword."""
