"""`fleet ranges`: the pinned addresses of Cloudflare, and whether they are still right."""

import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from components.firewall.cloudflare_ranges import PIN, CloudflareRanges, load
from infra.errors import SettingsError
from ops.command import FOUND, Folder, Json, failed
from ops.files import program_file, write_atomically
from ops.ranges.source import RangesError, Source, diff, fetch, leaps

app = typer.Typer()


def source() -> Source:
    """Where Cloudflare is; the provider reads the same CLOUDFLARE_BASE_URL."""
    base = os.environ.get("CLOUDFLARE_BASE_URL")
    return replace(Source(), api=f"{base.rstrip('/')}/ips") if base else Source()


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Ask Cloudflare; exit 1 where the pin is stale.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Show Cloudflare's addresses, pinned for both firewalls and the ingress, and their age.

    Exit code: 0; 1 with --check, where the pin is stale; 2 where nobody could say.
    """
    if context.invoked_subcommand:
        if check or as_json or folder:
            raise typer.BadParameter(
                "--check, --dir and --json go behind `fleet ranges`, or `update`"
            )
        return
    pin = _pin(_file(folder))
    if check:
        _check(pin, as_json)
        return
    if as_json:
        typer.echo(render(pin), nl=False)
        return
    age = (date.today() - pin.fetched).days
    typer.echo(f"read {pin.fetched}, {age} days ago; etag {pin.etag or 'not known'}")
    for cidr in pin.cidrs:
        typer.echo(cidr)


@app.command()
def update(
    force: Annotated[
        bool, typer.Option("--force", help="Take a list that shrinks or grows by more than half.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Fetch the ranges and pin them.

    Exit code: 0; 1 where the list shrinks or grows by more than half, so that nothing is written;
    2 where Cloudflare can't be asked or its lists must not be used.
    """
    file = _file(folder)
    old = _pin(file)
    try:
        new = fetch(source(), date.today())
    except RangesError as error:
        raise failed(error) from None
    changes = diff(old, new)
    if (far := list(leaps(old, new))) and not force:
        for line in changes:
            typer.echo(line)
        raise failed(
            f"{'; '.join(far)}. Nothing was written. Compare with "
            "https://www.cloudflare.com/ips; where it is so, run it again with --force",
            FOUND,
        )
    try:
        write_atomically(file, render(new))
    except SettingsError as error:
        raise failed(error) from None
    if as_json:
        typer.echo(json.dumps({"changes": changes}, indent=2))
        return
    for line in changes:
        typer.echo(line)
    typer.echo(
        f"{file.name}: {len(changes)} changes" if changes else f"{file.name}: no range changed"
    )


def render(ranges: CloudflareRanges) -> str:
    """The pin's content."""
    pin = {
        "source": Source().api,
        "fetched": ranges.fetched.isoformat(),
        "etag": ranges.etag,
        "ipv4_cidrs": [str(network) for network in ranges.ipv4],
        "ipv6_cidrs": [str(network) for network in ranges.ipv6],
    }
    return json.dumps(pin, indent=2) + "\n"


def _check(pin: CloudflareRanges, as_json: bool) -> None:
    try:
        changes = diff(pin, fetch(source(), date.today()))
    except RangesError as error:
        raise failed(error) from None
    if as_json:
        typer.echo(json.dumps({"changes": changes}, indent=2))
    elif not changes:
        typer.echo(f"{len(pin.cidrs)} ranges, as Cloudflare says them today")
    else:
        typer.echo("\n".join(changes))
    if not changes:
        return
    raise failed("the pin is stale: `fleet ranges update`, and a pull request", FOUND)


def _file(folder: Path | None) -> Path:
    try:
        return program_file(PIN, folder)
    except SettingsError as error:
        raise failed(error) from None


def _pin(path: Path) -> CloudflareRanges:
    try:
        return load(path)
    except (OSError, ValueError) as error:
        raise failed(error) from None
