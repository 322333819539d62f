"""`fleet doctor`: what is wrong, from the top down."""

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from ops.command import COULD_NOT, FOUND, Folder, Json, failed
from ops.doctor.finding import RUNGS, Rung
from ops.doctor.ladder import Report, climb_down, of_stacks
from ops.doctor.probe import Probes
from ops.doctor.text import text
from ops.expected import Stacks, of_command
from ops.live.looking import look
from ops.live.seen import Wanted
from ops.progress import asking

EVERY_SECONDS = 15
"""Between two looks of --watch."""
_OF_CLUSTERS: tuple[Rung, ...] = ("node-firewall", "node", "process", "dataplane")


def command(
    stacks: Stacks = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help=f"One rung alone, or several: {', '.join(RUNGS)}."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Go on after the first rung that fails.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again; tell what changes.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Run two short-lived pods on each node, and measure there."),
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong, from the visitor's side down, and say what to do.

    DNS, the firewall at Vultr, that of the nodes, the nodes, the ingress, the dataplane, the edge,
    the state. It stops at the first rung that fails, as what is below may follow from it. It
    changes nothing; with --probe it makes pods, and deletes them. docs/runbook.md says what each
    finding means.

    Exit code: 0 where nothing was found, 1 where something was, 2 where somebody couldn't be asked
    or the files are wrong.
    """
    if watch and as_json:
        raise failed("--watch is for a person, --json for a program: say one")
    if wrong := [name for name in only or [] if name not in RUNGS]:
        raise failed(f"--only {wrong[0]}: is no rung; these are: {', '.join(RUNGS)}")
    rungs: list[Rung] = [rung for rung in RUNGS if not only or str(rung) in only]
    see = _eyes(folder, stacks or [], rungs, probe)

    def report() -> Report:
        return see(whole or bool(only))

    if probe:
        # As a workflow ends what it cancels: the probes' pods are to go then, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if watch:
        _watch(report)
        return
    found = report()
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else text(found))
    if code := _code(found):
        raise typer.Exit(code)


def _eyes(
    folder: Folder, names: list[str], rungs: Sequence[Rung], probe: bool
) -> Callable[[bool], Report]:
    """What looks once. Raises typer.Exit for a mistake in the files."""
    project, regions, edges = of_command(folder, names)
    if not {*of_stacks(bool(regions), bool(edges))} & {*rungs}:
        whose = "region" if edges else "edge"
        raise failed(
            f"--only {rungs[0]}: is a rung of {whose} stacks, and {', '.join(names)} is none"
        )
    # The edge's rung looks into the ingresses' access logs.
    logged = "edge" in rungs and any(region.pulls != "off" for region in regions)
    wanted = Wanted(
        clusters=logged or any(rung in rungs for rung in (*_OF_CLUSTERS, "state")),
        dns="dns" in rungs,
        outside=any(rung in rungs for rung in ("dns", "cloud-firewall", "edge")),
        edge="edge" in rungs,
        state="state" in rungs,
        logs="dataplane" in rungs,
    )

    def see(whole: bool) -> Report:
        with asking() as waiting, Probes() as probes:
            what = replace(wanted, probe=probes) if probe else wanted
            seen = look(project, regions, edges, what, waiting)
        return climb_down(seen, datetime.now(UTC), rungs, whole=whole)

    return see


def _code(found: Report) -> int:
    if found.findings:
        return FOUND
    return COULD_NOT if found.blind else 0


def _watch(report: Callable[[], Report]) -> None:
    """Until somebody interrupts: the exit code is then that of the last look."""
    told, code = "", 0
    try:
        while True:
            found = report()
            code, shown = _code(found), text(found)
            if shown != told:
                typer.echo(f"--- {datetime.now():%H:%M:%S}\n{shown}\n")
                told = shown
            time.sleep(EVERY_SECONDS)
    except KeyboardInterrupt:
        raise typer.Exit(code) from None
