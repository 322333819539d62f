"""The emulated Vultr provider's data sources, and reading instances that it doesn't own.

The numbers after "Vultr" are those of docs/facts/real-providers.md.
"""

from collections.abc import Callable
from typing import Any

import ediri_vultr

from sandbox.providers.base.names import camel
from sandbox.providers.base.operations import Call, PluginError, ReadResult
from sandbox.providers.base.resource import Resource
from sandbox.providers.base.values import Properties, conceal_keys
from sandbox.providers.vultr.cluster import cluster_outputs, pool_outputs
from sandbox.providers.vultr.rest import Vultr

_PAGE = 100
_SECRETS = ("kubeConfig", "clientKey", "clientCertificate", "clusterCaCertificate")
_INSTANCE_FIELDS = (
    "id", "os", "ram", "disk", "main_ip", "vcpu_count", "region", "date_created",
    "allowed_bandwidth", "netmask_v4", "gateway_v4", "status", "power_status", "server_status",
    "plan", "v6_network", "v6_main_ip", "v6_network_size", "label", "internal_ip", "kvm",
    "os_id", "app_id", "image_id", "firewall_group_id", "features", "hostname", "tags",
    "user_scheme",
)  # fmt: skip


def every(session: Vultr, call: Call, path: str, key: str) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        params = {"per_page": str(_PAGE), "cursor": cursor}
        answer = session.http.json(call, "GET", f"/v2{path}", params=params)
        found += answer.get(key) or []
        cursor = ((answer.get("meta") or {}).get("links") or {}).get("next") or ""
        if not cursor:
            return found


def matching(items: list[dict[str, Any]], filters: Any) -> list[dict[str, Any]]:
    """The items that all filters let through: ``{name: a field, values: any of these}``."""
    if not filters:
        raise PluginError("issue with filter: false")
    return [
        item
        for item in items
        if all(_matches(item.get(wanted["name"]), wanted["values"]) for wanted in filters)
    ]


def _matches(value: Any, values: list[Any]) -> bool:
    candidates = value if isinstance(value, list) else [value]
    return any(str(candidate) in {str(item) for item in values} for candidate in candidates)


def _only(items: list[dict[str, Any]]) -> dict[str, Any]:
    if len(items) > 1:
        raise PluginError(
            "your search returned too many results. Please refine your search to be more specific"
        )
    if not items:
        raise PluginError("no results were found")
    return items[0]


def _instance_outputs(session: Vultr, call: Call, instance: dict[str, Any]) -> Properties:
    """With the calls that the provider makes for every node (Vultr 6)."""
    path = f"/instances/{instance['id']}"
    schedule = session.get(call, f"{path}/backup-schedule", "backup_schedule") or {}
    vpcs = session.get(call, f"{path}/vpcs", "vpcs") or []
    vpc2s = session.get(call, f"{path}/vpc2", "vpcs") or []
    return {
        **{camel(name): instance[name] for name in _INSTANCE_FIELDS if name in instance},
        "location": "",
        "backups": "enabled" if schedule.get("enabled") else "disabled",
        "backupsSchedule": {
            key: str(schedule.get(key, "")) for key in ("type", "hour", "dom", "dow")
        },
        "vpcIds": [vpc["id"] for vpc in vpcs],
        "vpc2Ids": [vpc["id"] for vpc in vpc2s],
    }


def get_instance(session: Vultr, call: Call, args: Properties) -> Properties:
    """Exactly one instance, or an error."""
    filters = args.get("filters")
    found = _only(matching(every(session, call, "/instances", "instances"), filters))
    return {**_instance_outputs(session, call, found), "filters": filters}


def get_kubernetes(session: Vultr, call: Call, args: Properties) -> Properties:
    """Exactly one cluster with its live nodes and its kubeconfig (Vultr 4)."""
    clusters = every(session, call, "/kubernetes/clusters", "vke_clusters")
    cluster = _only(matching(clusters, args.get("filters")))
    path = f"/v2/kubernetes/clusters/{cluster['id']}/config"
    outputs = cluster_outputs(cluster, session.http.json(call, "GET", path))
    pools = [pool_outputs(pool) for pool in cluster["node_pools"]]
    result = {**outputs, "id": cluster["id"], "nodePools": pools, "filters": args["filters"]}
    return conceal_keys(result, _SECRETS)


def _lookup(path: str, key: str) -> Callable[[Vultr, Call, Properties], Properties]:
    def look_up(session: Vultr, call: Call, args: Properties) -> Properties:
        item = _only(matching(every(session, call, path, key), args.get("filters")))
        return {**{camel(k): v for k, v in item.items()}, "filters": args["filters"]}

    return look_up


FUNCTIONS = {
    "vultr:index/getInstance:getInstance": get_instance,
    "vultr:index/getKubernetes:getKubernetes": get_kubernetes,
    "vultr:index/getRegion:getRegion": _lookup("/regions", "regions"),
    "vultr:index/getVpc:getVpc": _lookup("/vpcs", "vpcs"),
    "vultr:index/getFirewallGroup:getFirewallGroup": _lookup("/firewalls", "firewall_groups"),
}


class Instance(Resource[Vultr]):
    """An instance that ``Instance.get`` reads; the sandbox creates none."""

    sdk = ediri_vultr.Instance

    def create(self, session: Vultr, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Refused."""
        raise PluginError("the sandbox's Vultr plugin reads instances, but doesn't create any")

    def read(self, session: Vultr, call: Call, id: str, state: Properties) -> ReadResult | None:
        """GET with three further calls."""
        found = session.gone(call, f"/instances/{id}", "instance", "Invalid instance ID")
        if found is None:
            return None
        outputs = _instance_outputs(session, call, found)
        return ReadResult(id, outputs, {"plan": outputs["plan"], "region": outputs["region"]})
