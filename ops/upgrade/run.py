"""Carrying a plan out, step by step."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.fleet.reading import load
from ops.doctor.ladder import Report, climb_down
from ops.doctor.text import told
from ops.expected import chosen
from ops.files import write_atomically
from ops.live.looking import Wanted, look
from ops.upgrade.engine import Say, UpgradeStopped, up
from ops.upgrade.plan import LOOK_MINUTES, Blocking, Step, World, blocking
from ops.upgrade.stack_text import with_mark, with_version, without_mark

EDGE_MINUTES = 10
_EVERY_SECONDS = 5.0


def carry_out(
    project: Path, world: World, steps: Sequence[Step], carriers: Mapping[str, str], say: Say
) -> None:
    """The steps that aren't done. Raises UpgradeStopped, SettingsError, PulumiFailed."""
    drained = False
    for number, step in enumerate(steps, start=1):
        drained = {"drain": True, "undrain": False}.get(step.kind, drained)
        if step.done:
            continue
        say(f"{number}/{len(steps)} {step.does}")
        say(f"    waits {step.waits}")
        if step.kind == "look":
            # Visitors are to go to the others for as long as the region drains.
            wait_until_well(project, world, carriers if drained else {}, say)
            continue
        edit(project, world, step)
        minutes = world.minutes + 5 if step.stack == world.stack else EDGE_MINUTES
        up(project, step.stack, minutes, say)


def edit(project: Path, world: World, step: Step) -> None:
    """Write what a step says into the stack file. Raises SettingsError."""
    path, name = project / world.file, load(project).project
    text = path.read_text()
    if step.kind == "drain":
        new = with_mark(world.file, text, name)
    elif step.kind == "upgrade":
        new = with_version(world.file, text, name, world.to)
    else:
        new = without_mark(text)
    if new != text:
        write_atomically(path, new)


def wait_until_well(project: Path, world: World, carriers: Mapping[str, str], say: Say) -> None:
    """Until the doctor finds nothing. Raises UpgradeStopped with what it found last."""
    deadline, before = time.monotonic() + LOOK_MINUTES * 60, list[str]()
    while found := _blocking(project, world, carriers):
        names = [_named(each) for each in found]
        if time.monotonic() > deadline:
            shown = "\n\n".join(map(shown_in_full, found))
            raise UpgradeStopped(
                f"after {LOOK_MINUTES} minutes the doctor still finds:\n\n{shown}\n"
            )
        if names != before:
            say(f"    waiting: {'; '.join(names)}")
            before = names
        time.sleep(_EVERY_SECONDS)
    say("    nothing found")


def _blocking(project: Path, world: World, carriers: Mapping[str, str]) -> Sequence[Blocking]:
    return blocking(examine(project, world, carriers), world, carriers)


def examine(
    project: Path,
    world: World,
    carriers: Mapping[str, str],
    waiting: Callable[[list[str]], None] = lambda _: None,
) -> Report:
    """Ask the doctor about the stack, its edge, and those that carry visitors."""
    names = [world.stack, *carriers, *([world.edge] if world.edge else [])]
    regions, edges = chosen(load(project), names)
    seen = look(project, regions, edges, Wanted(), waiting)
    return climb_down(seen, datetime.now(UTC), whole=True)


def _named(found: Blocking) -> str:
    if isinstance(found, str):
        return found
    return f"{found.stack}: {found.fault} ({found.came})"


def shown_in_full(found: Blocking) -> str:
    """A finding with what to do."""
    return found if isinstance(found, str) else "\n".join(told(found))
