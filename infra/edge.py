"""The edge stack: one Worker for the site's hosts, its region table made from the stack files."""

import pulumi

from components.edge_router import EdgeRouter, RegionRow
from components.ingress import HEALTH_PATH
from infra.catalog import catalog
from infra.inventory import Inventory, SettingsError, Stack


def region_table(inventory: Inventory, domain: str) -> list[RegionRow]:
    """The logical regions of a domain, in the order of their names.

    Stacks that share a region make one row, placed where the first of them lies; the row drains
    when all of them do. Raises SettingsError where a location isn't in the catalog.
    """
    clusters: dict[str, list[Stack]] = {}
    for stack in inventory.regions(domain):
        assert stack.region
        clusters.setdefault(stack.region.region, []).append(stack)
    return [_row(region, stacks) for region, stacks in sorted(clusters.items())]


def _row(region: str, stacks: list[Stack]) -> RegionRow:
    first = stacks[0]
    assert first.region
    latitude, longitude = _place(first)
    return RegionRow(
        name=region,
        host=first.hostname,
        lat=latitude,
        lon=longitude,
        drain=all(stack.region and stack.region.drain for stack in stacks),
    )


def _place(stack: Stack) -> tuple[float, float]:
    assert stack.region
    if stack.region.coordinates:
        return stack.region.coordinates.latitude, stack.region.coordinates.longitude
    place = catalog().locations.get(stack.region.cluster.location)
    if not place:
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:coordinates: is required, as the list of "
                f"{catalog().read} doesn't know where {stack.region.cluster.location!r} lies: "
                "{latitude: …, longitude: …} in degrees"
            ]
        )
    return place.latitude, place.longitude


def deploy(stack: Stack, inventory: Inventory) -> None:
    """Register the stack's resources and its outputs. Raises SettingsError."""
    assert stack.edge
    regions = region_table(inventory, stack.fleet.domain)
    if not regions:
        raise SettingsError(
            [f"{stack.file}: no region stack has the domain {stack.fleet.domain}: nothing to route"]
        )
    if all(region["drain"] for region in regions):
        raise SettingsError(
            [
                f"{stack.file}: every region of {stack.fleet.domain} drains, and the Worker would "
                "have nowhere to send visitors. Lift edgefleet:drain in one stack file"
            ]
        )
    router = EdgeRouter(
        stack.name,
        {
            "account_id": stack.fleet.account_id,
            "zone_id": stack.fleet.zone_id,
            "script_name": stack.edge.script,
            "hosts": stack.fleet.hosts,
            "regions": regions,
            "health_path": HEALTH_PATH,
        },
    )
    pulumi.export("hosts", router.hosts)
    pulumi.export("regions", router.regions)
