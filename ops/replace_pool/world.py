"""Reading what is: the file, the state, Vultr, the cluster, and what a preview says."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from components.cluster.drained_pool import POOL_LABEL, to_evict
from components.json_object import object_at
from components.server_side.api import CLUSTER_LEVEL, ServerObject
from components.vendors.vultr import VultrApi
from components.vendors.vultr_cluster import LiveCluster
from infra.errors import SettingsError
from infra.fleet.files import meant
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from infra.pins.catalog import catalog
from infra.settings.cluster import Pool
from infra.state.survey import survey
from ops.approval.steps import names, steps
from ops.files import trial
from ops.guided.asking import region_of, state_of
from ops.guided.pool_text import replacing, with_nodes, with_pool, without_pool
from ops.live.apis import vultr_api
from ops.pulumi_cli import PulumiFailed
from ops.reconcile.engine import preview
from ops.render.revisions import render_folder
from ops.replace_pool.plan import World, successor


@dataclass(frozen=True)
class Wish:
    """What was asked for: a stack's pool, and the plan, label and size of the one in its place."""

    stack: str
    pool: str
    plan: str
    label: str | None = None
    nodes: int | None = None


def find(project: Path, wish: Wish) -> World:
    """Ask everybody. Raises SettingsError, VendorError, PulumiFailed, PreviewError, Refused,
    Unreachable."""
    inventory = load(project)
    stack = region_of(inventory, wish.stack)
    text = (project / stack.file).read_text()
    vultr = vultr_api()
    live = _live(project, stack, vultr)
    world = _world(inventory, stack, live, wish, replacing(text).get(wish.pool))
    _tried(project, inventory, stack, text, world)
    rest = names(steps(preview(project, stack.name)))
    busy = 0
    if world.first and world.added:
        busy = len(occupied(_server(vultr, live), world.old, cordoned=world.gone))
    return replace(world, rest=rest, busy=busy)


def server_of(project: Path, name: str) -> ServerObject:
    """The API server of a stack's cluster. Raises VendorError, PulumiFailed."""
    vultr = vultr_api()
    return _server(vultr, _live(project, region_of(load(project), name), vultr))


def _live(project: Path, stack: RegionStack, vultr: VultrApi) -> LiveCluster:
    found = survey(stack, state_of(project, stack.name), lambda: vultr).cluster
    if found is None:
        raise PulumiFailed(
            f"{stack.name}: Vultr has no cluster of this stack: pulumi up -s {stack.name}"
        )
    return found


def occupied(server: ServerObject, pool: str, *, cordoned: bool) -> list[str]:
    """Names of a pool's nodes that may get pods, or have some that have to move; with `cordoned`,
    of those that take none. Raises Refused, Unreachable."""
    nodes = server.items("/api/v1/nodes", labelSelector=f"{POOL_LABEL}={pool}")
    shut = {n["metadata"]["name"] for n in nodes if object_at(n, "spec").get("unschedulable")}
    if cordoned:
        return sorted(shut)
    return [
        name for n in nodes if (name := n["metadata"]["name"]) not in shut or _has(server, name)
    ]


def _has(server: ServerObject, node: str) -> bool:
    return bool(to_evict(server.items("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")))


def _server(vultr: VultrApi, live: LiveCluster) -> ServerObject:
    return ServerObject({**CLUSTER_LEVEL, "kubeconfig": vultr.kubeconfig(live.id)}, patient=False)


def _world(
    inventory: Inventory, stack: RegionStack, live: LiveCluster, wish: Wish, begun: str | None
) -> World:
    cluster = stack.vke
    assert cluster
    pools = {pool.label: pool for pool in cluster.pools}
    old, where = pools.get(wish.pool), f"{stack.file}: edgefleet:cluster.pools"
    made = pools.get(begun) if begun else None
    if begun and made is None:
        raise SettingsError([_lost(where, begun, wish.pool)])
    if old is None and made is None:
        known = ", ".join(f"{p.label} ({p.plan})" for p in pools.values())
        there_are = f"{where}: there is no pool {wish.pool!r}; these are: {known}"
        raise SettingsError([f"{there_are}{meant(wish.pool, pools)}"])
    first = cluster.pools[0].label == wish.pool
    there = len(live.nodes_of(wish.pool))
    if problem := _unfit(where, wish, old, made, first):
        raise SettingsError([problem])
    pool = made or old
    assert pool
    taken = {*pools, *(each.label for each in live.pools)}
    nodes = pool.nodes if made else _wanted(pool, wish, there)
    edge, prices = inventory.edge(stack.fleet.domain), catalog()
    was = old.plan if old else "gone"
    return World(
        stack=stack.name,
        file=stack.file,
        hostname=stack.hostname,
        edge=edge.name if edge else None,
        old=wish.pool,
        new=begun or wish.label or successor(wish.pool, taken),
        was=was,
        plan=wish.plan,
        nodes=nodes,
        first=first,
        there=there,
        minutes=cluster.timeouts.nodes,
        added=made is not None,
        gone=old is None or (first and made is not None and old.nodes == 1),
        monthly=(prices.monthly([(was, there)]), prices.monthly([(wish.plan, nodes)])),
    )


def _lost(where: str, begun: str, pool: str) -> str:
    return (
        f"{where}: {begun!r} was to take the place of {pool!r}, and isn't there. Take the line "
        "with `fleet replace-pool` out of the file"
    )


def _unfit(where: str, wish: Wish, old: Pool | None, made: Pool | None, first: bool) -> str | None:
    if made and made.plan != wish.plan:
        return (
            f"{where}: pool {made.label} with plan {made.plan} takes the place of {wish.pool} "
            f"already: go on with --plan {made.plan}; or take it and the line with `fleet "
            "replace-pool` out of the file, and pulumi up"
        )
    if made and wish.label not in (None, made.label):
        return f"{where}: pool {made.label} takes the place of {wish.pool}, not {wish.label}"
    if made or not old or not first:
        return None
    if old.nodes == 1 and not old.autoscale:
        return (
            f"{where}: the cluster was made with {wish.pool}, which stays, and has one node "
            "already. To be rid of it, make a cluster beside this one"
        )
    if old.autoscale:
        return (
            f"{where}: the cluster was made with {wish.pool}, which stays with one node, and its "
            "`autoscale` would make more. Take that out, `pulumi up`, then run this again"
        )
    return None


def _wanted(pool: Pool, wish: Wish, there: int) -> int:
    if wish.nodes:
        return wish.nodes
    # What the autoscaler has made is needed by now.
    return max(pool.nodes, min(there, pool.autoscale.max)) if pool.autoscale else pool.nodes


def texts(project: str, world: World, text: str) -> Iterable[str]:
    """The file as it will be after each edit that is left. Raises SettingsError."""
    if not world.added:
        text = added(project, world, text)
        yield text
    if not world.gone:
        yield left(project, world, text)


def added(project: str, world: World, text: str) -> str:
    """With the new pool. Raises SettingsError."""
    new = {"label": world.new, "plan": world.plan, "nodes": world.nodes}
    return with_pool(world.file, text, project, world.old, new)


def left(project: str, world: World, text: str) -> str:
    """Without the old pool, or with one node of it. Raises SettingsError."""
    if world.first:
        return with_nodes(world.file, text, project, world.old, 1)
    return without_pool(world.file, text, project, world.old)


def _tried(
    project: Path, inventory: Inventory, stack: RegionStack, text: str, world: World
) -> None:
    """Render the stack as the file will be. Raises SettingsError with what would be refused."""
    files = [each.file for each in inventory.stacks.values()]
    for new in texts(inventory.project, world, text):
        with trial(project, files, stack.file, new) as folder:
            render_folder(folder, [stack.name])
