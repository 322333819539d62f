"""A cluster at Vultr, its pools and its nodes, read from the API's answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from ..json_object import Json, object_at, objects_at


@dataclass(frozen=True)
class LiveNode:
    """A node as Vultr has it now. `id` is its instance id; addresses are "" until Vultr has
    assigned them, and for ever in a pool without public addresses."""

    id: str
    label: str
    pool: str
    status: str
    ipv4: str
    ipv6: str

    def ready(self, ipv6: bool = True) -> bool:
        """Active, and reachable by IPv4, and by IPv6 where that is asked for."""
        return self.status == "active" and bool(self.ipv4) and (bool(self.ipv6) or not ipv6)


@dataclass(frozen=True)
class Pool:
    """A node pool. `nodes` is the size that Vultr gives it, `autoscale` its least and most nodes
    where the autoscaler is on."""

    id: str
    label: str
    nodes: int = 0
    autoscale: tuple[int, int] | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class LiveCluster:
    """A cluster as Vultr has it now."""

    id: str
    label: str
    location: str
    version: str
    status: str
    firewall_group_id: str
    pools: tuple[Pool, ...]
    nodes: tuple[LiveNode, ...]

    def ready_nodes(self, ipv6: bool = True) -> tuple[LiveNode, ...]:
        """The nodes that can serve, in the order of their ids."""
        return tuple(sorted((n for n in self.nodes if n.ready(ipv6)), key=lambda node: node.id))

    def pool(self, label: str) -> Pool | None:
        """The pool of this label, None where there is none."""
        return next((pool for pool in self.pools if pool.label == label), None)

    def nodes_of(self, label: str) -> list[LiveNode]:
        """The nodes of the pool of this label."""
        return [node for node in self.nodes if node.pool == label]


def live_cluster(cluster: Mapping[str, Any], instances: Iterable[Json]) -> LiveCluster:
    """A cluster as GET …/clusters shows it; `instances` are the account's, other ones too."""
    pools = objects_at(cluster, "node_pools")
    machines = {instance["id"]: instance for instance in instances}
    return LiveCluster(
        id=cluster["id"],
        label=cluster["label"],
        location=cluster["region"],
        version=cluster.get("version") or "",
        status=cluster["status"],
        firewall_group_id=cluster.get("firewall_group_id") or "",
        pools=tuple(_pool(pool) for pool in pools),
        nodes=tuple(_nodes(pools, machines)),
    )


def _pool(pool: Mapping[str, Any]) -> Pool:
    return Pool(
        id=pool["id"],
        label=pool["label"],
        nodes=int(pool.get("node_quantity") or 0),
        autoscale=(int(pool["min_nodes"]), int(pool["max_nodes"]))
        if pool.get("auto_scaler")
        else None,
        labels={str(key): str(value) for key, value in object_at(pool, "labels").items()},
    )


def _nodes(pools: Iterable[Json], instances: Mapping[str, Json]) -> Iterable[LiveNode]:
    for pool in pools:
        for node in objects_at(pool, "nodes"):
            instance = instances.get(node["id"], {})
            yield LiveNode(
                id=node["id"],
                label=node["label"],
                pool=pool["label"],
                status=node["status"],
                ipv4=_address(instance.get("main_ip")),
                ipv6=_address(instance.get("v6_main_ip")),
            )


def _address(text: str | None) -> str:
    """`text` in its canonical form, "" where there is none yet (Vultr says "0.0.0.0" or "")."""
    if not text:
        return ""
    address = ip_address(text)
    return "" if address.is_unspecified else str(address)
