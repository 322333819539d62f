"""`fleet cost`: what the fleet's nodes cost a month, and what a change of the files costs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import SettingsError
from infra.fleet.inventory import Inventory
from infra.pins.catalog import Catalog, catalog
from ops.command import FOUND, CommandError, Folder, Json, failed
from ops.listing import read
from ops.tables import table, terminal_width


def command(
    folder: Folder = None,
    diff: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="What a change costs: compare with a git revision, like main."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what the fleet's nodes cost a month, and what managed load balancers would have added.

    List prices before tax, from a pinned list whose date is printed; an autoscaled pool counts
    with the size it is made with. Control planes cost nothing; highly available ones, traffic
    beyond the plans' own, backups and Cloudflare's plan are not counted.

    Exit code: 0; 1 where a plan's price isn't in the list, so that the sum is too small, and with
    --diff where `pulumi up` will refuse something; 2 where the files are wrong or the revision
    can't be read.
    """
    inventory = read(folder)
    if diff is not None:
        _compare(inventory.folder, diff, as_json)
        return
    found = costs(inventory, catalog())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(_costs_text(found))
    if found["unpriced"]:
        raise typer.Exit(FOUND)


def costs(inventory: Inventory, prices: Catalog) -> dict[str, Any]:
    """Dollars a month by cluster and in all; `unpriced` names plans that the list lacks."""
    clusters, unpriced, existing = [], set(), list[str]()
    for stack in inventory.region_stacks:
        if stack.vke is None:
            existing.append(stack.name)
            continue
        pools = [(pool.plan, pool.nodes) for pool in stack.vke.pools]
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
        "existing": existing,
    }


def _costs_text(found: dict[str, Any]) -> str:
    sum_row = ("fleet", sum(each["nodes"] for each in found["clusters"]), found["monthly"])
    rows = [(each["stack"], each["nodes"], each["monthly"]) for each in found["clusters"]]
    cells = [(name, str(nodes), f"${cost:,.2f}") for name, nodes, cost in [*rows, sum_row]]
    saved, clusters = found["load_balancers_saved"], len(found["clusters"])
    lines = [table([("STACK", "NODES", "A MONTH"), *cells], terminal_width()), ""]
    lines += [
        f"Managed load balancers, one for each of {clusters} clusters, would have added "
        f"${saved:,.2f} a month."
    ] * bool(clusters)
    lines += [
        f"List prices of {found['prices_read']}, before tax: {found['prices_source']}.",
    ]
    if found["existing"]:
        lines.append(
            f"Not counted: {', '.join(found['existing'])}. Nothing is to be paid at Vultr for a "
            "cluster that it didn't make; who made it knows what it costs."
        )
    if found["unpriced"]:
        lines.append(_uncounted(found["unpriced"]))
    return "\n".join(lines)


def _compare(project: Path, revision: str, as_json: bool) -> None:
    # Here, because it takes a second to import and only a comparison needs it.
    from ops.render.cli import compared

    try:
        comparison = compared(project, revision, [])
    except (SettingsError, CommandError) as error:
        raise failed(error) from None
    prices, cost = catalog(), comparison.cost
    refused = {diff.stack: diff.refused for diff in comparison.stacks if diff.refused}
    if as_json:
        plain = {
            "revision": revision,
            "notes": comparison.notes,
            **cost.plain(),
            "prices_read": prices.prices_read,
            "prices_source": prices.prices_source,
            "refused": refused,
        }
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        lines = [f"note: {note}" for note in comparison.notes]
        lines += [f"! {stack} refused: {why}" for stack, said in refused.items() for why in said]
        lines += ["", changes(cost.before, cost.after)]
        lines += ["", f"List prices of {prices.prices_read}, before tax: {prices.prices_source}."]
        lines += [_uncounted(sorted(cost.unpriced))] if cost.unpriced else []
        typer.echo("\n".join(lines).lstrip("\n"))
    if refused or cost.unpriced:
        raise typer.Exit(FOUND)


def changes(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Dollars a month by stack, then and now, and the sum."""
    rows = [("STACK", "BEFORE", "AFTER", "CHANGE")]
    for name in sorted({*before, *after}):
        rows.append((name, *_change(before.get(name), after.get(name))))
    rows.append(("fleet", *_change(sum(before.values()), sum(after.values()))))
    return table(rows, terminal_width())


def _change(before: float | None, after: float | None) -> tuple[str, str, str]:
    cells = ["" if dollars is None else f"${dollars:,.2f}" for dollars in (before, after)]
    more = (after or 0) - (before or 0)
    return cells[0], cells[1], f"{'+' if more > 0 else '−'}${abs(more):,.2f}" if more else ""


def _uncounted(plans: Sequence[str]) -> str:
    return (
        f"Not in that list, and counted as nothing: {', '.join(plans)}. The fleet costs more than "
        "this says; add the prices to infra/pins/vultr_catalog.json"
    )
