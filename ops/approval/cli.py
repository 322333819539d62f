"""`fleet approved`: whether `pulumi up` would do what was approved, and nothing else."""

import json
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import SettingsError
from ops.approval import history, report
from ops.approval.history import Since
from ops.approval.holding import Approval, is_here
from ops.approval.steps import parse, steps
from ops.command import FOUND, CommandError, Folder, Json, failed, stack_names
from ops.files import project_dir


def command(
    stack: Annotated[str, typer.Argument(help="The stack's name.", autocompletion=stack_names)],
    preview: Annotated[
        Path, typer.Option(help="What `pulumi preview --json` printed for this stack.")
    ],
    past: Annotated[
        Path | None,
        typer.Option(
            "--history",
            help="What `pulumi stack history --json` printed: it says which commit the stack was "
            "last brought up from.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="REF", help="That commit, where it isn't to be taken from a history."),
    ] = None,
    agreed: Annotated[
        str,
        typer.Option(
            metavar="STACK:CODE,…",
            help="Differences that a person looked at and agrees to, as an earlier run named them.",
        ),
    ] = "",
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Hold what `pulumi up` would do against what the files' difference said: nothing else runs.

    Approved is the difference between the commit that the stack was last brought up from and the
    files as they are: resources, what happens to each, and whether it is replaced. Asks nobody:
    it reads the files, git, and what Pulumi printed.

    Exit code: 0 it would do what was approved, or somebody agreed to the rest; 1 it would do
    something else; 2 it couldn't look.
    """
    try:
        project = project_dir(folder)
        if (past is None) == (since is None):
            raise CommandError("say either --history FILE or --since REF")
        would = steps(parse(_read(preview)))
        if past is None:
            against = Since(since)
        else:
            against = history.since(
                history.parse(_read(past)), lambda commit: is_here(project, commit)
            )
        verdict = Approval(project).held(stack, against, would)
    except (SettingsError, CommandError) as error:
        raise failed(error) from None
    is_agreed = verdict.agreed_to(stack, agreed)
    if as_json:
        document = report.plain(stack, against, verdict, is_agreed)
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(report.text(stack, against, verdict, is_agreed), nl=False)
    if verdict.unapproved and not is_agreed:
        raise typer.Exit(FOUND)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise CommandError(f"{path}: {why}") from None
