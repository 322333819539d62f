"""The doctor between two steps, asked in this process."""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.fleet.reading import load
from ops.doctor.finding import Finding
from ops.doctor.ladder import Report, climb_down
from ops.doctor.text import told
from ops.expected import chosen
from ops.guided.engine import Say, Stopped
from ops.guided.steps import LOOK_MINUTES
from ops.live.looking import Wanted, look

Blocking = Finding | str
"""What the doctor found, or a sentence."""
_EVERY_SECONDS = 5.0


def examine(project: Path, names: Sequence[str]) -> Report:
    """Ask the doctor about these stacks. Raises SettingsError."""
    regions, edges = chosen(load(project), names)
    return climb_down(look(project, regions, edges, Wanted()), datetime.now(UTC), whole=True)


def about(
    report: Report, stacks: Collection[str | None], passing: Collection[str] = ()
) -> list[Blocking]:
    """What was found of these stacks, or couldn't be asked; faults in `passing` are let pass."""
    found: list[Blocking] = [
        f for f in report.findings if f.stack in stacks and f.fault not in passing
    ]
    return found + [f"{b.stack}: {b.system}: {b.cause}" for b in report.blind if b.stack in stacks]


def wait_until_well(ask: Callable[[], Sequence[Blocking]], say: Say) -> None:
    """Until nothing is found. Raises Stopped with what was found last."""
    deadline, before = time.monotonic() + LOOK_MINUTES * 60, list[str]()
    while found := ask():
        names = [named(each) for each in found]
        if time.monotonic() > deadline:
            shown = "\n\n".join(map(shown_in_full, found))
            raise Stopped(f"after {LOOK_MINUTES} minutes the doctor still finds:\n\n{shown}\n")
        if names != before:
            say(f"    waiting: {'; '.join(names)}")
            before = names
        time.sleep(_EVERY_SECONDS)
    say("    nothing found")


def named(found: Blocking) -> str:
    """In a line."""
    return found if isinstance(found, str) else f"{found.stack}: {found.fault} ({found.came})"


def shown_in_full(found: Blocking) -> str:
    """A finding with what to do."""
    return found if isinstance(found, str) else "\n".join(told(found))
