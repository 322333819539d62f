"""`fleet approved`: whether `pulumi up` would do what was approved, and nothing else."""

import json
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import SettingsError
from ops.approval import history, report
from ops.approval.comparison import Verdict, approved, compare
from ops.approval.history import Since
from ops.approval.steps import Planned, Step, parse, steps
from ops.command import FOUND, CommandError, Folder, Json, failed, say, stack_names
from ops.files import project_dir
from ops.render.cli import comparison
from ops.render.revisions import Fleet, RevisionError, render_folder, render_revision


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
                history.parse(_read(past)), lambda commit: _is_here(project, commit)
            )
        verdict = held(project, stack, against, would)
    except (SettingsError, CommandError) as error:
        raise failed(error) from None
    is_agreed = bool(verdict.unapproved) and f"{stack}:{verdict.digest}" in agreed.replace(
        " ", ""
    ).split(",")
    if as_json:
        document = report.plain(stack, against, verdict, is_agreed)
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(report.text(stack, against, verdict, is_agreed), nl=False)
    if verdict.unapproved and not is_agreed:
        raise typer.Exit(FOUND)


def held(project: Path, stack: str, against: Since, would: list[Step]) -> Verdict:
    """Hold a preview's steps against the files. Raises SettingsError, RevisionError."""
    say("rendering the files as they are …")
    after = render_folder(project, [])
    diffs: list[set[Planned]] = []
    for revision in (against.base, *against.tried):
        if revision:
            say(f"rendering {revision} …")
        before = render_revision(project, revision) if revision else Fleet({})
        found = comparison(project, revision or "nothing", before, after, [stack])
        diffs += [approved(each) for each in found.plain()["stacks"]]
    return compare(diffs, would, against.unfinished)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise CommandError(f"{path}: {why}") from None


def _is_here(project: Path, commit: str) -> bool:
    """Whether git has the commit as the one that is checked out, or before it."""
    command = ["git", "-C", str(project), "merge-base", "--is-ancestor", commit, "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RevisionError("git is not installed, and a comparison reads from it") from None
    if done.returncode and _is_shallow(project):
        raise RevisionError(
            f"{commit[:12]}, which the stack was brought up from, isn't in this shallow checkout: "
            "`git fetch --unshallow` (actions/checkout: `fetch-depth: 0`)"
        )
    return done.returncode == 0


def _is_shallow(project: Path) -> bool:
    command = ["git", "-C", str(project), "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "true"
