"""What a region stack's cluster, as Vultr has it now, makes of the stack file."""

from collections.abc import Callable, Iterator

from components.vendors.vultr import deletion
from infra.fleet.inventory import Inventory, RegionStack
from infra.state.survey import Survey, Vultr
from infra.state.upgrades import (
    new_version_refusals,
    pool_refusals,
    preflight,
    version_refusals,
    what_happens,
)


def live_refusals(stack: RegionStack, found: Survey, vultr: Callable[[], Vultr]) -> Iterator[str]:
    """Why this can't be, or Vultr would refuse it half-way. Raises VultrError."""
    wanted, live = stack.vke, found.cluster
    if wanted is None:
        return
    where = f"{stack.file}: edgefleet:cluster"
    version = f"{where}.version"
    if live is None:
        yield from new_version_refusals(version, wanted.version, found, lambda: vultr().versions())
        return
    yield from pool_refusals(where, wanted, live)
    refused = list(
        version_refusals(version, wanted.version, found, lambda: vultr().upgrades(live.id))
    )
    yield from refused
    if found.upgrades_to(wanted.version) and not refused:
        yield from preflight(where, wanted, lambda: vultr().kubeconfig(live.id))


def live_warnings(stack: RegionStack, inventory: Inventory, found: Survey) -> Iterator[str]:
    """What should be known before this begins."""
    for twin_id, told in found.twins:
        yield (
            f"Vultr has another cluster labelled {stack.label!r} besides this stack's: {told}. An "
            "`up` whose answer was lost may have made it. If nobody needs it, delete it in Vultr's "
            f"console or by `{deletion(twin_id)}`"
        )
    if stack.vke and found.cluster and found.upgrades_to(stack.vke.version):
        yield what_happens(stack, inventory, found.cluster, stack.vke.version)
