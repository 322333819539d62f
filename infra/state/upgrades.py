"""What is refused about a cluster's version and sizes, held against what Vultr has now."""

import re
from collections.abc import Callable, Iterator, Sequence

from components.json_object import object_at
from components.server_side.api import CLUSTER_LEVEL, Refused, ServerObject, Unreachable
from components.vendors.vultr_cluster import LiveCluster
from infra.fleet.inventory import Inventory, RegionStack
from infra.settings.cluster import Cluster
from infra.state.survey import Survey


def ordered(version: str) -> tuple[int, ...]:
    """`v1.35.5+1` as (1, 35, 5, 1), to compare by."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def version_refusals(
    where: str, wanted: str, survey: Survey, upgrades: Callable[[], Sequence[str]]
) -> Iterator[str]:
    """Why a cluster can't come to be of the version `wanted`.

    Args:
        where: file and key of the version.
        upgrades: gives those that Vultr offers for the cluster.
    """
    live = survey.cluster
    if live is None or live.version == wanted:
        return
    if not live.version:
        if survey.version != wanted:
            yield (
                f"{where}: {wanted!r}: Vultr shows no version for cluster {live.label}, and then "
                "refuses every upgrade (a fault on its side, which its support has to mend). Until "
                f"then say {survey.version!r}"
            )
        return
    if ordered(wanted) < ordered(live.version):
        if survey.version == wanted:
            yield (
                f"{where}: {wanted!r}: Vultr has upgraded cluster {live.label} to {live.version} "
                "by itself, as it does some weeks after a version has ended. Say "
                f"{live.version!r} here"
            )
        else:
            yield (
                f"{where}: {wanted!r}: cluster {live.label} has {live.version}, and VKE doesn't "
                f"go back. Say {live.version!r}"
            )
        return
    if wanted not in (offered := list(upgrades())):
        yield (
            f"{where}: {wanted!r}: Vultr doesn't offer that for cluster {live.label}, which has "
            f"{live.version}. It offers: {', '.join(offered) or 'nothing'}"
        )


def new_version_refusals(
    where: str, wanted: str, survey: Survey, versions: Callable[[], Sequence[str]]
) -> Iterator[str]:
    """Why a cluster that is still to be made can't be of the version `wanted`."""
    if not survey.made and wanted not in (offered := list(versions())):
        yield (
            f"{where}: {wanted!r}: Vultr makes no cluster of that version (any more). It offers: "
            f"{', '.join(offered) or 'nothing'}"
        )


def pool_refusals(where: str, cluster: Cluster, live: LiveCluster | None) -> Iterator[str]:
    """Changes of pools that would take away what the autoscaler has added."""
    for index, pool in enumerate(cluster.pools):
        there = live.pool(pool.label) if live else None
        if there is None or there.autoscale is None:
            continue
        if pool.autoscale is None and pool.nodes < there.nodes:
            yield (
                f"{where}.pools[{index}].nodes: {pool.nodes}: without autoscale this would delete "
                f"{there.nodes - pool.nodes} of the {there.nodes} nodes that the autoscaler has "
                f"made. Say `nodes: {there.nodes}`, `pulumi up`, then change it"
            )


def preflight(where: str, cluster: Cluster, kubeconfig: Callable[[], str]) -> Iterator[str]:
    """What Vultr looks at before it upgrades (docs/facts/vultr-users.md, 3): it would refuse.

    `kubeconfig` gives the cluster's; one that doesn't answer is left for Vultr to look at.
    """
    sizes = [pool.autoscale.min if pool.autoscale else pool.nodes for pool in cluster.pools]
    if sum(sizes) == 1:
        yield (
            f"{where}.version: Vultr doesn't upgrade a cluster of one node: it would serve nobody "
            "meanwhile. Say `nodes: 2`, `pulumi up`, then upgrade"
        )
    try:
        server = ServerObject({**CLUSTER_LEVEL, "kubeconfig": kubeconfig()}, patient=False)
        budgets = server.items("/apis/policy/v1/poddisruptionbudgets")
    except (Refused, Unreachable):
        return
    for budget in budgets:
        meta = budget["metadata"]
        if not object_at(budget, "status").get("disruptionsAllowed"):
            yield (
                f"{where}.version: PodDisruptionBudget {meta['namespace']}/{meta['name']} allows "
                "no disruption now, and Vultr doesn't upgrade then. Give its pods another replica, "
                "or take the budget away meanwhile"
            )


def what_happens(stack: RegionStack, inventory: Inventory, live: LiveCluster, version: str) -> str:
    """What an upgrade does to visitors, said before it begins."""
    anew = made_anew(live.version, version, len(live.nodes))
    return f"cluster {live.label}: {anew}. {meanwhile(stack, inventory)}"


def made_anew(old: str, new: str, nodes: int | None) -> str:
    """What an upgrade does to a cluster's nodes; None where their number isn't known."""
    return (
        f"the upgrade {old} → {new} makes its {f'{nodes} nodes' if nodes else 'nodes'} anew, with "
        "other addresses. Records of new nodes come as each is ready, those of old ones go at the "
        "end"
    )


def meanwhile(stack: RegionStack, inventory: Inventory) -> str:
    """Who carries the visitors of a cluster while it is upgraded."""
    others = [s.name for s in inventory.siblings(stack) if not s.settings.drain]
    if stack.settings.drain:
        return "It drains, so nobody waits for it"
    if others:
        return f"Meanwhile {', '.join(others)} carry {stack.hostname}"
    regions = {
        other.region
        for other in inventory.regions(stack.fleet.domain)
        if other.region != stack.region and not inventory.drains(other)
    }
    if regions:
        return (
            f"While none is ready the Worker sends visitors to {', '.join(sorted(regions))}; to "
            "spare them the moment until it notices, say `drain: true` and `pulumi up` the edge "
            "stack first"
        )
    return (
        "There is no other cluster and no other region: while no node is ready, the site is off "
        "the air. A second cluster of this region (a new stack file) would carry it"
    )
