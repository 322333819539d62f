"""Running `pulumi`, as somebody at a terminal would."""

import subprocess
from pathlib import Path

from ops.command import CommandError

AT_ONCE = 4
"""Each stack has an engine, a program and plugins: some hundred megabytes."""
PREVIEW_SECONDS = 600
"""A refresh reads each resource; of a large stack that takes its time."""


class PulumiFailed(CommandError):
    """`pulumi` couldn't say it; the text is its own, or says what is missing."""


def of_stack(stack: str) -> tuple[str, ...]:
    """What stands behind each command about a stack."""
    return ("-s", stack, "--non-interactive", "--color=never")


def run(
    project: Path, *command: str, seconds: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, however that is. Raises PulumiFailed where there is no `pulumi`, or
    it takes longer than `seconds`."""
    try:
        return subprocess.run(
            ["pulumi", *command],
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except FileNotFoundError:
        raise PulumiFailed("there is no `pulumi` on PATH") from None
    except subprocess.TimeoutExpired:
        raise PulumiFailed(f"`pulumi {command[0]}` took longer than {seconds} s") from None
