"""`fleet roll`: a change, brought up region by region."""

import json
from contextlib import ExitStack
from typing import Annotated

import typer

from components.errors import EdgefleetError
from ops.command import FOUND, Folder, Json, failed, stack_names
from ops.expected import Stacks
from ops.files import project_dir
from ops.guided.command import DryRun, Yes, ask_to_begin, carrying_out
from ops.progress import asking
from ops.roll.checkouts import Checkouts
from ops.roll.plan import Turn, despite, document, text
from ops.roll.run import carry_out
from ops.roll.ways import Back, Forth, Way, refused

Canary = Annotated[
    str | None,
    typer.Option(
        help="The stack that goes first.",
        autocompletion=stack_names,
        show_default="a drained region, else the first",
    ),
]
Agreed = Annotated[
    str,
    typer.Option(
        metavar="STACK:CODE,…",
        help="Differences to what was approved that a person looked at and agrees to, as an "
        "earlier run named them.",
    ),
]
Despite = Annotated[
    str,
    typer.Option(
        "--despite",
        metavar="STACK:FAULT,…",
        help="What the doctor may find: faults that this change doesn't come from.",
    ),
]


def command(
    stacks: Stacks = None,
    back: Annotated[
        bool,
        typer.Option(
            "--back", help="Return what was brought up from these files to how it was before."
        ),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="COMMIT",
            help="With --back: to this one, where Pulumi's history names none.",
        ),
    ] = None,
    canary: Canary = None,
    agreed: Agreed = "",
    let: Despite = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Bring the files as they are up, stack by stack: the canary, the other regions, the edge.

    What `pulumi up` would do of a stack has to be what was approved (as `fleet approved` has it);
    then `pulumi up`; then the doctor has to find nothing about it and its edge that wasn't there
    before. It stops at the first that fails. Killed or failed, the same command goes on: a stack
    with nothing to do is done. --back returns each to the commit that it was brought up from
    before, in the opposite order. --json prints the plan for a program, and says the rest on
    stderr.

    Exit code: 0 where all is up, 1 where something is refused or failed, 2 where somebody couldn't
    be asked or the files are wrong.
    """
    if to and not back:
        raise failed("--to is of --back: to bring a commit up, check it out")
    try:
        passing = despite(let)
    except ValueError as error:
        raise failed(f"--despite {error}") from None
    names = stacks or []
    with ExitStack() as until:
        try:
            project = project_dir(folder)
            way: Way = Forth(project, names, canary, agreed)
            if back:
                checkouts = until.enter_context(Checkouts(project))
                way = Back(project, names, canary, agreed, checkouts, to)
            with asking() as waiting:
                waiting(names or ["all stacks"])
                turns = way.turns()
        except EdgefleetError as error:
            raise failed(error) from None
        _show(turns, back, as_json)
        if not dry_run:
            if not all(turn.done for turn in turns):
                ask_to_begin(yes, as_json)
            with carrying_out():
                carry_out(project, way, turns, passing, lambda line: typer.echo(line, err=as_json))
            typer.echo(f"\n{_ending(turns, back)}", err=as_json)


def _show(turns: list[Turn], back: bool, as_json: bool) -> None:
    """The plan. Raises typer.Exit where one can't have its turn."""
    if as_json:
        typer.echo(json.dumps(document(turns, back=back), indent=2, ensure_ascii=False))
    else:
        heading = "Back to how it was:" if back else "The files as they are, one after the other:"
        typer.echo(text(turns, heading))
    if why := refused(turns):
        raise failed("nothing was changed:\n\n" + "\n\n".join(why), FOUND)


def _ending(turns: list[Turn], back: bool) -> str:
    names = ", ".join(turn.stack for turn in turns if not turn.stays)
    if not back:
        return f"{names}: as the files say."
    if not names:
        return "Nothing to return: no stack was brought up from these files."
    return (
        f"{names}: as before. The files here still say the change: take it back there, too, or the "
        "next `pulumi up` brings it again."
    )
