"""`fleet reconcile`: records follow nodes when nobody is there."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from infra.errors import SettingsError
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from ops.command import COULD_NOT, FOUND, CommandError, Folder, Json, failed, stack_names
from ops.expected import unknown_stacks
from ops.files import project_dir
from ops.progress import asking
from ops.pulumi_cli import AT_ONCE
from ops.reconcile.engine import preview, up
from ops.reconcile.plan import plan
from ops.reconcile.report import Outcome, plain, text


def command(
    stacks: Annotated[
        list[str] | None,
        typer.Argument(help="The stacks.", show_default="all regions", autocompletion=stack_names),
    ] = None,
    certificates: Annotated[
        bool, typer.Option("--certificates", help="Renew a certificate that is due, too.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Give nodes that came their records, and take those of nodes that went. For a schedule.

    Each stack is previewed; where nothing but records of its nodes differs, just these are brought
    up. Where anything else would change, nothing is done: somebody has to look. What stops
    `pulumi up` stops this, too: where an answer lacks most of the nodes though nobody took them
    away, no record goes.

    Exit code: 0 the records are right, or were; 1 something else would change, so that nothing was
    done; 2 it couldn't look or do it, or the files are wrong.
    """
    try:
        project = project_dir(folder)
        inventory = load(project)
    except SettingsError as error:
        raise failed(error) from None
    regions = _chosen(inventory, stacks or [])
    outcomes = _beside(
        regions, lambda stack, over: reconcile(project, inventory, stack, certificates, over)
    )
    if as_json:
        typer.echo(json.dumps([plain(each) for each in outcomes], indent=2))
    else:
        typer.echo("".join(f"{text(each)}\n" for each in outcomes), nl=False)
    results = {each.result for each in outcomes}
    if "refused" in results:
        raise typer.Exit(FOUND)
    if "failed" in results:
        raise typer.Exit(COULD_NOT)


def reconcile(
    project: Path, inventory: Inventory, stack: RegionStack, certificates: bool, over: Event
) -> Outcome:
    """One stack. Where it is `over`, nothing more is begun."""
    try:
        found = plan(preview(project, stack.name), inventory.withdrawn(stack), certificates)
        if found.refused:
            return Outcome(stack.name, "refused", found, "; ".join(found.refused))
        if not found.targets:
            return Outcome(stack.name, "nothing", found)
        if over.is_set():
            return Outcome(stack.name, "failed", found, "interrupted")
        up(project, stack.name, found.targets)
    except CommandError as error:
        return Outcome(stack.name, "failed", why=str(error))
    return Outcome(stack.name, "settled", found)


def _chosen(inventory: Inventory, names: Sequence[str]) -> list[RegionStack]:
    """Raises typer.Exit for a name that no region has."""
    if unknown := unknown_stacks(inventory, names):
        raise failed(SettingsError(unknown))
    regions = [stack for stack in inventory.region_stacks if not names or stack.name in names]
    if edges := sorted({*names} - {stack.name for stack in regions}):
        raise failed(f"{', '.join(edges)}: an edge stack has no nodes; say a region's stack")
    return regions


def _beside(
    stacks: Sequence[RegionStack], do: Callable[[RegionStack, Event], Outcome]
) -> list[Outcome]:
    """Several at once. Interrupted, engines that run come to their end: they got it, too."""
    over = Event()
    with asking() as waiting, ThreadPoolExecutor(AT_ONCE) as pool:
        waiting([stack.name for stack in stacks])
        asked = [pool.submit(do, stack, over) for stack in stacks]
        try:
            return [each.result() for each in asked]
        except KeyboardInterrupt:
            over.set()
            pool.shutdown(cancel_futures=True)
            raise
