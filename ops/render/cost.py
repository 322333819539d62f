"""What a change of the files costs a month: the nodes that renderings ask for, by list price."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.pins.catalog import Catalog
from infra.state.resource_types import CLUSTER, POOL
from ops.render.resources import Rendering


@dataclass(frozen=True)
class CostChange:
    """Dollars a month before and after, by stack; `unpriced` are plans that the list lacks, and
    which count as nothing."""

    before: Mapping[str, float]
    after: Mapping[str, float]
    unpriced: frozenset[str]

    @property
    def differs(self) -> bool:
        """Whether anything costs more or less, or can't be told."""
        return dict(self.before) != dict(self.after) or bool(self.unpriced)

    def text(self) -> str:
        """One line: the sums, and the stacks whose part changes."""
        old, new = sum(self.before.values()), sum(self.after.values())
        parts = [
            # A file that goes deletes nothing.
            f"{name} {_signed(change)}{'' if name in self.after else ' once it is destroyed'}"
            for name in sorted({*self.before, *self.after})
            if (change := self.after.get(name, 0) - self.before.get(name, 0))
        ]
        line = f"${old:,.2f} → ${new:,.2f} a month"
        if parts:
            line += f" ({', '.join(parts)})"
        if self.unpriced:
            line += f"; without {', '.join(sorted(self.unpriced))}, not in the price list"
        return line

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "currency": "USD",
            "before": dict(self.before),
            "after": dict(self.after),
            "unpriced": sorted(self.unpriced),
        }


NO_COST = CostChange({}, {}, frozenset())


def cost_change(
    before: Mapping[str, Rendering], after: Mapping[str, Rendering], prices: Catalog
) -> CostChange:
    """Hold the nodes of two fleets against each other."""
    missing: set[str] = set()

    def monthly(stacks: Mapping[str, Rendering]) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, rendering in stacks.items():
            pools = list(_pools(rendering))
            if pools:
                found[name] = prices.monthly(pools)
                missing.update(prices.unpriced(pools))
        return found

    return CostChange(monthly(before), monthly(after), frozenset(missing))


def _pools(rendering: Rendering) -> Iterator[tuple[str, int]]:
    for resource in rendering.resources:
        pool = resource.inputs
        if resource.type == CLUSTER:
            pool = pool.get("nodePools") or {}
        elif resource.type != POOL:
            continue
        if pool:
            yield str(pool["plan"]), int(pool["nodeQuantity"])


def _signed(change: float) -> str:
    return f"{'+' if change > 0 else '−'}${abs(change):,.2f}"
