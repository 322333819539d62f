"""Which live thing each resource of a rendered stack is, by the id that its provider imports by."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from infra.fleet.inventory import Stack
from infra.state.edge_refusals import SCRIPT, WORKER
from infra.state.live_twins import KV, RECORD, ROUTE, RULE
from infra.state.region_refusals import CLUSTER, POOL, VPC
from ops.importing.account import Account
from ops.render.resources import Registered

_PLUGINS = {
    # As the SDKs say it: another version or address would be another provider in the state.
    "vultr": ("ediri-vultr", "github://api.github.com/dirien/pulumi-vultr"),
    "cloudflare": ("pulumi-cloudflare", ""),
}
_FINDABLE = (CLUSTER, POOL, VPC, RULE, RECORD, ROUTE, SCRIPT, WORKER, KV)


def ids(
    resources: Iterable[Registered], live: Mapping[str, Any] | None, account: Account
) -> tuple[dict[str, str], list[str]]:
    """The ids by URN, and what isn't there, as remarks. Raises VultrError, CloudflareError."""
    found: dict[str, str] = {}
    missing: list[str] = []
    for resource in resources:
        # Not one that is found already: two resources can't own one thing.
        fresh = (c for c in _candidates(resource, live, account) if c not in found.values())
        if candidate := next(fresh, None):
            found[resource.urn] = candidate
        elif resource.type in _FINDABLE:
            missing.append(f"{resource.name}: not there yet; `pulumi up` makes it")
    return found, missing


def entries(resources: Iterable[Registered], found: Mapping[str, str]) -> list[dict[str, Any]]:
    """Entries of `pulumi import --file`: what was found, and the components it lives in."""
    by_urn = {resource.urn: resource for resource in resources}
    wanted = set(found)
    for urn in found:
        while (parent := by_urn[urn].parent) in by_urn:
            wanted.add(parent)
            urn = parent
    order = sorted(wanted, key=lambda urn: (by_urn[urn].custom, urn))
    return [_entry(by_urn[urn], by_urn, found.get(urn)) for urn in order]


def in_the_way(stack: Stack, account: Account) -> Iterator[str]:
    """Records that stand where the Worker's have to: only their owner can say when they go.

    Raises CloudflareError.
    """
    for host in stack.fleet.hosts:
        for record in account.cloudflare.dns_records(stack.fleet.zone_id, host):
            if record["type"] in ("A", "AAAA"):
                yield (
                    f"{host} is {record['type']} {record['content']} now. The Worker's host is a "
                    "CNAME, which Cloudflare refuses beside that: delete that record right before "
                    "`pulumi up`"
                )


def _candidates(
    resource: Registered, live: Mapping[str, Any] | None, account: Account
) -> Iterator[str]:
    inputs = resource.inputs
    if live and resource.type == CLUSTER:
        yield live["id"]
    elif live and resource.type == POOL:
        for pool in live["node_pools"]:
            if pool["label"] == inputs["label"]:
                yield f"{live['id']} {pool['id']}"
    elif resource.type == VPC:
        for vpc in account.vpcs():
            if (vpc["description"], vpc["region"]) == (inputs["description"], inputs["region"]):
                yield vpc["id"]
    elif live and resource.type == RULE:
        group = live["firewall_group_id"]
        keys = {"ip_type": "ipType", "protocol": "protocol", "port": "port", "source": "source"}
        for rule in account.vultr.firewall_rules(group):
            if all(rule.get(theirs) == inputs.get(ours) for theirs, ours in keys.items()):
                yield f"{group},{rule['id']}"
    else:
        yield from _at_cloudflare(resource, account)


def _at_cloudflare(resource: Registered, account: Account) -> Iterator[str]:
    inputs = resource.inputs
    if resource.type == RECORD:
        for record in account.cloudflare.dns_records(inputs["zoneId"], inputs["name"]):
            # Whatever its comment says: that changes in place. So does where a CNAME points to,
            # and a name can't have two.
            content = inputs["type"] == "CNAME" or record["content"] == inputs["content"]
            if record["type"] == inputs["type"] and content:
                yield f"{inputs['zoneId']}/{record['id']}"
    elif resource.type == ROUTE:
        for route in account.cloudflare.worker_routes(inputs["zoneId"]):
            if route["pattern"] == inputs["pattern"]:
                yield f"{inputs['zoneId']}/{route['id']}"
    elif resource.type == SCRIPT:
        if account.has_script(inputs["accountId"], inputs["scriptName"]):
            yield f"{inputs['accountId']}/{inputs['scriptName']}"
    elif resource.type == WORKER:
        for worker in account.cloudflare.workers(inputs["accountId"]):
            if worker["name"] == inputs["name"]:
                yield f"{inputs['accountId']}/{worker['id']}"
    elif resource.type == KV:
        for namespace in account.cloudflare.kv_namespaces(inputs["accountId"]):
            if namespace["title"] == inputs["title"]:
                yield f"{inputs['accountId']}/{namespace['id']}"


def _entry(
    resource: Registered, by_urn: Mapping[str, Registered], found: str | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": resource.type,
        # A record and a route may have one name; here each entry needs its own.
        "name": f"{resource.type.rpartition(':')[2]}-{resource.name}",
        "logicalName": resource.name,
    }
    if parent := by_urn.get(resource.parent):
        entry["parent"] = f"{parent.type.rpartition(':')[2]}-{parent.name}"
    if found is None:
        return entry | {"component": True}
    package, address = _PLUGINS[resource.type.partition(":")[0]]
    entry |= {"id": found, "version": version(package)}
    return entry | ({"pluginDownloadUrl": address} if address else {})
