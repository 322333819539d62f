"""What a rung finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from ops.live.seen import EdgeSeen, RegionSeen

Rung = Literal[
    "dns",
    "cloud-firewall",
    "node-firewall",
    "node",
    "process",
    "dataplane",
    "edge",
    "state",
]
RUNGS: tuple[Rung, ...] = get_args(Rung)
"""From the top down, as a visitor's request goes; the state last, as no visitor meets it."""


@dataclass(frozen=True)
class Finding:
    """A fault: what was asked, what came back, what that means, and what to do.

    `fault` is its name, the same from run to run; `stack` whose it is, `subject` what it is about.
    A `symptom` follows from something: where anything else is found of its stack, that is told.
    """

    rung: Rung
    fault: str
    stack: str
    subject: str
    asked: str
    came: str
    means: str
    do: str
    symptom: bool = False


@dataclass(frozen=True)
class Blind:
    """A system that couldn't be asked."""

    system: str
    stack: str
    cause: str


@dataclass(frozen=True)
class Note:
    """What wasn't looked at, or is worth knowing; nothing is wrong with it."""

    rung: Rung
    stack: str
    text: str


Told = Finding | Blind | Note
OfRegion = Callable[[RegionSeen, datetime], Iterator[Told]]
OfEdge = Callable[[EdgeSeen, datetime], Iterator[Told]]


def recycle(seen: RegionSeen) -> str:
    """How a machine is made anew that its own operating system doesn't mend."""
    return "restart the machine" if seen.expected.given else "recycle it in Vultr's console"


def some(names: list[str], most: int = 4) -> str:
    """A few of many, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
