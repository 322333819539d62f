"""A live cluster, as `fleet import` meets it: what of it goes into a stack file, and what can't."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from components.vendors.vultr import BASE
from infra.settings.firewall import Firewall
from ops.command import CommandError

DEFAULT_POOL = "tf-vke-default"
"""The tag by which the provider knows the pool that belongs to the cluster itself; reading a
cluster without one is an error (docs/facts/vultr.md §1, resource_vultr_kubernetes.go)."""

_WEB = (80, 443)
(PODS,) = Firewall().pod_networks
"""The cluster's subnet where nobody named one."""


class ImportRefused(CommandError):
    """What exists can't be taken over as it is; the text is for a person."""


def check(live: Mapping[str, Any]) -> None:
    """Raises ImportRefused where the cluster can't be taken over."""
    label = live["label"]
    if live["status"] != "active":
        raise ImportRefused(f"cluster {label}: is {live['status']}, not active yet")
    if not live.get("firewall_group_id"):
        raise ImportRefused(
            f"cluster {label}: was made without a managed firewall, and Vultr adds none later: its "
            "nodes can't be closed to all but Cloudflare. Make a new cluster beside it (a new "
            "stack file with the same region), move, and delete this one"
        )


def stack_file(
    project: str,
    region: str,
    live: Mapping[str, Any],
    vpc: str | None,
    nodes_in: str | None = None,
) -> str:
    """The stack file of a live cluster. `vpc` is its VPC's network, where it has one of its own,
    `nodes_in` that of a VPC which isn't its own."""
    pools = []
    for pool in _pools(live):
        entry: dict[str, Any] = {
            "label": pool["label"],
            "plan": pool["plan"],
            "nodes": pool["node_quantity"],
        }
        if pool.get("auto_scaler"):
            entry["autoscale"] = {"min": pool["min_nodes"], "max": pool["max_nodes"]}
        if pool.get("labels"):
            entry["labels"] = dict(pool["labels"])
        pools.append(entry)
    cluster: dict[str, Any] = {
        "label": live["label"],
        "location": live["region"],
        "version": live["version"],
        "pools": pools,
    }
    if live.get("ha_controlplanes"):
        cluster["highAvailability"] = True
    if vpc:
        cluster["vpc"] = {"cidr": vpc}
    config: dict[str, Any] = {f"{project}:region": region, f"{project}:cluster": cluster}
    firewall: dict[str, Any] = {}
    if nodes_in:
        firewall["nodeNetworks"] = [nodes_in]
    pods = live.get("cluster_subnet") or PODS
    if pods != PODS:
        firewall["podNetworks"] = [pods]
    if firewall:
        config[f"{project}:firewall"] = firewall
    return yaml.safe_dump(
        {"config": config},
        sort_keys=False,
        default_flow_style=None,
        width=100,
    )


def mark_default_pool(live: Mapping[str, Any]) -> list[str]:
    """Shell lines that tag the first pool, where no pool has the provider's tag."""
    first = _pools(live)[0]
    if first.get("tag") == DEFAULT_POOL:
        return []
    url = f"{BASE}/kubernetes/clusters/{live['id']}/node-pools/{first['id']}"
    body = shlex.quote(json.dumps({"tag": DEFAULT_POOL}))
    # The key goes through a pipe: arguments are for every process to read.
    return [
        f"# The provider knows a cluster's first pool by a tag. This sets it on {first['label']}:",
        "printf 'Authorization: Bearer %s' \"$VULTR_API_KEY\" | curl -fsS -o /dev/null -X PATCH "
        f"-H @- -H 'Content-Type: application/json' -d {body} {url}",
    ]


def pool_remarks(live: Mapping[str, Any]) -> Iterator[str]:
    """What pools have that no stack file can say."""
    for pool in live["node_pools"]:
        if pool.get("tag") not in (None, "", DEFAULT_POOL):
            yield f"pool {pool['label']}: its tag {pool['tag']!r} will be taken away"
        if pool.get("taints"):
            yield (
                f"pool {pool['label']}: has taints, which a stack file can't say: `pulumi up` "
                "shows them as going, and Vultr leaves them on the nodes that are there"
            )


def rule_remarks(rules: list[dict[str, Any]]) -> Iterator[str]:
    """Rules that let others than Cloudflare reach :80 and :443: no stack touches them."""
    found = [rule for rule in rules if rule.get("source") != "cloudflare" and _to_web(rule)]
    if found:
        listed = ", ".join(
            f"{rule['id']} ({rule['subnet']}/{rule['subnet_size']} to {rule['port'] or 'all'})"
            for rule in found[:5]
        )
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield (
            f"firewall rules let others than Cloudflare reach :80 or :443, and stay: {listed}{more}"
            ". Delete them in Vultr's console once `pulumi up` is through"
        )


def _pools(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pools, that with the provider's tag first."""
    return sorted(live["node_pools"], key=lambda pool: pool.get("tag") != DEFAULT_POOL)


def _to_web(rule: Mapping[str, Any]) -> bool:
    if rule.get("protocol") != "tcp":
        return False
    first, _, last = str(rule.get("port") or "1:65535").replace("-", ":").partition(":")
    return any(int(first) <= port <= int(last or first) for port in _WEB)
