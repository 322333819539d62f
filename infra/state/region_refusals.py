"""Changes that are refused before anything is registered.

Some would delete a cluster, some Vultr accepts and then ignores (docs/facts/vultr.md §1). Both are
found by holding the stack file against what the stack's state says was made.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from components.dataplane.calico_options import crosses_vxlan_break
from components.json_object import object_at, objects_at
from infra.fleet.inventory import RegionStack
from infra.settings.cluster import Cluster, Pool
from infra.state.checkpoint import StackState
from infra.state.resource_types import CALICO, CLUSTER, DAEMON_SET, EXISTING, POOL, VPC

_VXLAN = ("vxlan", "crossSubnet")


def region_refusals(stack: RegionStack, state: StackState) -> Iterator[str]:
    """What the stack file asks for that must not, or can't, happen to the cluster it has."""
    cluster = stack.vke
    made = state.of_type(CLUSTER).get(f"{stack.name}-cluster")
    where = f"{stack.file}: edgefleet:cluster"
    if (made is not None and cluster is None) or (
        cluster is not None and stack.name in state.of_type(EXISTING)
    ):
        yield (
            f"{where}: this stack has {'a VKE' if made else 'an existing'} cluster, and can't go "
            "on with one of the other kind: make a new stack file with the same region, and "
            "destroy this stack once the new one serves"
        )
        return
    if cluster is None:
        yield from _ufw_left_behind(stack, state)
        yield from _mixed_calico(stack, state)
        return
    if made is None:
        return
    yield from _replacements(where, cluster, made)
    yield from _vpc(where, cluster, state.of_type(VPC).get(f"{stack.name}-vpc"))
    yield from _first_pool(where, cluster.pools[0], object_at(made, "nodePools"))
    yield from _ufw_left_behind(stack, state)
    yield from _mixed_calico(stack, state)
    yield from _taints(f"{where}.pools[0]", cluster.pools[0], object_at(made, "nodePools"))
    further = state.of_type(POOL)
    for index, pool in enumerate(cluster.pools[1:], start=1):
        known = further.get(f"{stack.name}-pool-{pool.label}")
        if known and known.get("plan") != pool.plan:
            way = f"take {pool.label!r} out of the file: `pulumi up` drains its nodes first"
            yield _plan_change(f"{where}.pools[{index}]", pool, str(known.get("plan")), way)
        if known:
            yield from _taints(f"{where}.pools[{index}]", pool, known)


def _replacements(where: str, cluster: Cluster, made: Mapping[str, Any]) -> Iterator[str]:
    nodes = len(objects_at(made, "nodePools", "nodes"))
    for key, old, new in (
        ("location", made.get("region"), cluster.location),
        ("highAvailability", bool(made.get("haControlplanes")), cluster.high_availability),
    ):
        if old == new or key in cluster.replace:
            continue
        yield (
            f"{where}.{key}: {old!r} → {new!r} would delete cluster {made.get('label')} with its "
            f"{nodes} nodes and everything in it, and make another. Put it back, or make a new "
            "cluster beside it (a new stack file with the same region). If you mean it: "
            f"`replace: [{key}]` and `protect: false`"
        )


def _vpc(where: str, cluster: Cluster, made: Mapping[str, Any] | None) -> Iterator[str]:
    old = f"{made['v4Subnet']}/{made['v4SubnetMask']}" if made else None
    new = cluster.vpc.cidr if cluster.vpc else None
    if old != new:
        yield (
            f"{where}.vpc: {old or 'none'} → {new or 'none'}: a cluster keeps the VPC it was made "
            "in. Put it back, or make a new cluster beside it (a new stack file with the same "
            "region)"
        )


def _first_pool(where: str, pool: Pool, made: Mapping[str, Any]) -> Iterator[str]:
    if not made:
        return
    if made.get("label") != pool.label:
        yield (
            f"{where}.pools[0].label: {made.get('label')!r} → {pool.label!r}: the first pool is "
            "the one the cluster was made with, and Vultr ignores a new label. Keep it first; "
            "further pools come after it"
        )
    elif made.get("plan") != pool.plan:
        way = f"shrink {pool.label!r} to `nodes: 1`: the pool that a cluster was made with stays"
        yield _plan_change(f"{where}.pools[0]", pool, str(made.get("plan")), way)


def _taints(where: str, pool: Pool, made: Mapping[str, Any]) -> Iterator[str]:
    """Vultr's PATCH of a pool adds taints and takes none away (docs/facts/vultr.md §1)."""
    old = [_taint(taint) for taint in objects_at(made, "taints")]
    new = [_taint(taint.model_dump()) for taint in pool.taints]
    if made and sorted(old) != sorted(new):
        yield (
            f"{where}.taints: {', '.join(old) or 'none'} → {', '.join(new) or 'none'}: a pool "
            "keeps the taints it was made with. Put them back, or add a pool with another label "
            "that has these"
        )


def _taint(taint: Mapping[str, Any]) -> str:
    return f"{taint.get('key')}={taint.get('value') or ''}:{taint.get('effect')}"


def _ufw_left_behind(stack: RegionStack, state: StackState) -> Iterator[str]:
    firewall = stack.settings.firewall
    keeper = state.of_type(DAEMON_SET).get(f"{stack.name}-node-firewall-daemon-set")
    if keeper is None or firewall.ufw_mode:
        return
    (container,) = keeper["spec"]["template"]["spec"]["containers"]
    if container["args"][0] != "enforce":
        return
    left = "the nodes' ufw holds edgefleet's rules, which would stay and which nobody would keep up"
    if firewall.by_calico:
        yield (
            f"{stack.file}: edgefleet:firewall.hostProtection: 'calico': {left} to date. "
            "`hostProtection: both` keeps both. To leave ufw behind, say `node: remove` beside "
            "hostProtection: calico, `pulumi up`, and take that out again"
        )
    else:
        yield (
            f"{stack.file}: edgefleet:firewall.node: 'off': {left} to date. Say `node: remove` "
            "first, `pulumi up`, then `node: off`"
        )


def _mixed_calico(stack: RegionStack, state: StackState) -> Iterator[str]:
    """calico-node is updated one node after the other, and these two don't get on meanwhile."""
    made = state.of_type(CALICO).get(f"{stack.name}-calico", {})
    images = object_at(made, "expected", "images")
    old, new = _tag(str(next(iter(images.values()), ""))), stack.settings.calico.version
    if not (old and new) or stack.settings.drain:
        return
    if crosses_vxlan_break(old, new) and stack.settings.calico.encapsulation in (None, *_VXLAN):
        yield (
            f"{stack.file}: edgefleet:calico.version: {old!r} → {new!r}: while some nodes run the "
            "one and some the other, connections from a node's own network to services on other "
            "nodes break over VXLAN (projectcalico/calico#11910). The ingress is on the nodes' "
            "network: part of this region's requests would fail until the last node is updated. "
            f"Drain the region first (`pulumi config set drain true -s {stack.name}`, `pulumi up` "
            "there and for the edge), `pulumi up` the version, and undrain"
        )


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[2]


def _plan_change(where: str, pool: Pool, old: str, way: str) -> str:
    return (
        f"{where}.plan: {old!r} → {pool.plan!r}: Vultr ignores a new plan for a pool that exists. "
        f"Add a pool with another label and plan {pool.plan!r}, `pulumi up`, then {way} "
        "(docs/operations.md)"
    )
