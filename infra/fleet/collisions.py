"""Stack files held against each other: what each may say, but not two of them together."""

from collections.abc import Iterator

from infra.fleet.inventory import EdgeStack, Inventory, RegionStack


def collisions(inventory: Inventory) -> Iterator[str]:
    """What is wrong between the files, as sentences."""
    yield from _labels(inventory)
    yield from _hosts(inventory)
    yield from _edges(inventory)
    yield from _routing_said_twice(inventory)
    for stack in inventory.region_stacks:
        if "statusToken" in stack.secrets:
            yield f"{stack.file}: {inventory.project}:statusToken: only the edge stack reads it"


def _labels(inventory: Inventory) -> Iterator[str]:
    first: dict[str, RegionStack] = {}
    for stack in inventory.region_stacks:
        other = first.setdefault(stack.label, stack)
        if other is not stack:
            yield (
                f"{stack.file}: {inventory.project}:cluster.label: {stack.label!r} is also the "
                f"label of {other.file}; each cluster needs its own"
            )


def _hosts(inventory: Inventory) -> Iterator[str]:
    for stack in inventory.region_stacks:
        if stack.hostname in stack.fleet.hosts:
            yield (
                f"{stack.file}: {inventory.project}:region: {stack.region!r} would make "
                f"{stack.hostname} the region's host name, but it is one of the site's hosts "
                f"({inventory.project}:hosts)"
            )


def _edges(inventory: Inventory) -> Iterator[str]:
    first: dict[str, EdgeStack] = {}
    for stack in inventory.edge_stacks:
        other = first.setdefault(stack.fleet.domain, stack)
        if other is not stack:
            yield (
                f"{stack.file}: {inventory.project}:edge: {other.file} is already the edge stack "
                f"of {stack.fleet.domain}"
            )


def _routing_said_twice(inventory: Inventory) -> Iterator[str]:
    said: dict[str, RegionStack] = {}
    for stack in inventory.region_stacks:
        if stack.settings.routing is None:
            continue
        first = said.setdefault(stack.hostname, stack)
        if stack.settings.routing != first.settings.routing:
            yield (
                f"{stack.file}: {inventory.project}:routing: {first.file} says otherwise of the "
                f"same region {stack.region}: say it in one of the two, or the same in both"
            )
