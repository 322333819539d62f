"""Pulumi's engine: a preview of all of a stack, and an `up` of some of its resources."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.approval.steps import PreviewError, parse
from ops.pulumi_cli import PREVIEW_SECONDS, PulumiFailed, of_stack, run


def preview(project: Path, stack: str) -> Mapping[str, Any]:
    """What all of the stack's resources would become. Raises PulumiFailed."""
    command = ("preview", "--json", "--show-replacement-steps")
    ran = run(project, *command, *of_stack(stack), seconds=PREVIEW_SECONDS)
    try:
        # One that failed says so in its JSON; one that didn't begin has none.
        return parse(ran.stdout)
    except PreviewError:
        raise PulumiFailed(_why("preview", ran)) from None


def up(project: Path, stack: str, targets: Sequence[str]) -> None:
    """Bring these URNs up, and nothing besides. Raises PulumiFailed.

    It has no limit of its own: an engine that is killed leaves a lock, and half of a record.
    """
    only = [option for urn in targets for option in ("--target", urn)]
    ran = run(project, "up", "--yes", "--skip-preview", *only, *of_stack(stack))
    if ran.returncode:
        raise PulumiFailed(_why("up", ran))


def _why(command: str, ran: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (ran.stdout + "\n" + ran.stderr).splitlines()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error:")]
    told = dict.fromkeys(line for line in errors if line != "update failed")
    said = "; ".join(told) or next((line for line in reversed(lines) if line), "it said nothing")
    return f"`pulumi {command}`: {said}"
