"""What Vultr sells, as a pinned list: to warn of a typo, and to know where a location lies."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PIN = Path(__file__).with_name("vultr_catalog.json")


@dataclass(frozen=True)
class Location:
    """A Vultr location; latitude and longitude of its city in degrees."""

    city: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Catalog:
    """`read` is the day the list was made; what was added since is missing.

    `plans` gives a node's price in dollars a month, before tax and without extras; where the
    prices come from stands in the file. `load_balancer` is the price of Vultr's smallest managed
    one. `prices_read` is the day that the prices were read.
    """

    read: str
    locations: dict[str, Location]
    plans: dict[str, float]
    prices_read: str
    prices_source: str
    load_balancer: float

    def monthly(self, pools: Iterable[tuple[str, int]]) -> float:
        """What pools of a plan and a number of nodes cost; plans without a price cost nothing."""
        return sum(self.plans.get(plan, 0) * nodes for plan, nodes in pools)

    def unpriced(self, pools: Iterable[tuple[str, int]]) -> set[str]:
        """Plans of these pools that the list lacks."""
        return {plan for plan, _ in pools if plan not in self.plans}


@cache
def catalog() -> Catalog:
    """The pinned catalog."""
    pin = json.loads(PIN.read_text())
    return Catalog(
        read=pin["read"],
        locations={code: Location(*place) for code, place in pin["locations"].items()},
        plans=pin["plans"],
        prices_read=pin["prices"]["read"],
        prices_source=pin["prices"]["source"],
        load_balancer=pin["prices"]["load_balancer"],
    )
