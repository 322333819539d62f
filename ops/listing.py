"""`fleet list` and `fleet cost`: the fleet as its files say."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import SettingsError
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from infra.pins.catalog import Catalog, catalog
from ops.command import FOUND, Folder, Json, failed
from ops.files import project_dir


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
            show_default="a drained region, else the first",
        ),
    ] = None,
) -> None:
    """List the fleet's stacks: where each cluster is, what it runs, and whether it is drained.

    Reads the files alone. Exit code: 0, or 2 where the files are wrong.
    """
    inventory = _inventory(folder)
    if in_waves:
        planned = _waves(inventory, canary)
        named = [f"{wave}: {', '.join(stacks)}" for wave, stacks in planned.items()]
        typer.echo(json.dumps(planned, indent=2) if as_json else "\n".join(named))
        return
    rows = fleet(inventory)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    heads = ("STACK", "REGION", "LOCATION", "VERSION", "POOLS", "DATAPLANE", "IMAGE", "DRAINED")
    typer.echo(table([heads, *[_cells(row) for row in rows]]))


def cost(folder: Folder = None, as_json: Json = False) -> None:
    """Say what the fleet's nodes cost a month, and what managed load balancers would have added.

    List prices before tax, from a pinned list whose date is printed; an autoscaled pool counts
    with the size it is made with. Control planes cost nothing; highly available ones, traffic
    beyond the plans' own, backups and Cloudflare's plan are not counted.

    Exit code: 0; 1 where a plan's price isn't in the list, so that the sum is too small; 2 where
    the files are wrong.
    """
    found = costs(_inventory(folder), catalog())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(_costs_text(found))
    if found["unpriced"]:
        raise typer.Exit(FOUND)


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
    settings = stack.settings
    cluster = settings.cluster
    return {
        "stack": stack.name,
        "kind": "region",
        "domain": stack.fleet.domain,
        "region": stack.region,
        "hostname": stack.hostname,
        "cluster": stack.label,
        "location": cluster.location,
        "version": cluster.version,
        "pools": [
            {
                "label": pool.label,
                "plan": pool.plan,
                "nodes": pool.nodes,
                "autoscale": [pool.autoscale.min, pool.autoscale.max] if pool.autoscale else None,
            }
            for pool in cluster.pools
        ],
        "dataplane": settings.calico.model_dump(by_alias=True, exclude_defaults=True) or "baseline",
        "image": settings.ingress.image,
        "drained": settings.drain,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["kind"] == "edge":
        return row["stack"], "(edge)", "", "", "", "", "", ""
    pools = ", ".join(f"{p['nodes']}×{p['plan']}" + _bounds(p) for p in row["pools"])
    dataplane = row["dataplane"]
    if isinstance(dataplane, dict):
        dataplane = ", ".join(f"{key}={value}" for key, value in dataplane.items())
    image = row["image"].partition("@")[0].rpartition("/")[2]
    drained = "yes" if row["drained"] else ""
    where = (row["region"], row["location"], row["version"])
    return row["stack"], *where, pools, dataplane, image, drained


def _bounds(pool: dict[str, Any]) -> str:
    return " ({}–{})".format(*pool["autoscale"]) if pool["autoscale"] else ""


def costs(inventory: Inventory, prices: Catalog) -> dict[str, Any]:
    """Dollars a month by cluster and in all; `unpriced` names plans that the list lacks."""
    clusters, unpriced = [], set()
    for stack in inventory.region_stacks:
        pools = [(pool.plan, pool.nodes) for pool in stack.settings.cluster.pools]
        unpriced |= prices.unpriced(pools)
        clusters.append(
            {
                "stack": stack.name,
                "nodes": sum(nodes for _, nodes in pools),
                "monthly": prices.monthly(pools),
                "load_balancers_saved": prices.load_balancer,
            }
        )
    return {
        "currency": "USD",
        "prices_read": prices.prices_read,
        "prices_source": prices.prices_source,
        "clusters": clusters,
        "monthly": sum(each["monthly"] for each in clusters),
        "load_balancers_saved": prices.load_balancer * len(clusters),
        "unpriced": sorted(unpriced),
    }


def _costs_text(found: dict[str, Any]) -> str:
    sum_row = ("fleet", sum(each["nodes"] for each in found["clusters"]), found["monthly"])
    rows = [(each["stack"], each["nodes"], each["monthly"]) for each in found["clusters"]]
    cells = [(name, str(nodes), f"${cost:,.2f}") for name, nodes, cost in [*rows, sum_row]]
    saved, clusters = found["load_balancers_saved"], len(found["clusters"])
    lines = [
        table([("STACK", "NODES", "A MONTH"), *cells]),
        "",
        f"Managed load balancers, one for each of {clusters} clusters, would have added "
        f"${saved:,.2f} a month.",
        f"List prices of {found['prices_read']}, before tax: {found['prices_source']}.",
    ]
    if found["unpriced"]:
        lines.append(
            f"Not in that list, and counted as nothing: {', '.join(found['unpriced'])}. The fleet "
            "costs more than this says; add the prices to infra/pins/vultr_catalog.json"
        )
    return "\n".join(lines)


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns as wide as what stands in them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _inventory(folder: Path | None) -> Inventory:
    try:
        inventory = load(project_dir(folder))
    except SettingsError as error:
        raise failed(error) from None
    for warning in inventory.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if not inventory.stacks:
        typer.echo("warning: no stack file belongs to this fleet", err=True)
    return inventory
