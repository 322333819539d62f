"""`fleet render`: what a stack would register, and what a change of the files changes."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from components.firewall import cloudflare_ranges
from infra.errors import SettingsError
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack
from infra.fleet.reading import load
from infra.pins.catalog import catalog
from infra.state.checkpoint import StackState
from infra.state.edge_refusals import one_worker_two_owners
from infra.state.region_refusals import region_refusals
from infra.state.resource_types import CLUSTER
from ops.command import FOUND, Folder, failed, say, stack_names
from ops.files import project_dir
from ops.render.cost import cost_change
from ops.render.diff import StackDiff, compare
from ops.render.markdown import markdown
from ops.render.meaning import meaning, open_regions, upgraded_stacks
from ops.render.renames import renames
from ops.render.report import Comparison
from ops.render.resources import Rendering
from ops.render.revisions import Fleet, RevisionError, render_folder, render_revision
from ops.render.text import WIDTH, text


class Format(StrEnum):
    """How a comparison is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def command(
    stacks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Stacks by name; without one, the whole fleet.", autocompletion=stack_names
        ),
    ] = None,
    folder: Folder = None,
    diff: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Compare with a git revision, like main or HEAD~1."),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="How to write it. [default: text]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show every resource of stacks with its inputs, or what changed since a revision.

    Reads the files alone: no Pulumi, no credentials, no network. What only a vendor can know is
    <unknown>, secrets are <secret>, and records of nodes that don't exist yet are counted.

    Exit code: 0 all is well; 1 with --diff, `pulumi up` will refuse something; 2 the files are
    wrong or the revision can't be read.
    """
    chosen = Format.JSON if as_json else form or Format.TEXT
    try:
        project = project_dir(folder)
        for warning in load(project).warnings:
            typer.secho(f"warning: {warning}", err=True, fg="yellow")
        if diff is None:
            say(f"rendering {', '.join(stacks or ['the fleet'])} …")
            typer.echo(_resources(render_folder(project, stacks or []), chosen), nl=False)
            return
        comparison = compared(project, diff, stacks or [])
    except (SettingsError, RevisionError) as error:
        raise failed(error) from None
    typer.echo(_written(comparison, chosen), nl=False)
    if comparison.refused:
        raise typer.Exit(FOUND)


def compared(project: Path, revision: str, stacks: list[str]) -> Comparison:
    """Compare a project's files with a revision of theirs. Raises SettingsError, RevisionError."""
    say(f"rendering {revision} …")
    before = render_revision(project, revision)
    say("rendering the files as they are …")
    after = render_folder(project, [])
    return comparison(project, revision, before, after, stacks)


def comparison(
    project: Path,
    revision: str,
    before: Fleet,
    after: Mapping[str, Rendering],
    stacks: Sequence[str] = (),
) -> Comparison:
    """Hold a project's renderings against those of a revision. Raises SettingsError."""
    if unknown := [name for name in stacks if name not in {**before.stacks, **after}]:
        raise SettingsError([f"Pulumi.{name}.yaml: there is no such file" for name in unknown])
    names = list(stacks) or sorted({*before.stacks, *after})
    inventory = load(project)
    refused = refused_changes(inventory, before.stacks, [name for name in names if name in after])
    diffs = [_unlike(n, before.stacks.get(n), after.get(n), refused.get(n, [])) for n in names]
    old = {name: each for name, each in before.stacks.items() if name in names}
    new = {name: each for name, each in after.items() if name in names}
    # A refused stack stays as it is.
    stays = {name: old[name] for name in refused if refused[name]}
    return Comparison(
        revision,
        diffs,
        [*before.notes, *renames(before.stacks, after)],
        cost_change(old, {**new, **stays}, catalog()),
        _meanings(diffs, inventory, before.stacks, after),
    )


def _meanings(
    diffs: Sequence[StackDiff],
    inventory: Inventory,
    before: Mapping[str, Rendering],
    after: Mapping[str, Rendering],
) -> dict[str, list[str]]:
    upgraded, visited = upgraded_stacks(before, after), open_regions(before)
    cloudflare = cloudflare_ranges.load().cidrs
    found = {
        diff.stack: meaning(
            diff.stack,
            before.get(diff.stack),
            after.get(diff.stack),
            inventory=inventory,
            prices=catalog(),
            cloudflare=cloudflare,
            upgraded=upgraded,
            visited=visited,
            replaced=[each.urn for each in diff.replaced],
        )
        for diff in diffs
        # A refused stack changes nothing.
        if diff.status != "same" and not diff.refused
    }
    return {stack: sentences for stack, sentences in found.items() if sentences}


def refused_changes(
    inventory: Inventory, before: Mapping[str, Rendering], names: list[str]
) -> dict[str, list[str]]:
    """What the program will refuse for stacks that were made as the old files say."""
    found = {}
    for name in names:
        stack = inventory.stacks.get(name)
        if name in before and isinstance(stack, RegionStack):
            found[name] = list(region_refusals(stack, _as_made(before[name])))
        if name in before and isinstance(stack, EdgeStack):
            found[name] = list(one_worker_two_owners(stack, _as_made(before[name])))
    return found


def _as_made(rendering: Rendering) -> StackState:
    """The outputs that a stack made from these inputs would have, as far as they are read."""
    outputs: dict[str, dict[str, Any]] = {}
    for resource in rendering.resources:
        made = dict(resource.inputs)
        if resource.type == CLUSTER:
            pool = made.get("nodePools") or {}
            made["nodePools"] = {**pool, "nodes": [{}] * int(pool.get("nodeQuantity") or 0)}
        outputs[resource.urn] = made
    return StackState(outputs)


def _unlike(
    name: str, old: Rendering | None, new: Rendering | None, refused: list[str]
) -> StackDiff:
    difference = compare(name, old, new, refused)
    # A refused stack changes nothing: what it would do otherwise isn't what will happen.
    return replace(difference, added=[], changed=[], removed=[]) if refused else difference


def _written(comparison: Comparison, form: Format) -> str:
    if form is Format.JSON:
        return _json(comparison.plain())
    if form is Format.MARKDOWN:
        return markdown(comparison)
    # As its makers ask for it (no-color.org); on anything but a terminal colours are taken out.
    colour = not os.environ.get("NO_COLOR")
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    return text(comparison, max(40, min(columns, WIDTH)), colour=colour)


def _resources(stacks: Mapping[str, Rendering], form: Format) -> str:
    if form is Format.JSON:
        return _json(
            [
                {key: value for key, value in resource.plain().items() if key != "custom"}
                for rendering in stacks.values()
                for resource in rendering.resources
            ]
        )
    lines = []
    for name, rendering in stacks.items():
        heading = f"{name}: {len(rendering.resources)} resources"
        lines.append(f"## {heading}\n" if form is Format.MARKDOWN else heading)
        for resource in rendering.resources:
            lines.append(f"\n  {resource.name}  {resource.type}")
            if resource.inputs:
                dumped = yaml.safe_dump(dict(resource.inputs), allow_unicode=True, width=100)
                lines += [f"    {line}" for line in dumped.splitlines()]
        lines += [f"\n  {message}" for message in rendering.messages]
        lines.append("")
    return "\n".join(lines)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
