"""The steps of a guided change. What is done already is read off what is, each time anew: so a
command that was killed is simply run again."""

from collections.abc import Sequence
from dataclasses import dataclass

LOOK_MINUTES = 15
"""How long a look waits for the doctor to find nothing."""
STARTS_MINUTES = 5
"""Of an engine, beyond what the program itself waits for."""
EDGE_MINUTES = 10
"""How long an edge stack's engine may say nothing."""


@dataclass(frozen=True)
class Step:
    """One step: what it does, what it waits for and how long at most, what takes it back, and
    whether it is done already. `stack` is the one that `pulumi up` is run for, "" for none."""

    kind: str
    does: str
    waits: str
    undo: str
    stack: str = ""
    done: bool = False


def look_step(stack: str, edge: str | None, done: bool) -> Step:
    """The doctor between two others."""
    whom = stack + (f" and {edge}" if edge else "")
    return Step(
        "look",
        f"fleet doctor {whom.replace(' and', '')}",
        f"until it finds nothing about {whom}: at most {LOOK_MINUTES} minutes",
        "nothing: it only looks",
        done=done,
    )


def up_to(minutes: float) -> str:
    """How long an `up` is waited for, in words."""
    return f"for `pulumi up`: at most {minutes:g} minutes without a change"


def lines(steps: Sequence[Step]) -> list[str]:
    """The steps as text; those that are done are ticked off."""
    told: list[str] = []
    for number, step in enumerate(steps, start=1):
        told.append(f"{'✓' if step.done else ' '} {number}. {step.does}")
        if step.done:
            continue
        told.append(f"     waits {step.waits}")
        if step.kind != "look":
            told.append(f"     undone by: {step.undo}")
    return told
