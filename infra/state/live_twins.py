"""What the vendors have already, for a resource that a state lacks.

An interrupted update leaves twins behind (`orphans.py`), and `fleet import` takes over what was
made by hand: both look here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from components.cluster.settling import NODES_MINUTES, settle
from components.edge.worker_filter import foreign_rules
from components.vendors.vultr_cluster import LiveCluster
from infra.state.resource_types import (
    CLUSTER,
    FIREWALL_RULE,
    KV_NAMESPACE,
    POOL,
    RECORD,
    ROUTE,
    RULESET,
    SCRIPT,
    VPC,
    WORKER,
)

Props = Mapping[str, Any]


class Vultr(Protocol):
    """What is asked of Vultr; `VultrApi` is one."""

    def find_cluster(self, label: str) -> LiveCluster | None: ...
    def cluster(self, cluster_id: str) -> LiveCluster: ...
    def firewall_rules(self, group_id: str) -> list[dict[str, Any]]: ...
    def vpcs(self) -> list[dict[str, Any]]: ...


class Cloudflare(Protocol):
    """What is asked of Cloudflare; `CloudflareApi` is one."""

    def dns_records(self, zone_id: str, name: str) -> list[dict[str, Any]]: ...
    def worker_routes(self, zone_id: str) -> list[dict[str, Any]]: ...
    def kv_namespaces(self, account_id: str) -> list[dict[str, Any]]: ...
    def workers(self, account_id: str) -> list[dict[str, Any]]: ...
    def worker_scripts(self, account_id: str) -> list[dict[str, Any]]: ...
    def entrypoint(self, zone_id: str, phase: str) -> dict[str, Any] | None: ...


class Twin(NamedTuple):
    """Something that stands where a resource would.

    `id` is what its provider imports by. `ours`: all that we set and the vendor tells back is as
    this resource has it, so that only we can have made it. `where` says where it is, for a message.
    `pending`: the vendor is still making it.
    """

    id: str
    ours: bool
    where: str = ""
    pending: bool = False


class LiveTwins:
    """Finds the twins of a resource by its inputs, as they are registered.

    Inputs that aren't known yet find nothing. Raises VultrError and CloudflareError.
    """

    def __init__(self, vultr: Callable[[], Vultr], cloudflare: Callable[[], Cloudflare]) -> None:
        self._vultr = vultr
        self._cloudflare = cloudflare
        self._finders: dict[str, Callable[[Props], Iterable[Twin]]] = {
            CLUSTER: self._clusters,
            POOL: self._pools,
            VPC: self._vpcs,
            FIREWALL_RULE: self._rules,
            RECORD: self._records,
            ROUTE: self._routes,
            KV_NAMESPACE: self._namespaces,
            SCRIPT: self._scripts,
            WORKER: self._workers,
            RULESET: self._rulesets,
        }

    def of(self, type_token: str, props: Props) -> Iterator[Twin]:
        """The twins, of a type that has any."""
        if finder := self._finders.get(type_token):
            yield from finder(props)

    def cluster_is_made(self, cluster_id: str, say: Callable[[str], None]) -> None:
        """Wait until the cluster is active: before, Vultr refuses its kubeconfig, without which the
        provider imports none. Raises VultrError."""

        def missing(cluster: LiveCluster) -> list[str]:
            return ["the cluster (it is pending)"] if cluster.status == "pending" else []

        settle(lambda: self._vultr().cluster(cluster_id), missing, NODES_MINUTES, say)

    def _clusters(self, props: Props) -> Iterator[Twin]:
        found = self._vultr().find_cluster(props["label"])
        if found:
            pools = {pool.label for pool in found.pools}
            ours = found.location == props["region"] and pools <= {props["nodePools"]["label"]}
            yield Twin(found.id, ours, found.location, found.status == "pending")

    def _pools(self, props: Props) -> Iterator[Twin]:
        cluster_id = _known(props, "clusterId")
        for pool in self._vultr().cluster(cluster_id).pools if cluster_id else ():
            if pool.label == props["label"]:
                yield Twin(f"{cluster_id} {pool.id}", True)

    def _vpcs(self, props: Props) -> Iterator[Twin]:
        for vpc in self._vultr().vpcs():
            if (vpc["description"], vpc["region"]) == (props["description"], props["region"]):
                yield Twin(vpc["id"], vpc["v4_subnet"] == props["v4Subnet"])

    def _rules(self, props: Props) -> Iterator[Twin]:
        group_id = _known(props, "firewallGroupId")
        keys = {"ip_type": "ipType", "protocol": "protocol", "port": "port", "source": "source"}
        for rule in self._vultr().firewall_rules(group_id) if group_id else ():
            if all(rule.get(theirs) == props.get(ours) for theirs, ours in keys.items()):
                yield Twin(f"{group_id},{rule['id']}", True)

    def _records(self, props: Props) -> Iterator[Twin]:
        for record in self._cloudflare().dns_records(props["zoneId"], props["name"]):
            alike = record["content"] == props["content"]
            # A name can't have two CNAMEs, wherever they point to.
            if record["type"] == props["type"] and (alike or record["type"] == "CNAME"):
                commented = record.get("comment") == props.get("comment")
                yield Twin(f"{props['zoneId']}/{record['id']}", alike and commented)

    def _routes(self, props: Props) -> Iterator[Twin]:
        for route in self._cloudflare().worker_routes(props["zoneId"]):
            if route["pattern"] == props["pattern"]:
                ours = route.get("script") == props.get("script")
                yield Twin(f"{props['zoneId']}/{route['id']}", ours)

    def _namespaces(self, props: Props) -> Iterator[Twin]:
        for namespace in self._cloudflare().kv_namespaces(props["accountId"]):
            if namespace["title"] == props["title"]:
                yield Twin(f"{props['accountId']}/{namespace['id']}", True)

    def _scripts(self, props: Props) -> Iterator[Twin]:
        for script in self._cloudflare().worker_scripts(props["accountId"]):
            if script["id"] == props["scriptName"]:
                # Nothing tells whose it is.
                yield Twin(f"{props['accountId']}/{script['id']}", False)

    def _workers(self, props: Props) -> Iterator[Twin]:
        for worker in self._cloudflare().workers(props["accountId"]):
            if worker["name"] == props["name"]:
                # Ours never got a version; one that serves somebody is left for Cloudflare to
                # refuse.
                ours = not worker.get("deployed_on")
                yield Twin(f"{props['accountId']}/{worker['id']}", ours)

    def _rulesets(self, props: Props) -> Iterator[Twin]:
        found = self._cloudflare().entrypoint(props["zoneId"], props["phase"])
        if found and found.get("rules"):
            yield Twin(f"zones/{props['zoneId']}/{found['id']}", not foreign_rules(found))


def _known(props: Props, key: str) -> str | None:
    """A property's text, None while it is unknown."""
    value = props.get(key)
    return value if isinstance(value, str) and value else None
