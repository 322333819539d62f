"""What every command of `fleet` has in common: options, exit codes, and what it says on stderr."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from components.errors import EdgefleetError

FOUND = 1
"""Exit code: it looked, and found something."""
COULD_NOT = 2
"""Exit code: it couldn't look, or couldn't do it."""

Folder = Annotated[
    Path | None, typer.Option("--dir", help="The project's folder, where it is elsewhere.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class CommandError(EdgefleetError):
    """A command can't do what it was asked; the text is for a person.

    RegistryError, RangesError, CaError, DemoError, RevisionError and ImportRefused are below it.
    """


def failed(why: object, code: int = COULD_NOT) -> typer.Exit:
    """Say an error; what to raise then."""
    typer.secho(f"error: {why}", err=True, fg="red")
    return typer.Exit(code)


def say(line: str) -> None:
    """Progress: for somebody at a terminal."""
    if sys.stderr.isatty():
        typer.echo(line, err=True)


def stack_names(context: typer.Context, incomplete: str) -> list[str]:
    """What a shell completes a stack's name to: the stack files, tracked by git or not."""
    # Here, because only a shell's question needs it.
    from infra.errors import SettingsError
    from ops.files import project_dir

    try:
        project = project_dir(context.params.get("folder"))
    except SettingsError:
        return []
    names = (path.name[len("Pulumi.") : -len(".yaml")] for path in project.glob("Pulumi.*.yaml"))
    return sorted(name for name in names if name.startswith(incomplete))
