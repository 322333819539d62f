"""How a guided change is begun and ended at a command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from components.errors import EdgefleetError
from ops.command import COULD_NOT, FOUND, failed
from ops.guided.engine import Stopped

INTERRUPTED = 130
AGAIN = "run the same command again: it goes on from what it finds"

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")]


def ask_to_begin(yes: bool, as_json: bool) -> None:
    """Raises typer.Exit where nobody agrees, or nobody can be asked."""
    if yes:
        return
    # Not a terminal: nobody can answer.
    if as_json or not typer.get_text_stream("stdin").isatty():
        raise failed("nobody can be asked here: say --yes, or --dry-run for the plan alone")
    if not typer.confirm("\nBegin?"):
        raise failed("nothing was changed", FOUND)


@contextmanager
def carrying_out() -> Iterator[None]:
    """What ends a plan early is told, with how to go on. Raises typer.Exit."""
    try:
        yield
    except Stopped as error:
        raise failed(f"{error}\nWhen that is settled, {AGAIN}", FOUND) from None
    except EdgefleetError as error:
        raise failed(f"{error}\nThen {AGAIN}", COULD_NOT) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {AGAIN}", err=True)
        raise typer.Exit(INTERRUPTED) from None
