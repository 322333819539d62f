"""Vultr's API, for the calls that the provider can't do well.

The provider's outputs show nodes as they were at the last create or refresh, and looking up one
node's address takes four requests (docs/facts/real-providers.md, Vultr 2, 4, 6). Here a cluster's
live nodes with their addresses take one request for the clusters and one per 500 instances.
"""

from base64 import b64decode
from collections.abc import Collection, Mapping
from typing import Any

import requests

from ..errors import VultrError
from ..json_object import Json, object_at, objects_at
from .session import Session
from .vultr_cluster import LiveCluster, live_cluster

BASE = "https://api.vultr.com/v2"


def deletion(cluster_id: str) -> str:
    """The command that deletes a cluster with what Vultr made for it."""
    return (
        'curl -X DELETE -H "Authorization: Bearer $VULTR_API_KEY" '
        f"{BASE}/kubernetes/clusters/{cluster_id}/delete-with-linked-resources"
    )


class VultrApi:
    """Vultr's API. Every method raises VultrError.

    Args:
        key: an API key.
        patient: ask again and again where it doesn't answer.
    """

    def __init__(self, key: str, patient: bool = True) -> None:
        self._session = Session("Vultr", BASE, key, VultrError, patient)

    def clusters(self) -> list[Json]:
        """The account's clusters, as the API gives them."""
        return self._list("/kubernetes/clusters", "vke_clusters")

    def live_clusters(self) -> dict[str, tuple[Json, LiveCluster]]:
        """The account's clusters by id, as the API gives them and with their nodes' addresses."""
        clusters, instances = self.clusters(), self._list("/instances", "instances")
        return {each["id"]: (each, live_cluster(each, instances)) for each in clusters}

    def find_cluster(self, label: str) -> LiveCluster | None:
        """The cluster with this label, None where there is none.

        Raises VultrError also where two clusters have the label: nothing tells them apart.
        """
        found = [cluster for cluster in self.clusters() if cluster["label"] == label]
        if len(found) > 1:
            told = "; ".join(self.told(cluster) for cluster in found)
            raise VultrError(
                f"Vultr has {len(found)} clusters labelled {label!r}: {told}. An `up` whose answer "
                "was lost may have made the second. Delete one that is empty, in Vultr's console "
                f"or by `{deletion('ID')}`, then run the command again: it takes over the one that "
                "is left"
            )
        return self.with_nodes(found[0]) if found else None

    def told(self, cluster: Json) -> str:
        """A cluster of `clusters()` in words, and whether anything was ever made for it."""
        group = cluster.get("firewall_group_id")
        rules = len(self.firewall_rules(group)) if group else 0
        nodes = sum(len(objects_at(pool, "nodes")) for pool in objects_at(cluster, "node_pools"))
        kept = f"{rules} firewall rules" if rules else "empty: no firewall rule was made for it"
        made = cluster.get("date_created") or "an unknown time"
        return f"{cluster['id']} (of {made}, {nodes} nodes, {kept})"

    def cluster(self, cluster_id: str) -> LiveCluster:
        """The cluster with this id."""
        return self.with_nodes(self._get(f"/kubernetes/clusters/{cluster_id}")["vke_cluster"])

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

    def upgrades(self, cluster_id: str) -> list[str]:
        """The versions that a cluster can go to, as Vultr offers them."""
        found = self._get(f"/kubernetes/clusters/{cluster_id}/available-upgrades")
        return list(found.get("available_upgrades") or [])

    def versions(self) -> list[str]:
        """The versions that a new cluster can have."""
        return list(self._get("/kubernetes/versions").get("versions") or [])

    def upgrade(self, cluster_id: str, version: str) -> None:
        """Begin to upgrade a cluster. An error may come after Vultr carried it out."""
        path = f"/kubernetes/clusters/{cluster_id}/upgrades"
        self._send("POST", path, {"upgrade_version": version})

    def change_pool(self, cluster_id: str, pool_id: str, change: Mapping[str, Any]) -> None:
        """PATCH of a node pool: what `change` doesn't name stays."""
        path = f"/kubernetes/clusters/{cluster_id}/node-pools/{pool_id}"
        self._send("PATCH", path, dict(change))

    def remove_pool_labels(self, cluster_id: str, pool_id: str, keys: Collection[str]) -> None:
        """Take labels off a node pool; PATCH only adds some (docs/facts/vultr.md §1)."""
        path = f"/kubernetes/clusters/{cluster_id}/node-pools/{pool_id}/labels"
        for label in objects_at(self._get(path), "labels"):
            if label["key"] in keys:
                self._send("DELETE", f"{path}/{label['id']}")

    def has_instance(self, instance_id: str) -> bool:
        """Whether Vultr still has the machine: False only where it says that it hasn't."""
        path = f"/instances/{instance_id}"
        answer = self._session.ask("GET", path)
        if answer.status_code == 404:
            return False
        self._checked("GET", path, answer)
        return True

    def with_nodes(self, cluster: Json) -> LiveCluster:
        """A cluster of `clusters()`, with the addresses of its nodes."""
        return live_cluster(cluster, self._list("/instances", "instances"))

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

    def _send(self, method: str, path: str, body: Json | None = None) -> None:
        answer = self._session.ask(method, path, body=body)
        if not answer.ok:
            self._checked(method, path, answer)

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
