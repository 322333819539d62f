"""Which live thing each resource of a rendered stack is, by the id that its provider imports by."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from infra.fleet.inventory import Stack
from infra.state.resource_types import (
    CLUSTER,
    FIREWALL_RULE,
    KV_NAMESPACE,
    POOL,
    RECORD,
    ROUTE,
    SCRIPT,
    VPC,
    WORKER,
)
from ops.importing.account import Account
from ops.render.resources import Registered

_PLUGINS = {
    # As the SDKs say it: another version or address would be another provider in the state.
    "vultr": ("ediri-vultr", "github://api.github.com/dirien/pulumi-vultr"),
    "cloudflare": ("pulumi-cloudflare", ""),
}
_FINDABLE = (
    CLUSTER,
    POOL,
    VPC,
    FIREWALL_RULE,
    RECORD,
    ROUTE,
    SCRIPT,
    WORKER,
    KV_NAMESPACE,
)


def ids(
    resources: Iterable[Registered], live: Mapping[str, Any] | None, account: Account
) -> tuple[dict[str, str], list[str]]:
    """The ids by URN, and what isn't there, as remarks. Raises VendorError."""
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
    """What may be taken for the resource. Whatever is in its place, also where it differs: the
    update that follows settles it."""
    if resource.type == CLUSTER:
        if live:
            yield live["id"]
        return
    inputs = dict(resource.inputs)
    if live:
        inputs |= {"clusterId": live["id"], "firewallGroupId": live["firewall_group_id"]}
    if resource.type in _FINDABLE:
        yield from (twin.id for twin in account.twins.of(resource.type, inputs))


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
