"""`fleet compare`: clusters beside each other, live."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import SettingsError
from ops.command import COULD_NOT, FOUND, Folder, Json, failed
from ops.compare.matrix import Matrix, matrix
from ops.compare.text import html, text
from ops.expected import Stacks, of_command
from ops.files import write_atomically
from ops.live.looking import look
from ops.live.seen import Wanted
from ops.progress import asking

WANTED = Wanted(outputs=False, outside=False, edge=False, state=False)


def command(
    stacks: Stacks = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="Write the matrix as a page to this file.")
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Show what differs between clusters, and from what their files say.

    Asks Vultr, Cloudflare and each cluster, all at once, and changes nothing. What differs because
    the files say so is marked ~ and is no finding.

    Exit code: 0; 1 where a cluster is odd; 2 where one couldn't be asked, or the files are wrong.
    """
    project, regions, _ = of_command(folder, stacks)
    if not regions:
        raise failed("no region stack to compare")
    with asking() as waiting:
        seen = look(project, regions, [], WANTED, waiting)
    found = matrix(seen.regions)
    if page:
        _write(page, found)
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else text(found))
    if found.differences:
        raise typer.Exit(FOUND)
    if found.unseen:
        raise typer.Exit(COULD_NOT)


def _write(page: Path, found: Matrix) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        write_atomically(page, html(found, now))
    except SettingsError as error:
        raise failed(error) from None
