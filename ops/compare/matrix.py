"""Clusters beside each other: a row a trait, and which cell is the odd one out.

A trait that a file has an opinion on is held against the file; clusters that differ as their files
say differ on purpose. Of the others the value that most clusters have is right, and where none is
the most frequent all of them differ.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ops.compare import traits
from ops.compare.traits import NOT_SEEN, Trait
from ops.live.asking import Unasked
from ops.live.seen import RegionSeen

Mark = Literal["same", "meant", "odd", "unseen"]


@dataclass(frozen=True)
class Cell:
    """A cluster's value of a trait. "meant": it differs from others, as its file says."""

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
    """`unseen` says of whom nothing is known, and why: `us: Vultr: …`."""

    stacks: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    unseen: tuple[str, ...]


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
    )


def _row(trait: Trait, seen: Sequence[RegionSeen]) -> tuple[Row, list[Difference]]:
    values = [trait.value(each) for each in seen]
    wanted = [trait.wanted(each) for each in seen]
    usual = _usual([v for v, w in zip(values, wanted, strict=True) if v and w is None])
    several = len({value for value in values if value}) > 1
    cells: list[Cell] = []
    found: list[Difference] = []
    for each, value, right in zip(seen, values, wanted, strict=True):
        if not value:
            cells.append(Cell(NOT_SEEN, "unseen"))
            continue
        due = usual if right is None else right
        odd = value != due if right is not None else (several and value != usual)
        mark: Mark = "odd" if odd else "meant" if several and right is not None else "same"
        cells.append(Cell(value, mark))
        if odd:
            told = due or "the others have " + _others(seen, values, each)
            why, do = trait.explain(each, value, due or "")
            found.append(Difference(each.expected.stack, trait.name, value, told, why, do))
    return Row(trait.name, tuple(cells)), found


def _usual(values: Sequence[str]) -> str | None:
    """What most have; None where no value is more frequent than all others."""
    ranked = Counter(values).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _others(seen: Sequence[RegionSeen], values: Sequence[str | None], me: RegionSeen) -> str:
    beside = zip(seen, values, strict=True)
    return ", ".join(f"{v} ({s.expected.stack})" for s, v in beside if v and s is not me)


def _unseen(seen: Sequence[RegionSeen]) -> list[str]:
    parts: Mapping[str, Callable[[RegionSeen], object]] = {
        "its API server": lambda each: each.cluster,
        "Vultr": lambda each: each.vultr,
        "its records": lambda each: each.records,
    }
    return [
        f"{each.expected.stack}: {part}: {answer.cause}"
        for each in seen
        for part, ask in parts.items()
        if isinstance(answer := ask(each), Unasked)
    ]
