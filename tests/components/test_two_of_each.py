"""Two of each component in one program: their resources have names of their own, and what they make
differs, but for what there can be only one of."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import components
from tests.components.test_arguments import COMPONENTS
from tests.registrations import all_registered
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
        "nodes": [{"id": f"n{number}", "name": "n", "ipv4": f"192.0.2.{number}", "ipv6": ""}],
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
    "VkeCluster": lambda number: {
        "reader": _Vultr(live_cluster(live_nodes(3), f"edgefleet-{number}"))
    }
}
ONCE = {
    "CalicoBgp": "cluster",
    "CalicoDataplane": "cluster",
    "CalicoHostProtection": "cluster",
    "CiliumDataplane": "cluster",
    "CiliumHostProtection": "cluster",
    "CloudFirewall": "group",
    "HostEndpoints": "cluster",
    "IngressDaemonSet": "cluster",
    "KubeProxy": "cluster",
    "MetalLb": "cluster",
    "NodeFirewall": "cluster",
    "OriginPulls": "zone",
    "TraefikIngress": "cluster",
    "WorkerFilter": "zone",
}
"""What a second one would quarrel about: the component's own text says with whom."""
IDENTITY = {
    "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings": [
        "zoneId"
    ],
    "cloudflare:index/dnsRecord:DnsRecord": ["zoneId", "name", "type", "content"],
    "cloudflare:index/ruleset:Ruleset": ["zoneId", "phase"],
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": ["accountId", "scriptName"],
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": ["accountId", "title"],
    "cloudflare:index/workersRoute:WorkersRoute": ["zoneId", "pattern"],
    "cloudflare:index/workersScript:WorkersScript": ["accountId", "scriptName"],
    "cloudflare:index/zoneSetting:ZoneSetting": ["zoneId", "settingId"],
    "pulumi-python:dynamic/index:KubeProxyConfiguration": [],
    "pulumi-python:dynamic/index:ServerSidePatch": [
        "kind",
        "namespace",
        "object_name",
        "field_manager",
    ],
    "vultr:index/firewallRule:FirewallRule": ["firewallGroupId", "ipType", "protocol", "port"],
    "vultr:index/kubernetes:Kubernetes": ["label"],
}
"""By which inputs a vendor, or a cluster, tells two resources of a type apart."""


def identity(sent: dict[str, Any]) -> str | None:
    """What there is one of in a cluster, zone or account; None where nobody minds another."""
    told, inputs = sent["type"], sent.get("object", {})
    if told.startswith("kubernetes:"):
        metadata = inputs["metadata"]
        return f"{inputs['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
    if told in IDENTITY:
        return f"{told} {[inputs.get(key) for key in IDENTITY[told]]}"
    return None


@pytest.mark.parametrize("name", COMPONENTS)
def test_two_of_each(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VULTR_API_KEY", "key")
    made: Any = getattr(components, name)

    def two() -> pulumi.Resource:
        first = pulumi.ComponentResource("test:index:First", "first")
        after = pulumi.ResourceOptions(depends_on=[first])
        for number, each in enumerate(("one", "other")):
            beside = BESIDE.get(name, lambda _: {})(number)
            made(each, ARGUMENTS[name](number), after, **beside)
        return first

    sent, _ = all_registered(two)
    urns = Counter((each["type"], each["name"]) for each in sent)
    assert [urn for urn, times in urns.items() if times > 1] == []
    assert len({each["name"].partition("-")[0] for each in sent}) == 2
    things = Counter(found for each in sent if (found := identity(each)))
    twice = sorted(thing for thing, times in things.items() if times > 1)
    text = " ".join(made.__doc__.split())
    if place := ONCE.get(name):
        assert twice, sorted({each["type"] for each in sent})
        assert f"Once a {place}: " in text
    else:
        assert twice == []
        assert "Once a " not in text
