"""`fleet upgrade`: a cluster's new version, guided."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from components.errors import EdgefleetError
from components.server_side.api import Refused, Unreachable
from infra.errors import SettingsError
from ops.command import FOUND, Folder, Json, failed, stack_names
from ops.files import project_dir
from ops.guided.command import DryRun, Yes, ask_to_begin, carrying_out
from ops.guided.looking import shown_in_full
from ops.progress import asking
from ops.upgrade.plan import plan, refusals
from ops.upgrade.run import carry_out, found_now
from ops.upgrade.text import document, text
from ops.upgrade.world import Found, find

_VERSION = re.compile(r"v\d+\.\d+\.\d+\+\d+")


def command(
    stack: Annotated[str, typer.Argument(help="The stack's name.", autocompletion=stack_names)],
    to: Annotated[str, typer.Option("--to", help="The version: v1.36.2+1.")],
    dry_run: DryRun = False,
    yes: Yes = False,
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
    ask_to_begin(yes, as_json)
    with carrying_out():
        carry_out(project, found.world, steps, found.carriers, say)
    say(f"\n{_ending(found)}")


def _refused(project: Path, found: Found) -> list[str]:
    world = found.world
    refused = [*found.refused, *refusals(world, found.undeployed, found.edges)]
    if world.fresh and not refused:
        in_the_way = found_now(project, world, found.carriers, first=True)
        refused += [shown_in_full(each) for each in in_the_way]
    return refused


def _ending(found: Found) -> str:
    world = found.world
    told = f"{world.stack} has {world.to}."
    if world.said == world.to:
        return f"{told} If git shows a change of {world.file}, commit it."
    return f"{told} {world.file} says so: commit it."
