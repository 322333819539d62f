"""Reading what is: the files, the state, Vultr, the Worker, and what a preview says."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.json_object import objects_at
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack
from infra.fleet.reading import load
from infra.state.live_refusals import live_refusals
from infra.state.survey import Survey, survey
from ops.approval.steps import names, steps
from ops.drift.preview import report
from ops.expected import expected_edge
from ops.files import trial
from ops.guided.asking import region_of, state_of
from ops.guided.stack_text import marked, with_mark, with_version
from ops.live.apis import cloudflare_api, vultr_api
from ops.live.cloudflare import read_edge
from ops.pulumi_cli import PulumiFailed
from ops.render.revisions import render_folder
from ops.upgrade.plan import World, beyond


@dataclass(frozen=True)
class Found:
    """The world, and why the upgrade can't be; `carriers` are the stacks of those that carry
    visitors meanwhile, with their regions. `undeployed` is what a preview shows of the stack
    besides the upgrade, `edges` all that it shows of the edge stack."""

    world: World
    refused: tuple[str, ...]
    carriers: Mapping[str, str]
    undeployed: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    ipv6: bool = True


def find(project: Path, name: str, to: str) -> Found:
    """Ask everybody. Raises SettingsError, VendorError, PulumiFailed, PreviewError."""
    inventory = load(project)
    stack = region_of(inventory, name)
    text = (project / stack.file).read_text()
    edge, state = inventory.edge(stack.fleet.domain), state_of(project, name)
    vultr = vultr_api()
    found = survey(stack, state, lambda: vultr)
    if found.cluster is None:
        raise PulumiFailed(f"{name}: Vultr has no cluster of this stack: pulumi up -s {name}")
    world = _world(inventory, stack, found, edge, to, marked(text))
    # Between the two the file's version may be one that the program refuses: nobody has to ask.
    settled = {world.said, world.kept, world.live} == {to}
    planned = [*steps(report(project, name))] if world.fresh or settled else []
    world = replace(world, rest=names(planned))
    refused = [*_gradual(edge, world)]
    if world.live != to:
        wanted = _upgraded(project, inventory, stack, edge, text, world)
        refused += live_refusals(wanted, found, lambda: vultr)
    edges = [*steps(report(project, edge.name))] if edge and world.fresh else []
    return Found(
        world,
        tuple(refused),
        _carriers(inventory, stack, world),
        tuple(beyond(planned)),
        names(edges),
        stack.settings.cluster.ipv6,
    )


def _world(
    inventory: Inventory,
    stack: RegionStack,
    found: Survey,
    edge: EdgeStack | None,
    to: str,
    mark: bool,
) -> World:
    assert found.cluster
    assert stack.vke
    nodes = {node.id for node in found.cluster.nodes}
    siblings = inventory.siblings(stack)
    others = {
        other.region: other
        for other in inventory.regions(stack.fleet.domain)
        if other.region != stack.region and not inventory.drains(other)
    }
    return World(
        stack=stack.name,
        file=stack.file,
        region=stack.region,
        hostname=stack.hostname,
        to=to,
        said=stack.vke.version,
        kept=found.version,
        live=found.cluster.version,
        nodes=len(nodes),
        minutes=stack.vke.timeouts.upgrade,
        mark=mark,
        drained=stack.settings.drain and not mark,
        twins=tuple(each.name for each in siblings if not each.settings.drain),
        carriers=tuple(sorted(others)),
        edge=edge.name if edge else None,
        edge_drains=_edge_drains(inventory, stack, edge),
        published=bool(found.published),
    )


def _carriers(inventory: Inventory, stack: RegionStack, world: World) -> dict[str, str]:
    if world.way == "twin":
        return dict.fromkeys(world.twins, stack.region)
    if world.way == "none":
        return {}
    regions = inventory.regions(stack.fleet.domain)
    return {each.name: each.region for each in regions if each.region in world.carriers}


def _edge_drains(inventory: Inventory, stack: RegionStack, edge: EdgeStack | None) -> bool:
    """Whether the Worker that serves takes the region as drained."""
    if edge is None:
        return False
    wanted = expected_edge(edge, inventory)
    api = cloudflare_api()
    facts = read_edge(api, wanted.zone_id, wanted.account_id, wanted.script, wanted.main_module)
    return drains(facts.config, stack.region)


def drains(config: str, region: str) -> bool:
    """What a Worker's table says of a region; False where it can't be read."""
    try:
        table: Any = json.loads(config or "{}")
    except ValueError:
        return False
    rows = objects_at({"table": table}, "table", "regions")
    return any(bool(row.get("drain")) for row in rows if row.get("name") == region)


def _gradual(edge: EdgeStack | None, world: World) -> Iterable[str]:
    deployment = edge.settings.deployment if edge else None
    if edge and world.way == "edge" and deployment and deployment.percentage < 100:
        yield (
            f"{edge.file}: edgefleet:edge.deployment.percentage: {deployment.percentage}: only "
            "that share of the requests would know that the region drains. Say 100, and "
            f"pulumi up -s {edge.name}"
        )


def _upgraded(
    project: Path,
    inventory: Inventory,
    stack: RegionStack,
    edge: EdgeStack | None,
    text: str,
    world: World,
) -> RegionStack:
    """The stack with the new version, after the fleet was rendered with it. Raises SettingsError,
    also where the file can't be edited."""
    new = with_version(stack.file, text, inventory.project, world.to)
    if world.way != "none":
        new = with_mark(stack.file, new, inventory.project)
    files = [each.file for each in inventory.stacks.values()]
    with trial(project, files, stack.file, new) as folder:
        render_folder(folder, [stack.name, *([edge.name] if edge else [])])
        wanted = load(folder).stacks[stack.name]
    assert isinstance(wanted, RegionStack)
    return wanted
