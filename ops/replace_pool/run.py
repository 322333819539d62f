"""Carrying a plan out, step by step."""

from collections.abc import Sequence
from pathlib import Path

from components.cluster.drained_pool import DRAIN_MINUTES, Drain
from components.server_side.api import Refused, Unreachable
from infra.fleet.reading import load
from ops.files import write_atomically
from ops.guided.engine import Say, Stopped, up
from ops.guided.looking import Blocking, about, examine, wait_until_well
from ops.guided.pool_text import unmarked
from ops.guided.steps import STARTS_MINUTES, Step
from ops.replace_pool.plan import World
from ops.replace_pool.world import added, left, occupied, server_of


def carry_out(project: Path, world: World, steps: Sequence[Step], say: Say) -> None:
    """The steps that aren't done. Raises Stopped, SettingsError, VendorError, PulumiFailed."""
    for number, step in enumerate(steps, start=1):
        if step.done:
            continue
        say(f"{number}/{len(steps)} {step.does}")
        say(f"    waits {step.waits}")
        if step.kind == "look":
            wait_until_well(lambda: found_now(project, world), say)
        elif step.kind == "drain":
            _drain(project, world, say)
        else:
            _edit(project, world, step)
            up(project, world.stack, max(world.minutes, DRAIN_MINUTES) + STARTS_MINUTES, say)
        if step.kind == "shrink":
            _uncordon(project, world)
    path = project / world.file
    write_atomically(path, unmarked(path.read_text(), world.old))


def found_now(project: Path, world: World) -> list[Blocking]:
    """What the doctor finds of the stack and its edge."""
    names = [world.stack, *([world.edge] if world.edge else [])]
    return about(examine(project, names), names)


def _edit(project: Path, world: World, step: Step) -> None:
    """Write what a step says into the stack file. Raises SettingsError."""
    path, name = project / world.file, load(project).project
    text = path.read_text()
    if step.kind == "add" and not world.added:
        write_atomically(path, added(name, world, text))
    elif step.kind in ("shrink", "remove") and not world.gone:
        write_atomically(path, left(name, world, text))


def _drain(project: Path, world: World, say: Say) -> None:
    try:
        server = server_of(project, world.stack)
        Drain(server, world.old, lambda line: say(f"    {line}")).run(DRAIN_MINUTES)
    except (Refused, Unreachable, TimeoutError) as error:
        raise Stopped(f"pool {world.old} isn't drained, so it stays: {error}") from None


def _uncordon(project: Path, world: World) -> None:
    try:
        server = server_of(project, world.stack)
        for node in occupied(server, world.old, cordoned=True):
            free = {"spec": {"unschedulable": None}}
            merge = "application/merge-patch+json"
            server.request("PATCH", f"/api/v1/nodes/{node}", free, merge)
    except (Refused, Unreachable) as error:
        raise Stopped(f"the node of pool {world.old} still takes no pods: {error}") from None
