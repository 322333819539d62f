"""What a change does to a cluster and its nodes."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.cluster.drained_pool import POOL_LABEL
from components.json_object import object_at, objects_at
from infra.fleet.inventory import Inventory, RegionStack
from infra.pins.catalog import Catalog
from infra.state.resource_types import CLUSTER, DAEMON_SET, POOL, VERSION
from infra.state.upgrades import made_anew, meanwhile, ordered
from ops.render.resources import Registered, Rendering


@dataclass(frozen=True)
class Pool:
    """A node pool as it is asked for: `least` and `most` nodes are the same where it doesn't scale
    itself."""

    label: str
    plan: str
    least: int
    most: int
    serves: bool


def pools(rendering: Rendering) -> dict[str, Pool]:
    """A cluster's pools by their labels, the first one first."""
    apart = {label for each in rendering.resources for label in _not_on(each)}
    clusters = [r.inputs.get("nodePools") for r in rendering.resources if r.type == CLUSTER]
    further = [r.inputs for r in rendering.resources if r.type == POOL]
    found: dict[str, Pool] = {}
    for inputs in filter(None, [*clusters, *further]):
        label, nodes = str(inputs["label"]), int(inputs["nodeQuantity"])
        scales = bool(inputs.get("autoScaler"))
        least = int(inputs["minNodes"]) if scales else nodes
        most = int(inputs["maxNodes"]) if scales else nodes
        found[label] = Pool(label, str(inputs["plan"]), least, most, label not in apart)
    return found


def _not_on(resource: Registered) -> Iterator[str]:
    """Labels of pools that the ingress keeps off."""
    if resource.type != DAEMON_SET or not resource.name.endswith("-ingress-controller"):
        return
    path = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    required = object_at(resource.inputs, "spec", "template", "spec", *path)
    for term in objects_at(required, "nodeSelectorTerms"):
        for said in objects_at(term, "matchExpressions"):
            if said.get("key") == POOL_LABEL and said.get("operator") == "NotIn":
                yield from (str(value) for value in said["values"])


def upgrade(
    before: Rendering,
    after: Rendering,
    stack: RegionStack,
    inventory: Inventory,
    upgraded: Collection[str],
    visited: Collection[str],
) -> Iterator[str]:
    """A new version. `upgraded` are all stacks that the same change upgrades, `visited` regions
    that got visitors until now."""
    old, new = version(before), version(after)
    if not upgrades(before, after):
        if old and new and old != new:
            yield (
                f"The version goes back, {old} → {new}. VKE doesn't: `pulumi up` refuses it where "
                f"the cluster has {old} already"
            )
        return
    nodes = _least(pools(before))
    said = made_anew(str(old), str(new), nodes if _fixed(pools(before)) else None)
    yield said[0].upper() + said[1:]
    if _least(pools(after)) == 1:
        yield (
            "Vultr doesn't upgrade a cluster of one node: `pulumi up` refuses this, unless Vultr "
            "has upgraded it by itself already. Say `nodes: 2`, `pulumi up`, then upgrade"
        )
    if inventory.drains(stack) and stack.region in visited:
        yield (
            "It drains with the same change, which visitors feel from the edge stack's `pulumi up` "
            "on: do that before this one's, or a change before"
        )
    elif len(upgraded) > 1:
        yield _together(stack, inventory, upgraded)
    else:
        yield meanwhile(stack, inventory)


def version(rendering: Rendering | None) -> str | None:
    """The version that a stack's cluster is to have."""
    resources = rendering.resources if rendering else []
    return next((str(r.inputs["version"]) for r in resources if r.type == VERSION), None)


def upgrades(before: Rendering | None, after: Rendering | None) -> bool:
    """Whether a cluster's version rises."""
    old, new = version(before), version(after)
    return bool(old and new) and ordered(str(new)) > ordered(str(old))


def _together(stack: RegionStack, inventory: Inventory, upgraded: Collection[str]) -> str:
    names = ", ".join(sorted(upgraded))
    staying = {
        other.region
        for other in inventory.regions(stack.fleet.domain)
        if other.name not in upgraded and not other.settings.drain
    }
    if staying:
        return f"One change upgrades {names}: meanwhile {', '.join(sorted(staying))} serve visitors"
    return (
        f"One change upgrades {names}, and no other cluster serves: `pulumi up` one after the "
        "other, or nobody carries the site meanwhile"
    )


def sizes(before: Rendering, after: Rendering) -> Iterator[str]:
    """Pools that grow, shrink, go, or serve no more."""
    was, now = pools(before), pools(after)
    for label, old in was.items():
        if new := now.get(label):
            yield from _resized(old, new)
        else:
            yield (
                f"Pool {label} goes: first its nodes' records, then its pods are evicted "
                f"(DaemonSets' stay), then Vultr deletes its {_count(old)}"
            )
    for label, new in now.items():
        if was and label not in was:
            yield f"Pool {label} is new: {_count(new)}"
    left = "One node is left" if _fixed(now) else "One node may be left"
    if _least(was) > 1 and _least(now) == 1:
        yield (
            f"{left}: while it is restarted or replaced this cluster serves nobody, its pods have "
            "no other node to go to, and Vultr doesn't upgrade a cluster of one node"
        )
    elif _least(was, serving=True) > 1 and _least(now, serving=True) == 1:
        yield f"{left} that serves: while it is restarted or replaced this cluster serves nobody"


def _resized(old: Pool, new: Pool) -> Iterator[str]:
    label, fixed = old.label, new.least == new.most
    if old.serves and not new.serves:
        yield f"Pool {label} serves no more: its nodes lose their records, and the ingress"
    elif new.serves and not old.serves:
        yield f"Pool {label} begins to serve: its nodes get the ingress, and records"
    if old.least == old.most and fixed and new.least < old.least:
        gone = old.least - new.least
        yield (
            f"Pool {label} shrinks from {old.least} to {_nodes(new.least)}: Vultr chooses the "
            f"{gone if gone > 1 else 'one'} to delete and drains nothing, so what runs there is "
            f"cut off{'. Its records go in the same `up`' if new.serves else ''}"
        )
    elif old.least == old.most and fixed and new.least > old.least:
        more = 2 * (new.least - old.least)
        yield f"Pool {label} grows from {old.least} to {_nodes(new.least)}" + (
            f": {more} records follow (A and AAAA) as these are ready" if new.serves else ""
        )
    elif not fixed and new.least < old.least:
        bounds = f"{_count(old)} → {_count(new)}"
        yield f"Pool {label}, {bounds}: the autoscaler may take it down to {_nodes(new.least)}"
    elif old.least != old.most and fixed:
        yield (
            f"Pool {label} no longer scales itself: it gets {_nodes(new.least)}, and `pulumi up` "
            "refuses that where the autoscaler has made more"
        )


def _least(found: Mapping[str, Pool], *, serving: bool = False) -> int:
    return sum(pool.least for pool in found.values() if pool.serves or not serving)


def _fixed(found: Mapping[str, Pool]) -> bool:
    return all(pool.least == pool.most for pool in found.values())


def _count(pool: Pool) -> str:
    if pool.least == pool.most:
        return _nodes(pool.least)
    return f"{pool.least} to {pool.most} nodes"


def _nodes(count: int) -> str:
    return f"{count} node{'s' if count != 1 else ''}"


def protection(before: Rendering, after: Rendering, replaced: Collection[str]) -> Iterator[str]:
    """A cluster that is deleted with this, or can be from now on. `replaced` are URNs."""
    was, now = (_clusters(rendering) for rendering in (before, after))
    for urn, old in was.items():
        if (new := now.get(urn)) is None:
            continue
        nodes = " and ".join(_count(pool) for pool in pools(before).values())
        what = f"the cluster with its {nodes} and everything in it"
        if urn in replaced:
            yield f"This deletes {what}, and makes another"
        elif old.options.get("protect") and not new.options.get("protect"):
            yield (
                "Protection is taken off: from then on `pulumi destroy`, or a change that replaces "
                f"it, deletes {what}"
            )


def another_cluster(after: Rendering, replaced: Collection[str]) -> bool:
    """Whether a cluster is deleted and made anew."""
    return any(urn in replaced for urn in _clusters(after))


def _clusters(rendering: Rendering) -> dict[str, Registered]:
    return {each.urn: each for each in rendering.resources if each.type == CLUSTER}


def begun(after: Rendering, prices: Catalog) -> Iterator[str]:
    """A stack that is new, as far as it makes a cluster."""
    for cluster in _clusters(after).values():
        made: dict[str, Any] = dict(cluster.inputs)
        found = pools(after).values()
        nodes = ", ".join(f"{_count(pool)} of plan {pool.plan}" for pool in found)
        cost = prices.monthly([(pool.plan, pool.least) for pool in found])
        known = not prices.unpriced([(pool.plan, pool.least) for pool in found])
        price = f", ${cost:,.2f} a month" if known else ""
        least = " at least" if any(p.least != p.most for p in found) and known else ""
        yield f"Starts a new cluster in {made.get('region')}: {nodes}{price}{least}"


def ended(name: str, before: Rendering) -> str:
    """A stack whose file is gone."""
    return (
        f"A file that goes deletes nothing: its {len(before.resources)} resources stay, in "
        f"nobody's hands. Drain, and `pulumi destroy --stack {name}`, before this is merged"
    )


def withdrawal(
    before: Rendering, after: Rendering, stack: RegionStack, inventory: Inventory
) -> Iterator[str]:
    """A cluster that leaves its region's host name to others, or comes back to it."""
    others = ", ".join(sibling.name for sibling in inventory.siblings(stack))
    was, now = (_publishes(rendering) for rendering in (before, after))
    if was and not now and inventory.withdrawn(stack):
        yield f"Its nodes' records leave {stack.hostname}: {others} carry it"
    elif now and not was and others:
        yield f"Its nodes join {stack.hostname} again, beside {others}"


def _publishes(rendering: Rendering) -> bool:
    """Offline no node is known, so records are announced where there are to be some."""
    return any(" records follow (A and AAAA for " in text for text in rendering.messages)
