"""The doctor between two steps."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.fleet.reading import load
from ops.command import CommandError
from ops.doctor.finding import Blind, Finding
from ops.doctor.ladder import Report, climb_down
from ops.doctor.text import told
from ops.expected import chosen
from ops.guided.engine import Say, Stopped
from ops.guided.steps import LOOK_MINUTES
from ops.live.looking import Wanted, look
from ops.render.revisions import HERE

Blocking = Finding | str
"""What the doctor found, or a sentence."""

_DOCTOR = Path("ops", "doctor", "cli.py")
_EVERY_SECONDS = 5.0


def examine(project: Path, names: Sequence[str], *, symptoms: bool = False) -> Report:
    """Ask the doctor about these stacks: that of the program that stands in the folder, which knows
    what it made, or this one where the folder has only stack files.

    `symptoms` are told also where something explains them (by this program's doctor alone). Raises
    SettingsError, CommandError.
    """
    if project.resolve() != HERE and (project / _DOCTOR).exists():
        return _its_own(project, names)
    regions, edges = chosen(load(project), names)
    seen = look(project, regions, edges, Wanted())
    return climb_down(seen, datetime.now(UTC), whole=True, symptoms=symptoms)


def _its_own(folder: Path, names: Sequence[str]) -> Report:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    command = ["doctor", *names, "--all", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from ops.cli import main; main()", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        said = json.loads(done.stdout)
        findings = tuple(Finding(**each) for each in said["findings"])
        blind = tuple(Blind(**each) for each in said["blind"])
    except (ValueError, KeyError, TypeError):
        told = done.stderr.strip() or "it said nothing"
        raise CommandError(f"{folder}: `fleet {' '.join(command)}`: {told}") from None
    return Report(findings, blind, (), (), ())


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
