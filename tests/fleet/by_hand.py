"""What somebody has who made it all by clicks and scripts: filled in by plain API calls."""

import json
import time
from collections.abc import Callable
from typing import Any

import requests

from tests.fleet.fleet import ZONE, Fleet

ACCOUNT = "8765be9597757f48c916e09754a92d51"
OLD_WORKER = """export default { fetch(request) { return fetch(request) } }"""
ADMIN = "198.51.100.0"


def region_by_hand(fleet: Fleet, label: str, host: str, pools: list[dict[str, Any]]) -> None:
    """A cluster with pools, rules in its firewall group, and a record for each node's address."""
    first, *further = pools
    wanted = {"label": label, "region": "ewr", "version": "v1.35.5+1", "enable_firewall": True}
    fleet.vultr("POST", "/v2/kubernetes/clusters", {**wanted, "node_pools": [first]})
    path = f"/v2/kubernetes/clusters/{cluster(fleet, label)['id']}"
    for pool in further:
        fleet.vultr("POST", f"{path}/node-pools", pool)
    count = sum(pool["node_quantity"] for pool in pools)
    until(lambda: _settled(cluster(fleet, label), count))
    group = f"/v2/firewalls/{cluster(fleet, label)['firewall_group_id']}/rules"
    for rule in _rules():
        fleet.vultr("POST", group, rule)
    for kind, address in addresses(fleet, label):
        record(fleet, kind, host, address)


def edge_by_hand(fleet: Fleet) -> None:
    """A Worker with a route, its host a CNAME to a region; another host an address."""
    upload(fleet, "router", OLD_WORKER)
    for host in ("example.com", "api.example.com"):
        route = {"pattern": f"{host}/*", "script": "router"}
        fleet.cloudflare("POST", f"/zones/{ZONE}/workers/routes", route)
    record(fleet, "CNAME", "example.com", "us.example.com")
    record(fleet, "A", "api.example.com", "192.0.2.7")


def upload(fleet: Fleet, name: str, script: str) -> None:
    """PUT a Worker's script, as the dashboard does."""
    base = fleet.environment["CLOUDFLARE_BASE_URL"]
    token = fleet.environment["CLOUDFLARE_API_TOKEN"]
    metadata = {"main_module": "worker.js", "compatibility_date": "2025-01-01"}
    answer = requests.put(
        f"{base}/accounts/{ACCOUNT}/workers/scripts/{name}",
        headers={"Authorization": f"Bearer {token}"},
        files={
            "metadata": (None, json.dumps(metadata), "application/json"),
            "worker.js": ("worker.js", script, "application/javascript+module"),
        },
        timeout=30,
    )
    answer.raise_for_status()


def has_worker(fleet: Fleet, name: str) -> bool:
    """Whether a Worker of this name is there."""
    found = fleet.cloudflare("GET", f"/accounts/{ACCOUNT}/workers/scripts")["result"]
    return name in [script["id"] for script in found]


def record(fleet: Fleet, kind: str, name: str, content: str) -> None:
    """POST a proxied record."""
    body = {"type": kind, "name": name, "content": content, "proxied": True, "ttl": 1}
    fleet.cloudflare("POST", f"/zones/{ZONE}/dns_records", body)


def cluster(fleet: Fleet, label: str) -> dict[str, Any]:
    """The cluster with this label."""
    (found,) = fleet.clusters(label)
    # By its id: only such answers count towards becoming active.
    return fleet.vultr("GET", f"/v2/kubernetes/clusters/{found['id']}")["vke_cluster"]


def addresses(fleet: Fleet, label: str) -> list[tuple[str, str]]:
    """Type and content of a record for each address of the cluster's nodes."""
    ids = {n["id"] for pool in cluster(fleet, label)["node_pools"] for n in pool["nodes"]}
    found = fleet.vultr("GET", "/v2/instances?per_page=500")["instances"]
    return [
        (kind, instance[key])
        for instance in found
        if instance["id"] in ids
        for kind, key in (("A", "main_ip"), ("AAAA", "v6_main_ip"))
    ]


def until(settled: Callable[[], bool]) -> None:
    """Poll until it is so; two minutes at most."""
    deadline = time.monotonic() + 120
    while not settled():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _settled(found: dict[str, Any], count: int) -> bool:
    nodes = [node for pool in found["node_pools"] for node in pool["nodes"]]
    active = all(node["status"] == "active" for node in nodes)
    ready = found["status"] == "active" and bool(found["firewall_group_id"])
    return ready and active and len(nodes) == count


def _rules() -> list[dict[str, Any]]:
    """:80 and :443 from Cloudflare; :22 from an office; and :443 from there past Cloudflare."""
    anywhere = (("v4", "0.0.0.0"), ("v6", "::"))
    return [
        _rule(family, port, address, 0, "cloudflare", f"web {port} from Cloudflare")
        for family, address in anywhere
        for port in ("80", "443")
    ] + [_rule("v4", port, ADMIN, 24, "", "office") for port in ("22", "443")]


def _rule(family: str, port: str, subnet: str, size: int, source: str, notes: str) -> Any:
    return {
        "ip_type": family,
        "protocol": "tcp",
        "port": port,
        "subnet": subnet,
        "subnet_size": size,
        "source": source,
        "notes": notes,
    }
