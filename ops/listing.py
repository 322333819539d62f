"""`fleet list`: the fleet as its files say."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from components.firewall.cloudflare_ranges import PIN, CloudflareRanges
from components.firewall.cloudflare_ranges import load as load_ranges
from infra.errors import SettingsError
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from ops.command import Folder, Json, failed, stack_names
from ops.files import program_file, project_dir
from ops.tables import table, terminal_width


def listing(
    folder: Folder = None,
    as_json: Json = False,
    in_waves: Annotated[
        bool,
        typer.Option("--waves", help="Only the stacks' names, in the order they deploy."),
    ] = False,
    canary: Annotated[
        str | None,
        typer.Option(
            help="The stack that --waves puts first.",
            autocompletion=stack_names,
            show_default="a drained region, else the first",
        ),
    ] = None,
) -> None:
    """List the fleet's stacks: where each cluster is, what it runs, and whether it is drained.

    Reads the files alone. Exit code: 0, or 2 where the files are wrong.
    """
    inventory = read(folder)
    if in_waves:
        planned = _waves(inventory, canary)
        named = [f"{wave}: {', '.join(stacks)}" for wave, stacks in planned.items()]
        typer.echo(json.dumps(planned, indent=2) if as_json else "\n".join(named))
        return
    rows = fleet(inventory)
    for warning in old_pin(load_ranges(program_file(PIN, folder)), date.today()):
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    heads = ("STACK", "REGION", "LOCATION", "VERSION", "POOLS", "DATAPLANE", "IMAGE", "DRAINED")
    cells = [_cells(row) for row in rows]
    # What differs least from cluster to cluster goes first.
    typer.echo(
        table([heads, *cells], terminal_width(), ("DATAPLANE", "IMAGE", "VERSION", "REGION"))
    )


OLD_DAYS = 90
"""A quarter: the list changes seldom, and what it lacks is refused by the nodes."""


def old_pin(pin: CloudflareRanges, today: date) -> Iterator[str]:
    """A sentence where nobody has looked at Cloudflare's list for long."""
    if (age := (today - pin.fetched).days) > OLD_DAYS:
        yield f"Cloudflare's addresses were read {age} days ago: `fleet ranges --check` compares"


def waves(inventory: Inventory, canary: str | None = None) -> dict[str, list[str]]:
    """The order of a deployment: one region, then the other regions, then the edge stacks.

    A drained region goes first where there is one: a mistake meets no visitor there. Raises
    SettingsError where `canary` is no region stack.
    """
    names = [stack.name for stack in inventory.region_stacks]
    if canary and canary not in names:
        raise SettingsError(
            [
                f"--canary {canary}: is no region stack of this fleet; these are: "
                f"{', '.join(names) or 'none'}"
            ]
        )
    drained = [stack.name for stack in inventory.region_stacks if stack.settings.drain]
    first = [canary] if canary else (drained or names)[:1]
    return {
        "canary": first,
        "rest": [name for name in names if name not in first],
        "edge": [stack.name for stack in inventory.edge_stacks],
    }


def _waves(inventory: Inventory, canary: str | None) -> dict[str, list[str]]:
    try:
        return waves(inventory, canary)
    except SettingsError as error:
        raise failed(error) from None


def fleet(inventory: Inventory) -> list[dict[str, Any]]:
    """One row for each stack: regions by name, then the edge stacks, as they deploy."""
    edges = [
        {"stack": stack.name, "kind": "edge", "domain": stack.fleet.domain}
        for stack in inventory.edge_stacks
    ]
    return [*(_row(stack) for stack in inventory.region_stacks), *edges]


def _row(stack: RegionStack) -> dict[str, Any]:
    settings, cluster = stack.settings, stack.vke
    return {
        "stack": stack.name,
        "kind": "region",
        "domain": stack.fleet.domain,
        "region": stack.region,
        "hostname": stack.hostname,
        "cluster": stack.label if cluster else "(existing)",
        "location": cluster.location if cluster else "(existing)",
        "version": cluster.version if cluster else "",
        "pools": [
            {
                "label": pool.label,
                "plan": pool.plan,
                "nodes": pool.nodes,
                "autoscale": [pool.autoscale.min, pool.autoscale.max] if pool.autoscale else None,
            }
            for pool in (cluster.pools if cluster else [])
        ],
        "dataplane": settings.calico.model_dump(by_alias=True, exclude_defaults=True) or "baseline",
        "image": settings.ingress.image,
        "drained": settings.drain,
    }


def _short(value: object) -> str:
    """An option's value on a line that has others: of what is long, that it is said."""
    if isinstance(value, dict | list):
        return "…"
    return value if isinstance(value, str) else json.dumps(value)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["kind"] == "edge":
        return row["stack"], "(edge)", "", "", "", "", "", ""
    pools = ", ".join(f"{p['nodes']}×{p['plan']}" + _bounds(p) for p in row["pools"])
    dataplane = row["dataplane"]
    if isinstance(dataplane, dict):
        dataplane = ", ".join(f"{key}={_short(value)}" for key, value in dataplane.items())
    image = row["image"].partition("@")[0].rpartition("/")[2]
    drained = "yes" if row["drained"] else ""
    where = (row["region"], row["location"], row["version"])
    return row["stack"], *where, pools, dataplane, image, drained


def _bounds(pool: dict[str, Any]) -> str:
    return " ({}–{})".format(*pool["autoscale"]) if pool["autoscale"] else ""


def read(folder: Path | None) -> Inventory:
    """The fleet of a command's `--dir`, its warnings told; a mistake ends the command."""
    try:
        inventory = load(project_dir(folder))
    except SettingsError as error:
        raise failed(error) from None
    for warning in inventory.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if not inventory.stacks:
        typer.echo("warning: no stack file belongs to this fleet", err=True)
    return inventory
