"""What visitors meet while a region drains, where that is more than another region."""

from collections.abc import Iterator, Sequence

from infra.fleet.inventory import Inventory, RegionStack, Stack


def drain_warnings(stack: Stack, inventory: Inventory) -> Iterator[str]:
    """Sentences for the preview of `stack`: a region that drains, or the edge, where it counts.

    As `candidates` in components/edge/worker/routing.js sends visitors.
    """
    regions = inventory.regions(stack.fleet.domain)
    edge = inventory.edge(stack.fleet.domain)
    serving = [region for region in regions if not inventory.drains(region)]
    if edge is None or edge.settings.closed(edge.fleet.hosts):
        return
    if isinstance(stack, RegionStack) and not serving:
        yield (
            f"{stack.file}: edgefleet:drain: no region of {stack.fleet.domain} is left: "
            f"{edge.file} refuses that, and until then the Worker goes on with the regions it has"
        )
        return
    told: set[str] = set()
    for region in [stack] if isinstance(stack, RegionStack) else regions:
        if region not in serving and region.region not in told:
            told.add(region.region)
            yield from _turned_away(region, inventory, serving)


def _turned_away(
    stack: RegionStack, inventory: Inventory, serving: Sequence[RegionStack]
) -> Iterator[str]:
    """Who gets no answer: of a region's visitors, a strict one leaves none to others."""
    name, routing = stack.region, inventory.routing(stack)
    if not routing.strict or routing.weight == 0:
        return
    others = [said for said in (inventory.routing(s) for s in serving) if said.strict]
    alone = [
        *(c for c in routing.countries if not any(c in o.countries for o in others)),
        *(c for c in routing.continents if not any(c in o.continents for o in others)),
    ]
    who, remedy = [f"those whom no region names and {name} is nearest to"], "say `strict: false`"
    if alone:
        named = ", ".join(alone)
        who.insert(0, f"those from {named}")
        remedy = f"name {named} in another strict region first, or {remedy}"
    yield (
        f"{stack.file}: edgefleet:drain: {name} is strict, so while it drains the Worker answers "
        f"503 to its visitors: {' and '.join(who)}. To spare them, {remedy}"
    )
