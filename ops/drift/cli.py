"""`fleet drift`: what the clouds hold against what the code says."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer

from ops.command import COULD_NOT, FOUND, Folder, Json
from ops.doctor.finding import Rung
from ops.doctor.ladder import Report, climb_down
from ops.drift.preview import Change, preview
from ops.drift.report import FOREIGN, Drift, text
from ops.expected import EdgeExpected, RegionExpected, Stacks, of_command
from ops.live.asking import Unasked
from ops.live.looking import look
from ops.live.seen import Wanted
from ops.progress import asking
from ops.pulumi_cli import AT_ONCE, PulumiFailed

_RUNGS: tuple[Rung, ...] = ("dns", "cloud-firewall")
_WANTED = Wanted(clusters=False, outside=False, edge=False, state=False, logs=False)


def command(
    stacks: Stacks = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Say what isn't as the code says, and what is there that nothing here made.

    For each stack `pulumi preview --refresh` compares all that it has; rules and records that no
    state knows are looked for at the vendors. It changes nothing, the state neither. The text is
    Markdown: for a chat message, or an issue.

    Exit code: 0 where all is as the code says, 1 where something isn't, 2 where a stack couldn't be
    looked at or the files are wrong.
    """
    project, regions, edges = of_command(folder, stacks)
    found = drift(project, regions, edges)
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else text(found))
    if found.found:
        raise typer.Exit(FOUND)
    if found.unasked:
        raise typer.Exit(COULD_NOT)


def drift(project: Path, regions: Sequence[RegionExpected], edges: Sequence[EdgeExpected]) -> Drift:
    """Look at these stacks."""
    names = [each.stack for each in (*regions, *edges)]
    with asking() as waiting, ThreadPoolExecutor(AT_ONCE) as pool:
        waiting(names)
        asked = pool.map(partial(_preview, project), names)
        report = _foreign(project, regions)
        changes = dict(zip(names, asked, strict=True))
    foreign = tuple(f for f in report.findings if f.fault in FOREIGN)
    return Drift(changes, foreign, report.blind)


def _preview(project: Path, stack: str) -> tuple[Change, ...] | Unasked:
    try:
        return preview(project, stack)
    except PulumiFailed as error:
        return Unasked(str(error))


def _foreign(project: Path, regions: Sequence[RegionExpected]) -> Report:
    seen = look(project, regions, [], _WANTED)
    return climb_down(seen, datetime.now(UTC), _RUNGS, whole=True)
