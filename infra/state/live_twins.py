"""An update that meets what an interrupted one had made takes it over.

A POST may be carried out while its answer is lost, and the engine may die between the answer and
the checkpoint. Then something of ours exists that the stack's state doesn't know. Made again it
would stand twice (a cluster) or be refused for ever (a DNS record, 81058), so each resource that
the state lacks is looked up first by what only we would have given it, and imported if it is there.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pulumi
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.rpc import deserialize_properties
from pulumi.runtime.settings import get_monitor

from components.edge.worker_filter import foreign_rules
from components.vendors.cloudflare import CloudflareError
from components.vendors.vultr import LiveCluster, VultrError
from infra.state.checkpoint import StackState
from infra.state.edge_refusals import RULESET, WORKER
from infra.state.region_refusals import CLUSTER, POOL, VPC

RULE = "vultr:index/firewallRule:FirewallRule"
KV = "cloudflare:index/workersKvNamespace:WorkersKvNamespace"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"
ROUTE = "cloudflare:index/workersRoute:WorkersRoute"

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
    def entrypoint(self, zone_id: str, phase: str) -> dict[str, Any] | None: ...


class Twins:
    """Finds the live twin of a resource that the state lacks.

    `find` gives the id to import by, in the form the provider wants, or None where nothing is
    there. Everything is compared that we set and the vendor tells back: what looks different was
    made by somebody else, and is left for the vendor to refuse.
    """

    def __init__(self, vultr: Callable[[], Vultr], cloudflare: Callable[[], Cloudflare]) -> None:
        self._vultr = vultr
        self._cloudflare = cloudflare
        self._finders: dict[str, Callable[[Props], str | None]] = {
            CLUSTER: self._cluster,
            POOL: self._pool,
            VPC: self._vpc,
            RULE: self._rule,
            RECORD: self._record,
            ROUTE: self._route,
            KV: self._namespace,
            WORKER: self._worker,
            RULESET: self._ruleset,
        }

    def knows(self, type_token: str) -> bool:
        """Whether twins of this type can be found."""
        return type_token in self._finders

    def find(self, type_token: str, props: Props) -> str | None:
        """The id to import by. Raises VultrError or CloudflareError."""
        return self._finders[type_token](props)

    def _cluster(self, props: Props) -> str | None:
        found = self._vultr().find_cluster(props["label"])
        if found is None:
            return None
        pools = {pool.label for pool in found.pools}
        if found.location != props["region"] or pools - {props["nodePools"]["label"]}:
            raise VultrError(
                f"Vultr already has a cluster labelled {props['label']!r} ({found.id}) in "
                f"{found.location} that this stack didn't make. Choose another cluster.label, or "
                "delete that cluster"
            )
        return found.id

    def _pool(self, props: Props) -> str | None:
        cluster_id = _known(props, "clusterId")
        if not cluster_id:
            return None
        pools = {pool.label: pool.id for pool in self._vultr().cluster(cluster_id).pools}
        pool_id = pools.get(props["label"])
        return f"{cluster_id} {pool_id}" if pool_id else None

    def _vpc(self, props: Props) -> str | None:
        return _only(
            vpc["id"]
            for vpc in self._vultr().vpcs()
            if vpc["description"] == props["description"]
            and vpc["region"] == props["region"]
            and vpc["v4_subnet"] == props["v4Subnet"]
        )

    def _rule(self, props: Props) -> str | None:
        group_id = _known(props, "firewallGroupId")
        if not group_id:
            return None
        keys = {"ip_type": "ipType", "protocol": "protocol", "port": "port", "source": "source"}
        return _only(
            f"{group_id},{rule['id']}"
            for rule in self._vultr().firewall_rules(group_id)
            if all(rule.get(theirs) == props.get(ours) for theirs, ours in keys.items())
        )

    def _record(self, props: Props) -> str | None:
        zone_id = props["zoneId"]
        keys = ("name", "type", "content", "comment")
        return _only(
            f"{zone_id}/{record['id']}"
            for record in self._cloudflare().dns_records(zone_id, props["name"])
            if all(record.get(key) == props.get(key) for key in keys)
        )

    def _route(self, props: Props) -> str | None:
        zone_id = props["zoneId"]
        return _only(
            f"{zone_id}/{route['id']}"
            for route in self._cloudflare().worker_routes(zone_id)
            if route["pattern"] == props["pattern"] and route.get("script") == props.get("script")
        )

    def _namespace(self, props: Props) -> str | None:
        account_id = props["accountId"]
        return _only(
            f"{account_id}/{namespace['id']}"
            for namespace in self._cloudflare().kv_namespaces(account_id)
            if namespace["title"] == props["title"]
        )

    def _worker(self, props: Props) -> str | None:
        # Ours never got a version; one that serves somebody is left for Cloudflare to refuse.
        account_id = props["accountId"]
        return _only(
            f"{account_id}/{worker['id']}"
            for worker in self._cloudflare().workers(account_id)
            if worker["name"] == props["name"] and not worker.get("deployed_on")
        )

    def _ruleset(self, props: Props) -> str | None:
        found = self._cloudflare().entrypoint(props["zoneId"], props["phase"])
        if not found or not found.get("rules") or foreign_rules(found):
            return None
        return f"zones/{props['zoneId']}/{found['id']}"


def _known(props: Props, key: str) -> str | None:
    """A property's text, None while it is unknown."""
    value = props.get(key)
    return value if isinstance(value, str) and value else None


def _only(found: Any) -> str | None:
    """The first of the ids found: twins are alike, and the others stay to be seen."""
    return next(iter(found), None)


def adopt_orphans(state: StackState, twins: Twins) -> None:
    """Import, from now on, every resource that the state lacks and the vendor has.

    On the way to the engine, and not in a transform, which the engine calls back: what a transform
    raises is shown with a traceback, and one that still runs when the program fails leaves another
    (pulumi 3.246.0; grpc/grpc#37239).
    """
    monitor = get_monitor()
    assert monitor
    register = monitor.RegisterResource

    def adopting(request: resource_pb2.RegisterResourceRequest) -> Any:
        # In a thread of its own: each registration has one, and may block.
        if twins.knows(request.type) and request.name not in state.of_type(request.type):
            request.importId = _twin(twins, request) or request.importId
        return register(request)

    setattr(monitor, "RegisterResource", adopting)  # noqa: B010 (its type is the real one's)


def _twin(twins: Twins, request: resource_pb2.RegisterResourceRequest) -> str | None:
    try:
        found = twins.find(request.type, deserialize_properties(request.object))
    except (VultrError, CloudflareError) as error:
        raise pulumi.RunError(f"{request.name}: {error}") from None
    if found:
        pulumi.log.info(
            f"{request.name}: {found} is there already, left by an update that was interrupted; "
            "taking it over"
        )
    return found
