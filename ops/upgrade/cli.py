"""`fleet upgrade`: a cluster's new version, guided."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from components.errors import EdgefleetError
from components.server_side.api import Refused, Unreachable
from infra.errors import SettingsError
from ops.command import COULD_NOT, FOUND, Folder, Json, failed, stack_names
from ops.files import project_dir
from ops.progress import asking
from ops.upgrade.engine import Say, UpgradeStopped
from ops.upgrade.plan import Step, blocking, plan, refusals
from ops.upgrade.run import carry_out, examine, shown_in_full
from ops.upgrade.text import document, text
from ops.upgrade.world import Found, find

_INTERRUPTED = 130
_AGAIN = "run the same command again: it goes on from what it finds"
_VERSION = re.compile(r"v\d+\.\d+\.\d+\+\d+")


def command(
    stack: Annotated[str, typer.Argument(help="The stack's name.", autocompletion=stack_names)],
    to: Annotated[str, typer.Option("--to", help="The version: v1.36.2+1.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Upgrade a cluster while others carry its visitors.

    Its region is drained at the edge, or in DNS where another cluster of the region serves; the
    version is written into the stack file; `pulumi up`; then it is undrained. Between any two steps
    the doctor has to find nothing. Killed or failed at whatever step, the same command goes on.
    --json prints the plan for a program, and says the rest on stderr.

    Exit code: 0 where the cluster has the version, 1 where it is refused or a step failed, 2 where
    somebody couldn't be asked or the files are wrong.
    """
    if not _VERSION.fullmatch(to):
        raise failed(f"--to {to}: is no version of VKE's, like v1.36.2+1")

    def say(line: str) -> None:
        typer.echo(line, err=as_json)

    try:
        project = project_dir(folder)
        with asking() as waiting:
            waiting([stack])
            found = find(project, stack, to)
            steps, refused = plan(found.world), _refused(project, found)
    except (SettingsError, EdgefleetError, Refused, Unreachable) as error:
        raise failed(error) from None
    if refused:
        raise failed("nothing was changed:\n\n" + "\n\n".join(refused), FOUND)
    if as_json:
        typer.echo(json.dumps(document(found.world, steps), indent=2, ensure_ascii=False))
    else:
        typer.echo(text(found.world, steps, found.ipv6))
    if dry_run:
        return
    _ask(yes, as_json)
    _carried_out(project, found, steps, say)
    say(f"\n{_ending(found)}")


def _refused(project: Path, found: Found) -> list[str]:
    world = found.world
    refused = [*found.refused, *refusals(world, found.undeployed, found.edges)]
    if world.fresh and not refused:
        report = examine(project, world, found.carriers)
        in_the_way = blocking(report, world, found.carriers, first=True)
        refused += [shown_in_full(each) for each in in_the_way]
    return refused


def _ask(yes: bool, as_json: bool) -> None:
    if yes:
        return
    # Not a terminal: nobody can answer.
    if as_json or not typer.get_text_stream("stdin").isatty():
        raise failed("nobody can be asked here: say --yes, or --dry-run for the plan alone")
    if not typer.confirm("\nBegin?"):
        raise failed("nothing was changed", FOUND)


def _carried_out(project: Path, found: Found, steps: list[Step], say: Say) -> None:
    try:
        carry_out(project, found.world, steps, found.carriers, say)
    except UpgradeStopped as error:
        raise failed(f"{error}\nWhen that is settled, {_AGAIN}", FOUND) from None
    except EdgefleetError as error:
        raise failed(f"{error}\nThen {_AGAIN}", COULD_NOT) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {_AGAIN}", err=True)
        raise typer.Exit(_INTERRUPTED) from None


def _ending(found: Found) -> str:
    world = found.world
    told = f"{world.stack} has {world.to}."
    if world.said == world.to:
        return f"{told} If git shows a change of {world.file}, commit it."
    return f"{told} {world.file} says so: commit it."
