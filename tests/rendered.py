"""Stacks rendered offline, with a cluster that Vultr seems to have."""

from pathlib import Path

from components.cluster.contract import Node
from components.errors import VultrError
from components.vendors.vultr_cluster import LiveCluster, LiveNode, Pool
from ops.render.offline import Registered, Rendering, render


def live_nodes(count: int) -> tuple[LiveNode, ...]:
    return tuple(
        LiveNode(
            id=f"node-{i}",
            label=f"edge-{i}",
            pool="edge",
            status="active",
            ipv4=f"192.0.2.{i}",
            ipv6=f"2001:db8::{i}",
        )
        for i in range(1, count + 1)
    )


def serving_nodes(count: int) -> tuple[Node, ...]:
    """The same, as what lives in the cluster sees them."""
    return tuple(
        Node(id=node.id, name=node.label, ipv4=node.ipv4, ipv6=node.ipv6)
        for node in live_nodes(count)
    )


def live_cluster(nodes: tuple[LiveNode, ...], label: str = "edgefleet-us") -> LiveCluster:
    return LiveCluster(
        id="c1",
        label=label,
        location="ewr",
        version="v1.35.5+1",
        status="active",
        firewall_group_id="g1",
        pools=(Pool("p1", "edge", len(nodes)),),
        nodes=nodes,
    )


class FakeVultr:
    """A Vultr with one cluster, or none."""

    def __init__(self, cluster: LiveCluster | None) -> None:
        self._cluster = cluster

    def find_cluster(self, label: str) -> LiveCluster | None:
        return self._cluster if self._cluster and self._cluster.label == label else None

    def cluster(self, cluster_id: str) -> LiveCluster:
        if not self._cluster:
            raise VultrError(f"Vultr has no {cluster_id}")
        return self._cluster

    def has_instance(self, instance_id: str) -> bool:
        return False

    def kubeconfig(self, cluster_id: str) -> str:
        raise AssertionError("a preview of a new cluster has no kubeconfig")


def rendered(project: Path, stack: str, nodes: tuple[LiveNode, ...] | None = None) -> Rendering:
    """Render a stack; with `nodes`, the cluster labelled after it exists and has these."""
    cluster = None if nodes is None else live_cluster(nodes, f"edgefleet-{stack}")
    return render(project, stack, lambda: FakeVultr(cluster))


def of_type(rendering: Rendering, type_token: str) -> dict[str, Registered]:
    return {r.name: r for r in rendering.resources if r.type == type_token}
