"""How the emulated clusters and nodes come, change and go: pure functions over the state.

Time passes only as ``now`` says; nothing runs in between. A node that is to come has an
``appears_at``: until then the API doesn't list it (docs/facts/real-providers.md, Vultr 2: an API
that lists a new node late). From ``active_at`` on, and once the cluster's API server answers, it is
active and has addresses.
"""

import uuid
from typing import Any

from sandbox.clusters.backend import NodeSpec
from sandbox.vendors.store import Document
from sandbox.vendors.vultr.addresses import BLOCKS, HOSTS, Addresses, next_free, node_addresses
from sandbox.vendors.vultr.catalog import VERSIONS
from sandbox.vendors.vultr.http import iso_date

Cluster = dict[str, Any]
Pool = dict[str, Any]
Node = dict[str, Any]

DEFAULT_SETTINGS: dict[str, Any] = {
    # Answers of GET /kubernetes/clusters/{id} that say pending, at the least.
    "cluster_polls": 2,
    # Until a node added by PATCH, recycle or upgrade is listed.
    "node_delay_seconds": 3.0,
    # Between a node being listed and being active.
    "node_boot_seconds": 1.0,
    # Between POST …/upgrades and the new version showing.
    "upgrade_delay_seconds": 1.0,
    # Between the nodes that an upgrade makes; the old ones leave all at once.
    "upgrade_node_seconds": 0.0,
    # Until a cluster shows its managed firewall group.
    "firewall_delay_seconds": 3.0,
    # Before 429; 0 for no limit. Vultr's is 30; the providers here wait a twentieth of their times.
    "requests_per_second": 600.0,
    "versions": VERSIONS,
}


def settings(document: Document) -> dict[str, Any]:
    """The settings in force."""
    return {**DEFAULT_SETTINGS, **document.get("settings", {})}


def change_settings(document: Document, changes: dict[str, Any]) -> None:
    """Change settings. Raises ``ValueError`` for one that doesn't exist or of the wrong kind."""
    for name, value in changes.items():
        if name not in DEFAULT_SETTINGS:
            raise ValueError(f"setting {name!r}; allowed: {sorted(DEFAULT_SETTINGS)}")
        wants_list = isinstance(DEFAULT_SETTINGS[name], list)
        fits = (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
            if wants_list
            else isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        )
        if not fits:
            kind = "a list of strings" if wants_list else "a number of 0 or more"
            raise ValueError(f"setting {name}: {value!r}; allowed: {kind}")
    document.setdefault("settings", {}).update(changes)


def clusters(document: Document) -> dict[str, Cluster]:
    """All clusters by id."""
    return document.setdefault("clusters", {})


def new_cluster(document: Document, body: dict[str, Any], now: float) -> Cluster:
    """Add a cluster without pools. Raises ``ValueError`` when no block of addresses is free."""
    used = {cluster["block"] for cluster in clusters(document).values()}
    block = next_free(document.get("last_block", 0), used, BLOCKS)
    document["last_block"] = block
    cluster: Cluster = {
        "id": str(uuid.uuid4()),
        "label": str(body.get("label", "")),
        "date_created": iso_date(now),
        "region": body["region"],
        "version": body["version"],
        "ha_controlplanes": bool(body.get("ha_controlplanes")),
        "vpc_id": body.get("vpc_id") or "",
        "firewall_group_id": "",
        "firewall_linked_at": now + settings(document)["firewall_delay_seconds"],
        "version_lost": False,
        "block": block,
        "network": f"10.{block}.96.0/20",
        "last_host": HOSTS.start - 1,
        "status": "pending",
        "polls": 0,
        "answers": False,
        "upgrade": None,
        "pools": [],
    }
    clusters(document)[cluster["id"]] = cluster
    return cluster


def new_pool(document: Document, cluster: Cluster, body: dict[str, Any], now: float) -> Pool:
    """Add a pool, its nodes listed at once (still pending)."""
    quantity = body["node_quantity"]
    pool: Pool = {
        "id": str(uuid.uuid4()),
        "date_created": iso_date(now),
        "date_updated": iso_date(now),
        "label": body["label"],
        "tag": body.get("tag") or "",
        "plan": body["plan"],
        "node_quantity": quantity,
        "min_nodes": body.get("min_nodes") or 1,
        "max_nodes": body.get("max_nodes") or 1,
        "auto_scaler": bool(body.get("auto_scaler")),
        "user_data": body.get("user_data") or "",
        "labels": dict(body.get("labels") or {}),
        "taints": list(body.get("taints") or []),
        # A pool of nodes without public addresses (Terraform provider #747).
        "vpc_only": bool(body.get("vpc_only")),
        "ready": False,
        "nodes": [],
    }
    cluster["pools"].append(pool)
    for _ in range(quantity):
        add_node(document, cluster, pool, now, delay=0)
    return pool


def add_node(
    document: Document, cluster: Cluster, pool: Pool, now: float, delay: float | None = None
) -> Node:
    """Add a node that is listed after ``delay`` seconds (default: the setting)."""
    current = settings(document)
    appears_at = now + (current["node_delay_seconds"] if delay is None else delay)
    used = {node["host"] for node in nodes(cluster)}
    host = next_free(cluster["last_host"], used, HOSTS)
    cluster["last_host"] = host
    node: Node = {
        "id": str(uuid.uuid4()),
        "label": f"{pool['label']}-{uuid.uuid4().hex[:12]}",
        "date_created": iso_date(appears_at),
        "host": host,
        "appears_at": appears_at,
        "active_at": appears_at + current["node_boot_seconds"],
        "active": False,
    }
    pool["nodes"].append(node)
    return node


def scale(document: Document, cluster: Cluster, pool: Pool, quantity: int, now: float) -> None:
    """Give the pool ``quantity`` nodes: new ones come late, the newest go at once."""
    pool["node_quantity"] = quantity
    del pool["nodes"][quantity:]
    while len(pool["nodes"]) < quantity:
        add_node(document, cluster, pool, now)


def recycle(document: Document, cluster: Cluster, pool: Pool, node: Node, now: float) -> None:
    """Replace a node: it goes, and one with another id and other addresses comes."""
    pool["nodes"].remove(node)
    add_node(document, cluster, pool, now)


def autoscale(document: Document, cluster: Cluster, pool: Pool, quantity: int, now: float) -> None:
    """What the autoscaler does when the load asks for ``quantity`` nodes: no more than its bounds
    allow. Raises ``ValueError`` where it is off."""
    if not pool["auto_scaler"]:
        raise ValueError(f"node pool {pool['label']}: its autoscaler is off")
    bounded = min(max(quantity, pool["min_nodes"]), pool["max_nodes"])
    scale(document, cluster, pool, bounded, now)


def start_upgrade(document: Document, cluster: Cluster, version: str, now: float) -> None:
    """Begin an upgrade; its end is a matter of time."""
    at = now + settings(document)["upgrade_delay_seconds"]
    cluster["upgrade"] = {"version": version, "at": at}


def advance(document: Document, now: float) -> None:
    """Bring every cluster to what it is at ``now``."""
    polls = settings(document)["cluster_polls"]
    for cluster in clusters(document).values():
        if cluster["status"] == "pending" and cluster["answers"] and cluster["polls"] >= polls:
            cluster["status"] = "active"
        upgrade = cluster["upgrade"]
        if upgrade and now >= upgrade["at"]:
            cluster["upgrade"] = None
            cluster["version"] = upgrade["version"]
            _replace_nodes(document, cluster, now)
        for pool in cluster["pools"]:
            for node in pool["nodes"]:
                if cluster["answers"] and now >= node["active_at"] and not node.get("broken"):
                    node["active"] = True
            if pool["nodes"] and all(node["active"] for node in pool["nodes"]):
                pool["ready"] = True


def _replace_nodes(document: Document, cluster: Cluster, now: float) -> None:
    """All leave at once, as users saw it (docs/facts/vultr-users.md, 5): meanwhile a pool shows no
    node, and is active all the same. New ones come one after the other."""
    apart = settings(document)["upgrade_node_seconds"]
    coming = now
    for pool in cluster["pools"]:
        for node in list(pool["nodes"]):
            recycle(document, cluster, pool, node, coming)
            coming += apart


def nodes(cluster: Cluster) -> list[Node]:
    """Every node of the cluster, listed or still to come."""
    return [node for pool in cluster["pools"] for node in pool["nodes"]]


def listed(pool: Pool, now: float) -> list[Node]:
    """The pool's nodes that the API shows at ``now``."""
    return [node for node in pool["nodes"] if node["appears_at"] <= now]


def addresses(cluster: Cluster, node: Node) -> Addresses:
    """A node's addresses (it has them once it is active)."""
    return node_addresses(cluster["block"], node["host"], cluster["network"])


def node_specs(cluster: Cluster) -> list[NodeSpec]:
    """The nodes that the cluster's API server should have: the active ones."""
    return [
        _spec(cluster, pool, node)
        for pool in cluster["pools"]
        for node in pool["nodes"]
        if node["active"]
    ]


def _spec(cluster: Cluster, pool: Pool, node: Node) -> NodeSpec:
    own = addresses(cluster, node)
    return {
        "id": node["id"],
        "label": node["label"],
        "pool_id": pool["id"],
        "pool_label": pool["label"],
        "main_ip": own.main_ip,
        "v6_main_ip": own.v6_main_ip,
        "internal_ip": own.internal_ip,
        "labels": pool["labels"],
        "taints": pool["taints"],
        "plan": pool["plan"],
        "region": cluster["region"],
    }
