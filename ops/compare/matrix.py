"""Clusters beside each other: a row a trait, and which cell is the odd one out.

A trait that a file has an opinion on is held against the file; clusters that differ as their files
say differ on purpose. Of the others the value that most clusters have is right, and where none is
the most frequent all of them differ. What comes from a cluster's maker is held against clusters of
the same maker alone: a kernel of VKE's says nothing about one of kubeadm's.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ops.compare import traits
from ops.compare.readings import maker
from ops.compare.traits import NOT_SEEN, Trait
from ops.live.asking import Unasked
from ops.live.seen import RegionSeen

Mark = Literal["same", "meant", "odd", "unseen"]


@dataclass(frozen=True)
class Cell:
    """A cluster's value of a trait. "meant": it differs from others, as its file says, or as what
    made it is another."""

    value: str
    mark: Mark


@dataclass(frozen=True)
class Row:
    """A trait of all clusters; cells in the order of the matrix's stacks."""

    trait: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Difference:
    """A cell that is odd, in words: `right` is what it should be, or what the others have."""

    stack: str
    trait: str
    value: str
    right: str
    why: str
    do: str


@dataclass(frozen=True)
class Matrix:
    """`unseen` says of whom nothing is known, and why: `us: Vultr: …`. `makers` names what made the
    clusters, by stack, where that isn't the same of all."""

    stacks: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    unseen: tuple[str, ...]
    makers: Mapping[str, str] = field(default_factory=dict[str, str])


def matrix(seen: Sequence[RegionSeen]) -> Matrix:
    """Compare clusters with each other and with their files."""
    rows: list[Row] = []
    differences: list[Difference] = []
    for trait in traits.of(seen):
        row, odd = _row(trait, seen)
        rows.append(row)
        differences += odd
    return Matrix(
        tuple(each.expected.stack for each in seen),
        tuple(rows),
        tuple(differences),
        tuple(_unseen(seen)),
        _makers(seen),
    )


def _makers(seen: Sequence[RegionSeen]) -> dict[str, str]:
    found = {each.expected.stack: maker(each) for each in seen}
    return found if len({*found.values()}) > 1 else {}


def _row(trait: Trait, seen: Sequence[RegionSeen]) -> tuple[Row, list[Difference]]:
    values = [trait.value(each) for each in seen]
    wanted = [trait.wanted(each) for each in seen]
    several = len({value for value in values if value}) > 1
    alike = [maker(each) if trait.makers else "" for each in seen]
    cells: list[Cell] = []
    found: list[Difference] = []
    for each, value, right, mine in zip(seen, values, wanted, alike, strict=True):
        if not value:
            cells.append(Cell(NOT_SEEN, "unseen"))
            continue
        peers = [(v, w) for v, w, m in zip(values, wanted, alike, strict=True) if v and m == mine]
        usual = _usual([v for v, w in peers if w is None])
        due = usual if right is None else right
        differ = right is not None or len({v for v, _ in peers}) > 1
        odd = differ and value != due
        meant = right is not None or len({*alike}) > 1
        mark: Mark = "odd" if odd else "meant" if several and meant else "same"
        cells.append(Cell(value, mark))
        if odd:
            told = due or "the others have " + _others(seen, values, each, alike)
            why, do = trait.explain(each, value, due or "")
            found.append(Difference(each.expected.stack, trait.name, value, told, why, do))
    return Row(trait.name, tuple(cells)), found


def _usual(values: Sequence[str]) -> str | None:
    """What most have; None where no value is more frequent than all others."""
    ranked = Counter(values).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _others(
    seen: Sequence[RegionSeen], values: Sequence[str | None], me: RegionSeen, alike: Sequence[str]
) -> str:
    mine = next(m for s, m in zip(seen, alike, strict=True) if s is me)
    beside = zip(seen, values, alike, strict=True)
    return ", ".join(
        f"{v} ({s.expected.stack})" for s, v, m in beside if v and s is not me and m == mine
    )


def _unseen(seen: Sequence[RegionSeen]) -> list[str]:
    parts: Mapping[str, Callable[[RegionSeen], object]] = {
        "its API server": lambda each: each.cluster,
        "Vultr": lambda each: each.vultr,
        "its nodes": lambda each: None if isinstance(each.cluster, Unasked) else each.given,
        "its records": lambda each: each.records,
    }
    return [
        f"{each.expected.stack}: {part}: {answer.cause}"
        for each in seen
        for part, ask in parts.items()
        if isinstance(answer := ask(each), Unasked)
    ]
