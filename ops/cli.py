"""`fleet`: the command line."""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, NamedTuple

if TYPE_CHECKING:
    import typer

INTERRUPTED = 130
"""Exit code: as a shell gives it to what Ctrl-C ends."""


class _Place(NamedTuple):
    """Where a command is; the name in the module is that of a function or of a Typer app."""

    module: str
    name: str
    help: str


_COMMANDS = {
    "list": _Place("ops.listing", "listing", "Every cluster: where, what it runs, drained."),
    "render": _Place("ops.render.cli", "command", "Every resource, or what a change changes."),
    "cost": _Place("ops.costs", "command", "What the nodes cost a month."),
    "doctor": _Place("ops.doctor.cli", "command", "What is wrong, from the top down."),
    "node-health": _Place("ops.node_health.cli", "command", "The nodes' disks, CPUs, cards."),
    "expiries": _Place("ops.expiries.cli", "command", "What nears its end, before it ends."),
    "compare": _Place("ops.compare.cli", "command", "What differs between clusters, live."),
    "drift": _Place("ops.drift.cli", "command", "What the clouds hold against the code."),
    "reconcile": _Place("ops.reconcile.cli", "command", "Records follow nodes, by themselves."),
    "roll": _Place("ops.roll.cli", "command", "A change, region by region, and back."),
    "upgrade": _Place("ops.upgrade.cli", "command", "A new version of Kubernetes, guided."),
    "replace-pool": _Place("ops.replace_pool.cli", "command", "Another plan for a node pool."),
    "add": _Place("ops.add", "command", "Write a new cluster's stack file."),
    "import": _Place("ops.importing.cli", "command", "Take over what was made by hand."),
    "kube-vip": _Place("ops.kube_vip", "command", "kube-vip's static pod, for kubeadm init."),
    "approved": _Place("ops.approval.cli", "command", "Whether up would do what was approved."),
    "health": _Place("ops.health", "command", "Whether a stack answers, asked through the edge."),
    "demo": _Place("ops.demo", "command", "Bring the whole fleet up on the sandbox."),
    "twin": _Place("ops.twin.cli", "command", "That fleet with real packets, while it is hurt."),
    "ca": _Place("ops.ca", "app", "The CA whose client certificate Cloudflare shows to origins."),
    "images": _Place("ops.images.cli", "app", "Container images by digest."),
    "ranges": _Place("ops.ranges.cli", "app", "Cloudflare's addresses, as pinned."),
    "sandbox": _Place("sandbox.cli", "app", "A cloud on your laptop."),
}


def application(called: str | None = None) -> "typer.Typer":
    """The command line. With `called`, the other commands are only listed: what they need, like the
    sandbox or a vendor's SDK, isn't loaded."""
    # Here, so that an interrupt while it is loaded is met by `main`.
    import typer

    app = typer.Typer(
        name="fleet",
        help="Runs a fleet of Kubernetes clusters on Vultr behind Cloudflare.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={
            "help_option_names": ["-h", "--help"],
            # https://no-color.org: set and not empty. rich reads it by itself.
            "color": False if os.environ.get("NO_COLOR") else None,
        },
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            # Here, because it takes a tenth of a second to load.
            from importlib.metadata import version

            typer.echo(f"fleet {version('edgefleet-fleet')}")
            raise typer.Exit

    @app.callback()
    def root(
        version: Annotated[
            bool,
            typer.Option("--version", help="Print the version.", callback=print_version),
        ] = False,
    ) -> None: ...

    for name, place in _COMMANDS.items():
        wanted = called in (name, None)
        found = getattr(import_module(place.module), place.name) if wanted else _listed
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, short_help=place.help)
        else:
            app.command(name, short_help=place.help)(found)
    return app


def _listed() -> None:
    """Stands in the list of commands for one that isn't called."""


def called(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command that is called, or that a shell asks to complete; "" where there is none yet."""
    words = arguments
    if "_FLEET_COMPLETE" in environment:
        # What was typed so far: bash's way to say it, then the other shells' (typer.completion).
        typed = environment.get("COMP_WORDS") or environment.get("_TYPER_COMPLETE_ARGS", "")
        words = typed.split()
    return next(iter(words[1:]), "")


def main() -> None:
    """Entry point of the `fleet` script."""
    # Loading the providers' SDKs makes a million objects that stay. Looking for garbage among them
    # took a third of `fleet render`, and a stack leaves but a megabyte of it.
    gc.disable()
    try:
        application(called(sys.argv, os.environ))()
    except KeyboardInterrupt:
        pass  # while a module was loaded; a command that runs ends by itself, as follows
    except SystemExit as ending:
        if ending.code != INTERRUPTED:
            raise
    else:
        return
    with suppress(OSError):
        sys.stdout.flush()
    # At once: threads of the providers' SDKs that are cut off can crash an orderly end (SIGSEGV).
    os._exit(INTERRUPTED)
