"""`fleet replace-pool`: another plan for a node pool, guided."""

import json
from typing import Annotated

import typer

from components.errors import EdgefleetError
from components.server_side.api import Refused, Unreachable
from infra.fleet.files import meant
from infra.pins.catalog import catalog
from ops.command import FOUND, Folder, Json, failed, stack_names
from ops.files import project_dir
from ops.guided.command import DryRun, Yes, ask_to_begin, carrying_out
from ops.guided.looking import shown_in_full
from ops.progress import asking
from ops.replace_pool.plan import World, document, plan, refusals, text
from ops.replace_pool.run import carry_out, found_now
from ops.replace_pool.world import Wish, find


def command(
    stack: Annotated[str, typer.Argument(help="The stack's name.", autocompletion=stack_names)],
    pool: Annotated[str, typer.Argument(help="The label of the pool that goes.")],
    to: Annotated[str, typer.Option("--plan", help="The new pool's plan: vc2-4c-8gb.")],
    label: Annotated[
        str | None,
        typer.Option(help="The new pool's label.", show_default="edge-2 for edge"),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(min=1, help="How many nodes it has.", show_default="as many as the old one"),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Give a node pool another plan, by a further pool that takes its place.

    Vultr ignores another plan for a pool that exists. So the new one is added, its nodes get their
    records, the old one's nodes are drained, and it goes; the pool that a cluster was made with
    stays, with one node. The stack file is edited accordingly. Between two steps the doctor has to
    find nothing. Killed or failed at whatever step, the same command goes on. --json prints the
    plan for a program, and says the rest on stderr.

    Exit code: 0 where the pool is replaced, 1 where that is refused or a step failed, 2 where
    somebody couldn't be asked or the files are wrong.
    """
    try:
        project = project_dir(folder)
        with asking() as waiting:
            waiting([stack])
            world = find(project, Wish(stack, pool, to, label, nodes))
            refused = refusals(world)
            if world.fresh and not refused:
                refused = [shown_in_full(each) for each in found_now(project, world)]
    except (EdgefleetError, Refused, Unreachable) as error:
        raise failed(error) from None
    if refused:
        raise failed("nothing was changed:\n\n" + "\n\n".join(refused), FOUND)
    steps = plan(world)
    if as_json:
        typer.echo(json.dumps(document(world, steps), indent=2, ensure_ascii=False))
    else:
        typer.echo(text(world, steps))
    if to not in catalog().plans:
        typer.secho(f"warning: {_unknown(to)}", err=True, fg="yellow")
    if dry_run:
        return
    ask_to_begin(yes, as_json)
    with carrying_out():
        carry_out(project, world, steps, lambda line: typer.echo(line, err=as_json))
    typer.echo(f"\n{_ending(world)}", err=as_json)


def _unknown(plan: str) -> str:
    known = catalog()
    return (
        f"--plan {plan}: is not in the list of {known.read}; Vultr will say whether it exists"
        f"{meant(plan, known.plans)}"
    )


def _ending(world: World) -> str:
    what = "has one node left" if world.first else "is gone"
    return (
        f"{world.stack}: pool {world.new} ({world.plan}) serves, and {world.old} {what}. "
        f"{world.file} says so: commit it."
    )
