"""What happens to the site while it is visited: made up by a seed, the same for the same seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

NODE_KINDS = ("node killed", "nginx hung", "nginx killed", "nginx restarted")
FELIX_KINDS = ("felix killed",)
"""Where felix runs on the nodes."""
REGION_KINDS = ("region cut off", "slow wire")
CHANGES = (
    "region drained", "worker deployed", "firewall rewritten", "ranges updated",
    "certificate rotated",
)  # fmt: skip
"""Made by stack files and `pulumi up`."""
KINDS = (*NODE_KINDS, *FELIX_KINDS, *REGION_KINDS, *CHANGES)


@dataclass(frozen=True)
class Fault:
    """One thing that happens: to a cluster, to one node of it (`node`, by its number) or all.

    It lasts `seconds`, and what makes and ends it; the next of its lane follows `pause` later.
    """

    number: int
    kind: str
    cluster: str
    node: int | None
    seconds: float
    pause: float


def lanes(
    seed: int, nodes: Mapping[str, int], kinds: Sequence[str] = KINDS
) -> list[Iterator[Fault]]:
    """Faults without end, in lanes that run beside each other; `nodes`: how many each cluster has.

    One lane less than there are clusters, at most two: as whatever is done to a cluster is done by
    one lane at a time, one cluster is always left alone. Every kind comes up before any does again.
    """
    count = max(1, min(2, len(nodes) - 1))
    return [_lane(seed, lane, count, nodes, kinds) for lane in range(count)]


def _lane(
    seed: int, lane: int, of: int, nodes: Mapping[str, int], kinds: Sequence[str]
) -> Iterator[Fault]:
    chance = random.Random(f"{seed}/{lane}")  # noqa: S311
    # Each lane has its share of the kinds first, so that all of them come up soon.
    dealt = list(kinds)
    random.Random(seed).shuffle(dealt)  # noqa: S311
    number = lane
    while True:
        mine = [kind for place, kind in enumerate(dealt) if place % of == lane]
        for kind in mine:
            cluster = chance.choice(sorted(nodes))
            node = chance.randrange(nodes[cluster]) if kind in (*NODE_KINDS, *FELIX_KINDS) else None
            seconds = round(chance.uniform(4, 9), 1)
            yield Fault(number, kind, cluster, node, seconds, round(chance.uniform(1, 3), 1))
            number += of
        dealt = dealt[1:] + dealt[:1]
