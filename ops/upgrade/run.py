"""Carrying a plan out, step by step."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.fleet.reading import load
from ops.files import write_atomically
from ops.guided.engine import Say, up
from ops.guided.looking import Blocking, examine, wait_until_well
from ops.guided.stack_text import with_mark, with_version, without_mark
from ops.guided.steps import EDGE_MINUTES, STARTS_MINUTES, Step
from ops.upgrade.plan import World, blocking


def carry_out(
    project: Path, world: World, steps: Sequence[Step], carriers: Mapping[str, str], say: Say
) -> None:
    """The steps that aren't done. Raises Stopped, SettingsError, PulumiFailed."""
    drained = False
    for number, step in enumerate(steps, start=1):
        drained = {"drain": True, "undrain": False}.get(step.kind, drained)
        if step.done:
            continue
        say(f"{number}/{len(steps)} {step.does}")
        say(f"    waits {step.waits}")
        if step.kind == "look":
            # Visitors are to go to the others for as long as the region drains.
            others = carriers if drained else {}
            wait_until_well(lambda others=others: found_now(project, world, others), say)
            continue
        edit(project, world, step)
        minutes = world.minutes + STARTS_MINUTES if step.stack == world.stack else EDGE_MINUTES
        up(project, step.stack, minutes, say)


def found_now(
    project: Path, world: World, carriers: Mapping[str, str], *, first: bool = False
) -> list[Blocking]:
    """What the doctor finds that is in the way. `first`: before the first step."""
    names = [world.stack, *carriers, *([world.edge] if world.edge else [])]
    return blocking(examine(project, names), world, carriers, first=first)


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
