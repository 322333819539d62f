"""Vultr's API, for the calls that the provider can't do well.

The provider's outputs show nodes as they were at the last create or refresh, and looking up one
node's address takes four requests (docs/facts/real-providers.md, Vultr 2, 4, 6). Here a cluster's
live nodes with their addresses take one request for the clusters and one per 500 instances.
"""

import time
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import requests

from ..errors import VultrError
from ..json_object import Json, object_at, objects_at
from .session import Session

BASE = "https://api.vultr.com/v2"


@dataclass(frozen=True)
class LiveNode:
    """A node as Vultr has it now. `id` is its instance id; addresses are "" until Vultr has
    assigned them."""

    id: str
    label: str
    pool: str
    status: str
    ipv4: str
    ipv6: str

    @property
    def ready(self) -> bool:
        """Active, and reachable by both address families."""
        return self.status == "active" and bool(self.ipv4) and bool(self.ipv6)


@dataclass(frozen=True)
class Pool:
    """A node pool by its id and label."""

    id: str
    label: str


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

    @property
    def ready_nodes(self) -> tuple[LiveNode, ...]:
        """The nodes that can serve, in the order of their ids."""
        return tuple(sorted((n for n in self.nodes if n.ready), key=lambda node: node.id))


@dataclass(frozen=True)
class Wanted:
    """What a cluster should come to.

    `pools` maps each pool's label to its least and its most nodes, equal where nothing scales it.
    """

    version: str
    pools: Mapping[str, tuple[int, int]]


def unmet(cluster: LiveCluster, wanted: Wanted) -> list[str]:
    """What still keeps `cluster` from being as `wanted`, as sentences; none when it is."""
    missing: list[str] = []
    if cluster.version != wanted.version:
        missing.append(f"version {wanted.version} (it is {cluster.version})")
    if cluster.status != "active":
        missing.append(f"the cluster (it is {cluster.status})")
    for label, (least, most) in sorted(wanted.pools.items()):
        nodes = [node for node in cluster.nodes if node.pool == label]
        ready = sum(node.ready for node in nodes)
        if ready < least:
            missing.append(f"{least - ready} of {least} nodes of pool {label}")
        elif len(nodes) > most:
            missing.append(f"{len(nodes) - most} leaving nodes of pool {label}")
        elif waiting := [node for node in nodes if not node.ready]:
            named = ", ".join(f"{node.label} ({node.status})" for node in waiting)
            missing.append(f"nodes of pool {label}: {named}")
    return missing


class VultrApi:
    """Vultr's API. Every method raises VultrError.

    Args:
        key: an API key.
    """

    def __init__(self, key: str) -> None:
        self._session = Session("Vultr", BASE, key, VultrError)

    def clusters(self) -> list[Json]:
        """The account's clusters, as the API gives them."""
        return self._list("/kubernetes/clusters", "vke_clusters")

    def find_cluster(self, label: str) -> LiveCluster | None:
        """The cluster with this label, None where there is none.

        Raises VultrError also where two clusters have the label: nothing tells them apart.
        """
        found = [cluster for cluster in self.clusters() if cluster["label"] == label]
        if len(found) > 1:
            ids = ", ".join(sorted(c["id"] for c in found))
            raise VultrError(
                f"Vultr has {len(found)} clusters labelled {label!r} ({ids}). Delete or rename the "
                "ones that are not this stack's, then run the command again."
            )
        return self._with_nodes(found[0]) if found else None

    def cluster(self, cluster_id: str) -> LiveCluster:
        """The cluster with this id."""
        return self._with_nodes(self._get(f"/kubernetes/clusters/{cluster_id}")["vke_cluster"])

    def kubeconfig(self, cluster_id: str) -> str:
        """The cluster's kubeconfig as YAML. A secret."""
        return b64decode(
            self._get(f"/kubernetes/clusters/{cluster_id}/config")["kube_config"]
        ).decode()

    def has_firewall_group(self, group_id: str) -> bool:
        """Whether the firewall group is there."""
        return self._session.ask("GET", f"/firewalls/{group_id}").status_code != 404

    def firewall_rules(self, group_id: str) -> list[Json]:
        """The rules of a firewall group, as the API gives them."""
        return self._list(f"/firewalls/{group_id}/rules", "firewall_rules")

    def add_firewall_rule(self, group_id: str, rule: Mapping[str, Any]) -> str:
        """Add a rule to a group; its id. An error may come after Vultr carried it out."""
        path = f"/firewalls/{group_id}/rules"
        answer = self._checked("POST", path, self._session.ask("POST", path, body=dict(rule)))
        return str(answer["firewall_rule"]["id"])

    def remove_firewall_rule(self, group_id: str, rule_id: str) -> None:
        """Remove a rule; one that is gone already is no error."""
        path = f"/firewalls/{group_id}/rules/{rule_id}"
        answer = self._session.ask("DELETE", path)
        if not answer.ok and answer.status_code != 404:
            self._checked("DELETE", path, answer)

    def vpcs(self) -> list[Json]:
        """The account's VPCs, as the API gives them."""
        return self._list("/vpcs", "vpcs")

    def private_addresses(self, instances: Collection[str]) -> list[str]:
        """The addresses that these instances (ids) have in their VPC."""
        found = [i for i in self._list("/instances", "instances") if i["id"] in instances]
        return sorted(str(i["internal_ip"]) for i in found if i.get("internal_ip"))

    def wait_for_cluster(
        self,
        cluster_id: str,
        wanted: Wanted,
        say: Callable[[str], None],
        timeout: float = 1800,
        interval: float = 5,
    ) -> LiveCluster:
        """Poll until the cluster is as `wanted`; blocks.

        Args:
            say: told what is awaited, each time that changes.
            timeout, interval: seconds.

        Raises VultrError when the time is up, too, naming what didn't come.
        """
        deadline = time.monotonic() + timeout
        said: list[str] = []
        while True:
            cluster = self.cluster(cluster_id)
            missing = unmet(cluster, wanted)
            if not missing:
                return cluster
            if missing != said:
                say(f"cluster {cluster.label}: waiting for {'; '.join(missing)}")
                said = missing
            if time.monotonic() > deadline:
                raise VultrError(
                    f"cluster {cluster.label}: after {timeout / 60:.0f} minutes still waiting for "
                    f"{'; '.join(missing)}. Look at it in Vultr's console; `pulumi up` goes on "
                    "from here."
                )
            time.sleep(min(interval, max(0.0, deadline - time.monotonic()) + 0.1))

    def _with_nodes(self, cluster: Json) -> LiveCluster:
        pools = objects_at(cluster, "node_pools")
        ids = {node["id"] for pool in pools for node in objects_at(pool, "nodes")}
        instances = {i["id"]: i for i in self._list("/instances", "instances") if i["id"] in ids}
        return LiveCluster(
            id=cluster["id"],
            label=cluster["label"],
            location=cluster["region"],
            version=cluster["version"],
            status=cluster["status"],
            firewall_group_id=cluster.get("firewall_group_id") or "",
            pools=tuple(Pool(pool["id"], pool["label"]) for pool in pools),
            nodes=tuple(_nodes(pools, instances)),
        )

    def _list(self, path: str, key: str) -> list[Json]:
        found: list[Json] = []
        cursor = ""
        while True:
            page = self._get(path, {"per_page": "500"} | ({"cursor": cursor} if cursor else {}))
            found += objects_at(page, key)
            cursor = object_at(page, "meta", "links").get("next") or ""
            if not cursor:
                return found

    def _get(self, path: str, query: dict[str, str] | None = None) -> Json:
        return self._checked("GET", path, self._session.ask("GET", path, query=query))

    def _checked(self, method: str, path: str, answer: requests.Response) -> Json:
        status = answer.status_code
        if status == 401:
            raise VultrError(
                "Vultr refused the API key (401): set VULTR_API_KEY or `pulumi config set --secret "
                "vultr:apiKey`, and allow this machine's address in Vultr's API settings",
                status,
            )
        if status == 404:
            raise VultrError(
                f"Vultr has no {path}: was it deleted outside Pulumi? `pulumi refresh` takes what "
                "is gone out of the state",
                status,
            )
        said = f"Vultr answered {method} {path} with"
        if not answer.ok:
            raise VultrError(f"{said} {status}: {answer.text[:300]}", status)
        try:
            return answer.json()
        except ValueError:
            raise VultrError(f"{said} no JSON: {answer.text[:300]}", status) from None


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
