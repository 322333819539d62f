"""Stack files held against each other: what each may say, but not two of them together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.fleet.inventory import Inventory, Stack


def collisions(inventory: "Inventory") -> Iterator[str]:
    """What is wrong between the files, as sentences."""
    stacks = [stack for _, stack in sorted(inventory.stacks.items())]
    regions = [stack for stack in stacks if stack.region]
    project = inventory.project
    by_label: dict[str, list[Stack]] = {}
    for stack in regions:
        by_label.setdefault(inventory.cluster_label(stack), []).append(stack)
    for label, sharing in by_label.items():
        for stack in sharing[1:]:
            yield (
                f"{stack.file}: {project}:cluster.label: {label!r} is also the label of "
                f"{sharing[0].file}; each cluster needs its own"
            )
    for stack in regions:
        assert stack.region
        if stack.hostname in stack.fleet.hosts:
            yield (
                f"{stack.file}: {project}:region: {stack.region.region!r} would make "
                f"{stack.hostname} the region's host name, but it is one of the site's hosts "
                f"({project}:hosts)"
            )
    edges: dict[str, list[Stack]] = {}
    for stack in stacks:
        if stack.edge:
            edges.setdefault(stack.fleet.domain, []).append(stack)
    for domain, of_domain in edges.items():
        for stack in of_domain[1:]:
            yield (
                f"{stack.file}: {project}:edge: {of_domain[0].file} is already the edge stack "
                f"of {domain}"
            )
    yield from _routing_said_twice(inventory, regions)
    for stack in regions:
        if "statusToken" in stack.secrets:
            yield f"{stack.file}: {project}:statusToken: only the edge stack reads it"


def _routing_said_twice(inventory: "Inventory", regions: "list[Stack]") -> Iterator[str]:
    said: dict[str, Stack] = {}
    for stack in regions:
        assert stack.region
        if stack.region.routing is None:
            continue
        first = said.setdefault(stack.hostname, stack)
        assert first.region
        if stack.region.routing != first.region.routing:
            yield (
                f"{stack.file}: {inventory.project}:routing: {first.file} says otherwise of the "
                f"same region {stack.region.region}: say it in one of the two, or the same in both"
            )
