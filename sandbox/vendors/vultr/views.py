"""How the emulated Vultr shows its state: the JSON objects of the v2 API."""

from typing import Any

from sandbox.vendors.store import Document
from sandbox.vendors.vultr.catalog import PLANS
from sandbox.vendors.vultr.lifecycle import Cluster, Node, Pool, addresses, clusters, listed

View = dict[str, Any]

MAX_RULES = 50
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 (what the API shows for none)
_OS = {"os": "Ubuntu 24.04 LTS x64", "os_id": 2284}


def cluster_view(cluster: Cluster, now: float) -> View:
    """``vke_cluster``. enable_firewall and vpc_id are never shown (docs/facts/vultr.md §1)."""
    return {
        "id": cluster["id"],
        "label": cluster["label"],
        "date_created": cluster["date_created"],
        "cluster_subnet": "10.244.0.0/16",
        "service_subnet": "10.96.0.0/12",
        "ip": f"45.76.{cluster['block']}.2" if cluster["answers"] else _NO_ADDRESS,
        "endpoint": f"{cluster['id']}.vultr-k8s.com",
        "version": "" if cluster.get("version_lost") else cluster["version"],
        "region": cluster["region"],
        "status": cluster["status"],
        "ha_controlplanes": cluster["ha_controlplanes"],
        "firewall_group_id": linked_group(cluster, now),
        "node_pools": [pool_view(pool, now) for pool in cluster["pools"]],
    }


def linked_group(cluster: Cluster, now: float) -> str:
    """The managed firewall group's id once it is linked, "" until then."""
    return cluster["firewall_group_id"] if now >= cluster.get("firewall_linked_at", 0) else ""


def pool_view(pool: Pool, now: float) -> View:
    """``node_pool``. Its nodes have no address here (docs/facts/vultr.md §1)."""
    shown = (
        "id", "date_created", "date_updated", "label", "tag", "plan", "node_quantity",
        "min_nodes", "max_nodes", "auto_scaler", "user_data", "labels", "taints",
    )  # fmt: skip
    return {
        **{name: pool[name] for name in shown},
        "status": "active" if pool["ready"] else "pending",
        "nodes": [
            {
                "id": node["id"],
                "label": node["label"],
                "date_created": node["date_created"],
                "status": _status(node),
            }
            for node in listed(pool, now)
        ],
    }


def instance_view(cluster: Cluster, pool: Pool, node: Node) -> View:
    """``instance``: a worker node, with addresses once it is active."""
    plan = PLANS.get(pool["plan"], {})
    own = addresses(cluster, node)
    active = node["active"]
    public = active and not pool.get("vpc_only")
    ipv6 = public and not node.get("ipv6_lost")
    return {
        "id": node["id"],
        **_OS,
        "ram": plan.get("ram", 0),
        "disk": plan.get("disk", 0),
        "vcpu_count": plan.get("vcpu_count", 0),
        "plan": pool["plan"],
        "main_ip": own.main_ip if public else _NO_ADDRESS,
        "netmask_v4": "255.255.255.0" if public else "",
        "gateway_v4": own.gateway_v4 if public else _NO_ADDRESS,
        "v6_network": own.v6_network if ipv6 else "",
        "v6_main_ip": own.v6_main_ip if ipv6 else "",
        "v6_network_size": 64 if ipv6 else 0,
        "internal_ip": own.internal_ip if active else "",
        "region": cluster["region"],
        "date_created": node["date_created"],
        "status": _status(node),
        "power_status": "running",
        "server_status": "ok" if active else "none",
        "allowed_bandwidth": plan.get("bandwidth", 0),
        "label": node["label"],
        "hostname": node["label"],
        "tag": "",
        "tags": [],
        "kvm": "",
        "app_id": 0,
        "image_id": "",
        "snapshot_id": "",
        "features": ["ipv6"],
        "user_scheme": "root",
        "firewall_group_id": cluster["firewall_group_id"],
    }


def instances(document: Document, now: float) -> list[tuple[Cluster, Pool, Node]]:
    """Every worker node that the API lists at ``now``, with its pool and cluster."""
    return [
        (cluster, pool, node)
        for cluster in clusters(document).values()
        for pool in cluster["pools"]
        for node in listed(pool, now)
    ]


def group_view(document: Document, group: dict[str, Any], now: float) -> View:
    """``firewall_group``."""
    linked = [
        node
        for cluster, _, node in instances(document, now)
        if cluster["firewall_group_id"] == group["id"]
    ]
    return {
        "id": group["id"],
        "description": group["description"],
        "date_created": group["date_created"],
        "date_modified": group["date_modified"],
        "instance_count": len(linked),
        "rule_count": len(group["rules"]),
        "max_rule_count": MAX_RULES,
    }


def _status(node: Node) -> str:
    return "active" if node["active"] else "pending"
