"""What a change means, in sentences: what the programs know of a change, and its fields don't say.

Everything here is pure: two renderings of a stack, and the fleet as the new files have it. Each
sentence comes of a difference between the renderings; two that are alike mean nothing.
"""

from collections.abc import Collection, Mapping, Sequence

from infra.fleet.inventory import Inventory, RegionStack
from infra.pins.catalog import Catalog
from ops.render.meaning.cluster import (
    another_cluster,
    begun,
    ended,
    protection,
    sizes,
    upgrade,
    upgrades,
    withdrawal,
)
from ops.render.meaning.edge import open_regions, routing
from ops.render.meaning.firewall import widening
from ops.render.meaning.images import images_moved
from ops.render.resources import Rendering

__all__ = ["meaning", "open_regions", "upgraded_stacks"]


def meaning(
    name: str,
    before: Rendering | None,
    after: Rendering | None,
    *,
    inventory: Inventory,
    prices: Catalog,
    cloudflare: Sequence[str],
    upgraded: Collection[str] = (),
    visited: Collection[str] = (),
    replaced: Collection[str] = (),
) -> list[str]:
    """What a change of the stack `name` means; a rendering is None where there is no such stack.

    Args:
        inventory: the fleet, as the new files have it.
        cloudflare: the networks that Cloudflare connects from.
        upgraded: stacks whose cluster's version rises with the same change.
        visited: regions that the Worker sends visitors to, as it was.
        replaced: URNs of the stack's resources that are deleted and made anew.
    """
    if before is None:
        return list(begun(after, prices)) if after else []
    if after is None:
        return [ended(name, before)]
    stack = inventory.stacks.get(name)
    found = list(protection(before, after, replaced))
    # Another cluster isn't upgraded, nor resized.
    anew = another_cluster(after, replaced)
    if isinstance(stack, RegionStack):
        if not anew:
            found += upgrade(before, after, stack, inventory, upgraded, visited)
        found += withdrawal(before, after, stack, inventory)
    if not anew:
        found += sizes(before, after)
    return [
        *found,
        *widening(before, after, cloudflare),
        *images_moved(before, after),
        *routing(before, after),
    ]


def upgraded_stacks(
    before: Mapping[str, Rendering], after: Mapping[str, Rendering]
) -> frozenset[str]:
    """Stacks whose cluster's version rises."""
    return frozenset(name for name in after if upgrades(before.get(name), after[name]))
