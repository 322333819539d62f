"""What a run came to: of every request, order and knock."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AFFECTED_MS = 1000
"""From here on a visitor noticed, in a network without distances."""


@dataclass(frozen=True)
class Asked:
    """A visitor's request. `at`: seconds since the run began; `ms`: until the answer's end; status
    0: no answer, or not all of it."""

    at: float
    place: str
    family: int
    method: str
    path: str
    status: int
    region: str
    attempts: int
    ms: float
    detail: str

    @property
    def answered(self) -> bool:
        """As the application answers."""
        return self.status in (200, 201)

    @property
    def affected(self) -> bool:
        """Whether something that happened shows."""
        return not self.answered or self.attempts > 1 or self.ms >= AFFECTED_MS


@dataclass(frozen=True)
class Happened:
    """A fault as it was: from when to when, in seconds since the run began."""

    number: int
    kind: str
    where: str
    began: float
    ended: float


@dataclass(frozen=True)
class Outcome:
    """All of a run. `orders`: how often each was carried out, by its path's last part; `parts`:
    what of the site was real."""

    seed: int
    asked: Sequence[Asked]
    happened: Sequence[Happened]
    orders: Mapping[str, int]
    knocks: int
    answers: Sequence[Sequence[Any]] = field(default_factory=tuple)
    parts: str = ""

    @property
    def lost(self) -> list[Asked]:
        """GETs without the application's answer."""
        return [each for each in self.asked if each.method == "GET" and not each.answered]

    @property
    def refused(self) -> list[Asked]:
        """POSTs without the application's answer: nobody sends them again for the visitor."""
        return [each for each in self.asked if each.method == "POST" and not each.answered]

    @property
    def twice(self) -> list[str]:
        """Orders that were carried out more than once."""
        return sorted(order for order, times in self.orders.items() if times > 1)

    @property
    def forgotten(self) -> list[Asked]:
        """POSTs that were answered and never carried out."""
        posts = [each for each in self.asked if each.method == "POST" and each.answered]
        return [each for each in posts if not self.orders.get(each.path.rpartition("/")[2])]

    @property
    def broken(self) -> list[str]:
        """The promises that weren't kept, as sentences."""
        found = [f"GET {each.path} of {each.place} lost: {reason(each)}" for each in self.lost]
        found += [
            f"order {order} was carried out {self.orders[order]} times" for order in self.twice
        ]
        found += [f"POST {each.path} was answered and not carried out" for each in self.forgotten]
        found += [
            f"{who} port {port} answered an outsider: {what}" for _, who, port, what in self.answers
        ]
        return found

    def until_unaffected(self, fault: Happened) -> float:
        """Seconds from a fault's begin to the last request that shows it; 0 where none does. What
        begins after the next fault did counts as that one's."""
        later = [each.began for each in self.happened if each.began > fault.began]
        until = min([*later, float("inf")])
        hit = [each.at + each.ms / 1000 for each in self.asked
               if each.affected and fault.began <= each.at < until]  # fmt: skip
        return max(hit, default=fault.began) - fault.began


def reason(asked: Asked) -> str:
    """Why a request came to nothing."""
    return asked.detail if asked.status == 0 else f"{asked.status} {asked.detail}"


def read_asked(file: Path, began_ms: float) -> list[Asked]:
    """The lines that `visitors.mjs` wrote, in the order of sending."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    found = [Asked((row[0] - began_ms) / 1000, *row[1:]) for row in rows]
    return sorted(found, key=lambda each: each.at)


def count_orders(files: Iterable[Path], run: str) -> dict[str, int]:
    """How often each order of a run was carried out, by all applications."""
    texts = [file.read_text() for file in files if file.exists()]
    return dict(Counter(line for text in texts for line in text.split() if line.startswith(run)))


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which so many of them (0 to 1) are; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def summary(outcome: Outcome) -> str:
    """For a person: counts, then what was lost and refused, with reasons."""
    asked = outcome.asked
    gets = sum(each.method == "GET" for each in asked)
    rows = [
        f"{len(asked)} requests ({gets} GET, {len(asked) - gets} POST), "
        f"{len(outcome.happened)} faults, seed {outcome.seed}",
        f"real                          {outcome.parts}",
        f"GETs lost                     {len(outcome.lost)}",
        f"POSTs carried out twice       {len(outcome.twice)}",
        f"answers to {outcome.knocks} knocks from outside  {len(outcome.answers)}",
        f"POSTs that failed, once each  {len(outcome.refused)}",
        f"answered within a second      {_share(asked)}",
        f"median, 99 of 100 within      {percentile((e.ms for e in asked), 0.5):.0f} ms, "
        f"{percentile((e.ms for e in asked), 0.99):.0f} ms",
    ]
    for title, found in (("lost GETs", outcome.lost), ("failed POSTs", outcome.refused)):
        for why, times in Counter(map(reason, found)).most_common():
            rows.append(f"  {title}: {times} × {why}")
    rows += [f"  {each}" for each in outcome.broken[:20]]
    return "\n".join(rows)


def _share(asked: Sequence[Asked]) -> str:
    quick = sum(each.ms < AFFECTED_MS and each.answered for each in asked)
    return f"{100 * quick / max(1, len(asked)):.2f} %"
