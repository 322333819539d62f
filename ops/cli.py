"""`fleet`: the command line."""

import gc
from pathlib import Path

import typer

from infra.errors import SettingsError
from ops import add, listing
from ops.ca import app as ca
from ops.command import failed
from ops.demo import DemoError, run
from ops.images.cli import app as images
from ops.importing import cli as importing
from ops.ranges.cli import app as ranges
from ops.render import cli as rendering
from sandbox.cli import app as sandbox
from sandbox.lifecycle import SandboxError

_PROJECT = Path(__file__).resolve().parents[1]

app = typer.Typer(
    name="fleet",
    help="Runs a fleet of Kubernetes clusters on Vultr behind Cloudflare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("list", short_help="Every cluster: where, what it runs, drained.")(listing.listing)
app.command("render", short_help="Every resource, or what a change changes.")(rendering.command)
app.command("cost", short_help="What the nodes cost a month.")(listing.cost)
app.command("add", short_help="Write a new cluster's stack file.")(add.command)
app.command("import", short_help="Take over what was made by hand.")(importing.command)
app.add_typer(ca, name="ca")
app.add_typer(images, name="images")
app.add_typer(ranges, name="ranges", short_help="Cloudflare's addresses, as pinned.")
app.add_typer(sandbox, name="sandbox", short_help="A cloud on your laptop.")


@app.command()
def demo() -> None:
    """Bring the whole fleet up on the sandbox, and show what came up."""
    try:
        typer.echo(run(_PROJECT, lambda line: typer.echo(line, err=True)))
    except (DemoError, SandboxError, SettingsError) as error:
        raise failed(error) from None


def main() -> None:
    """Entry point of the `fleet` script."""
    # Loading the providers' SDKs makes a million objects that stay. Looking for garbage among them
    # took a third of `fleet render`, and a stack leaves but a megabyte of it.
    gc.disable()
    app()
