"""Whose turn it is, in which order, and what is left of it: pure.

Nothing is written down between two runs. A stack whose preview is empty is done.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ops.doctor.ladder import Report
from ops.guided.looking import Blocking
from ops.guided.steps import LOOK_MINUTES

Wave = Literal["canary", "rest", "edge"]
Key = tuple[str, str, str]
"""What tells a finding from another: stack, fault, subject."""
_BLIND = "couldn't be asked"


@dataclass(frozen=True)
class Turn:
    """A stack's turn.

    Attributes:
        edge: the edge stack of its domain, "" where there is none or it is one.
        minutes: how long its engine may say nothing.
        changes: names of what `pulumi up` would change; none where it is done.
        ours: it was brought up from these files: what the doctor finds may come from that.
        refused: why it can't be, "" where it can.
        commit: the one that it goes back to, "" for the files as they are.
        stays: why it isn't gone back with, "" where it is.
        warnings: what its preview warned of.
    """

    stack: str
    wave: Wave
    edge: str = ""
    minutes: int = 10
    changes: tuple[str, ...] = ()
    ours: bool = False
    refused: str = ""
    commit: str = ""
    stays: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing of it is to be brought up."""
        return not self.changes and not self.refused

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The stacks that the doctor is asked about after it."""
        return (self.stack, self.edge) if self.edge else (self.stack,)


def in_order(
    waves: Mapping[str, Sequence[str]], names: Collection[str], *, back: bool
) -> list[tuple[str, Wave]]:
    """The stacks that were named, or all, with their waves. Back it is the other way round."""
    order: tuple[Wave, ...] = ("canary", "rest", "edge")
    found: list[tuple[str, Wave]] = [
        (name, wave) for wave in order for name in waves[wave] if not names or name in names
    ]
    return found[::-1] if back else found


def key(found: Blocking) -> Key:
    """What stays the same of a finding from look to look."""
    if isinstance(found, str):
        return (found.partition(":")[0], _BLIND, found.partition(": ")[2].partition(": ")[0])
    return (found.stack, found.fault, found.subject)


def keys(report: Report) -> set[Key]:
    """Those of all that a report found, or couldn't ask."""
    blind = {(b.stack, _BLIND, b.system) for b in report.blind}
    return {*map(key, report.findings), *blind}


def despite(said: str) -> set[tuple[str, str]]:
    """`us:node-not-ready, eu:…` as pairs of stack and fault. Raises ValueError."""
    pairs = [each.strip().partition(":") for each in said.split(",") if each.strip()]
    if wrong := [stack for stack, _, fault in pairs if not (stack and fault)]:
        raise ValueError(f"{wrong[0]!r}: say STACK:FAULT, as us:node-not-ready")
    return {(stack, fault) for stack, _, fault in pairs}


def known_before(
    report: Report, turns: Sequence[Turn], let: Collection[tuple[str, str]]
) -> set[Key]:
    """What a look lets pass, as it was there before. Not that of stacks that an earlier run brought
    up from these files; unless somebody says so."""
    ours = {turn.stack for turn in turns if turn.ours}
    return {k for k in keys(report) if k[0] not in ours or (k[0], k[1]) in let}


def new(
    found: Sequence[Blocking], known: Collection[Key], let: Collection[tuple[str, str]]
) -> list[Blocking]:
    """What wasn't there before."""
    return [f for f in found if (k := key(f)) not in known and (k[0], k[1]) not in let]


def left(turns: Sequence[Turn], at: int) -> str:
    """Where it stands after it failed at a turn, for a person."""
    before, after = turns[:at], turns[at + 1 :]
    back = bool(turns[at].commit)
    lines = [
        _named("gone back" if back else "done", [t for t in before if not t.stays]),
        f"failed: {turns[at].stack}, which may be half done",
        _named("not begun", [t for t in after if not t.done]),
    ]
    way = "To return what is done: fleet roll --back"
    return "\n".join([line for line in lines if line] + ([] if back else [way]))


def _named(what: str, turns: Sequence[Turn]) -> str:
    return f"{what}: {', '.join(t.stack for t in turns)}" if turns else ""


def text(turns: Sequence[Turn], heading: str) -> str:
    """The plan for a person."""
    lines, number = [heading, ""], 0
    width = max((len(turn.stack) for turn in turns), default=0)
    for turn in turns:
        number += not turn.done
        mark = "✓ " if turn.done else f"{number}."
        lines.append(f" {mark} {turn.stack:<{width}}  {_told(turn)}")
        lines += [f"      {warning}" for warning in turn.warnings if not turn.done]
    if any(not turn.done or turn.ours for turn in turns):
        lines += [
            "",
            "Each: `pulumi up`, then fleet doctor until it finds nothing that wasn't there before, "
            f"{LOOK_MINUTES} minutes at most. It stops at the first that fails.",
        ]
    return "\n".join(lines)


def _told(turn: Turn) -> str:
    if turn.stays:
        return turn.stays
    if turn.refused:
        return "can't be"
    way = f"back to {turn.commit[:12]}: " if turn.commit else ""
    if not turn.changes:
        return f"{way}nothing to do" + (", but to look" if turn.ours else "")
    count = f"{len(turn.changes)} change{'s' if len(turn.changes) > 1 else ''}"
    first = "the canary: " if turn.wave == "canary" and not turn.commit else ""
    return f"{first}{way}{count}: {_some(turn.changes)}"


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def document(turns: Sequence[Turn], *, back: bool) -> dict[str, Any]:
    """The plan for a program."""
    return {
        "back": back,
        "turns": [
            {
                "stack": turn.stack,
                "wave": turn.wave,
                "done": turn.done,
                "looked_at": list(turn.looked_at) if not turn.done or turn.ours else [],
                "changes": list(turn.changes),
                "commit": turn.commit or None,
                "refused": turn.refused or None,
                "stays": turn.stays or None,
                "warnings": list(turn.warnings),
            }
            for turn in turns
        ],
    }
