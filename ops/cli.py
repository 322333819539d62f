"""`fleet`: the command line."""

import typer

from sandbox.cli import app as sandbox

app = typer.Typer(
    name="fleet",
    help="Runs a fleet of Kubernetes clusters on Vultr behind Cloudflare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(sandbox, name="sandbox")


@app.callback()
def fleet() -> None:
    """Keeps the commands below one name, also while there is only one of them."""


def main() -> None:
    """Entry point of the `fleet` script."""
    app()
