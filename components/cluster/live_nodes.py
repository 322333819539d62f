"""`LiveNodes`: the nodes of a VKE cluster as a program needs them, in previews and in updates."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import pulumi

from ..errors import VultrError
from ..vendors.vultr_cluster import LiveCluster
from .contract import Node
from .settling import INTERVAL, NODES_MINUTES, settle, why_not

FIREWALL_MINUTES = 15
"""How long a cluster may show no firewall group. 20 seconds and more were seen."""


class ClusterReader(Protocol):
    """What is asked of Vultr itself; `VultrApi` is one."""

    def find_cluster(self, label: str) -> LiveCluster | None: ...

    def cluster(self, cluster_id: str) -> LiveCluster: ...

    def kubeconfig(self, cluster_id: str) -> str: ...

    def has_instance(self, instance_id: str) -> bool: ...


@dataclass(frozen=True)
class Serving:
    """Which nodes can serve.

    `ipv6`: only those with an IPv6 address. `apart` are labels of pools that serve nobody:
    those that are about to go, and those that are there for something else.
    """

    ipv6: bool = True
    apart: Collection[str] = ()

    def nodes(self, cluster: LiveCluster) -> list[Node]:
        """As anybody needs them, in the order of their ids."""
        return [
            Node(node.id, node.label, node.ipv4, node.ipv6 if self.ipv6 else "")
            for node in cluster.ready_nodes(self.ipv6)
            if node.pool not in self.apart
        ]

    def unready(self, cluster: LiveCluster) -> list[str]:
        """`name (why)` of each node that can't serve."""
        return [
            f"{node.label} ({why_not(node, self.ipv6)})"
            for node in cluster.nodes
            if not node.ready(self.ipv6) and node.pool not in self.apart
        ]


def expected(cluster: LiveCluster | None, sizes: Mapping[str, int], serving: Serving) -> int:
    """How many nodes serve after `pulumi up`, which waits only for pools that it changes."""
    total = 0
    for label, size in sizes.items():
        pool = cluster.pool(label) if cluster else None
        if cluster is None or pool is None or (not pool.autoscale and pool.nodes != size):
            total += size
        else:
            total += sum(node.ready(serving.ipv6) for node in cluster.nodes_of(label))
    return total


def unproven(
    published: Collection[str], nodes: Sequence[Node], has_instance: Callable[[str], bool]
) -> list[str]:
    """Nodes that would lose their records though they may be there, if they are more than half of
    `published`; none otherwise. Those that Vultr says it hasn't got don't count."""
    lost = sorted(set(published) - {node.id for node in nodes})
    if 2 * len(lost) <= len(published):
        return []
    left = [node_id for node_id in lost if has_instance(node_id)]
    return left if 2 * len(left) > len(published) else []


class LiveNodes:
    """Reads one cluster. Polls in threads: an `apply` that blocks stalls every registration.

    Args:
        label: of the cluster.
        published: ids of the nodes that have records.
        accept_loss: let more than half of them go though Vultr still has the nodes.
        seen: the cluster, where it was read already in this run.
        owner: what messages are about.
    """

    def __init__(
        self,
        vultr: ClusterReader,
        label: str,
        serving: Serving,
        owner: pulumi.Resource,
        published: Collection[str] = (),
        accept_loss: bool = False,
        seen: LiveCluster | None = None,
    ) -> None:
        self._vultr = vultr
        self._label = label
        self._serving = serving
        self._owner = owner
        self._published = published
        self._accept_loss = accept_loss
        self._seen = seen
        self._followers: list[Callable[[Sequence[Node]], None]] = []

    def follow(self, take: Callable[[Sequence[Node]], None]) -> None:
        """Have `take` called with the nodes that have come, while `watch` runs."""
        self._followers.append(take)

    async def read(self, cluster_id: object) -> LiveCluster | None:
        """The cluster as it is. None where it isn't made yet. Raises RunError."""
        try:
            cluster = await self._found(cluster_id)
            if cluster:
                await self._brake(cluster)
        except VultrError as error:
            raise pulumi.RunError(str(error)) from None
        if cluster and (unready := self._serving.unready(cluster)):
            pulumi.log.warn(
                f"cluster {self._label}: without records, as they can't serve: "
                f"{', '.join(unready)}. `pulumi up` gives them theirs once they can",
                self._owner,
            )
        return cluster

    async def watch(self, cluster_id: str, done: Awaitable[Any]) -> None:
        """Hand nodes that come to those that follow, until `done`."""
        ends = asyncio.ensure_future(done)
        while not (await asyncio.wait([ends], timeout=INTERVAL))[0]:
            try:
                cluster = await asyncio.to_thread(self._vultr.cluster, cluster_id)
            except VultrError:
                continue
            nodes = [n for n in self._serving.nodes(cluster) if n.id not in self._published]
            for take in self._followers:
                take(nodes)
        if not ends.cancelled():
            # What went wrong is told by the resource that it went wrong with.
            ends.exception()

    async def active(self, cluster_id: str) -> None:
        """Wait until the cluster is active: before, Vultr refuses to give its kubeconfig."""
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            # From the polling thread, where Pulumi's log has no event loop.
            loop.call_soon_threadsafe(pulumi.log.info, text, self._owner)

        def missing(cluster: LiveCluster) -> list[str]:
            return [] if cluster.status == "active" else [f"the cluster (it is {cluster.status})"]

        if not pulumi.runtime.is_dry_run():
            read = partial(self._vultr.cluster, cluster_id)
            await asyncio.to_thread(settle, read, missing, NODES_MINUTES, say)

    async def firewall_group(self, cluster: LiveCluster | None) -> str:
        """The managed firewall group, which Vultr links late; "" where it doesn't come."""
        if cluster is None or cluster.firewall_group_id or pulumi.runtime.is_dry_run():
            return cluster.firewall_group_id if cluster else ""
        for look in range(int(FIREWALL_MINUTES * 60 / INTERVAL)):
            if look == 0:
                pulumi.log.info(
                    f"cluster {self._label}: waiting for its firewall group, at most "
                    f"{FIREWALL_MINUTES} minutes",
                    self._owner,
                )
            await asyncio.sleep(INTERVAL)
            try:
                cluster = await asyncio.to_thread(self._vultr.cluster, cluster.id)
            except VultrError:
                continue
            if cluster.firewall_group_id:
                return cluster.firewall_group_id
        return ""

    async def _found(self, cluster_id: object) -> LiveCluster | None:
        if isinstance(cluster_id, str):
            if pulumi.runtime.is_dry_run() and self._seen and self._seen.id == cluster_id:
                return self._seen
            try:
                return await asyncio.to_thread(self._vultr.cluster, cluster_id)
            except VultrError as error:
                raise _gone(self._label, cluster_id) if error.status == 404 else error from None
        # New, or about to be replaced. What stands there now is shown instead of nothing, or
        # every record of the region would look deleted.
        found = await asyncio.to_thread(self._vultr.find_cluster, self._label)
        if found:
            pulumi.log.warn(
                f"cluster {self._label}: its id is not known yet. Shown are the nodes of "
                f"{found.id}, which has this label now; `pulumi up` follows the nodes it finds "
                "then",
                self._owner,
            )
        return found

    async def _brake(self, cluster: LiveCluster) -> None:
        # Those of a pool that serves no more are meant to go.
        meant = {node.id for node in cluster.nodes if node.pool in self._serving.apart}
        published, nodes = set(self._published) - meant, self._serving.nodes(cluster)
        left = await asyncio.to_thread(unproven, published, nodes, self._vultr.has_instance)
        if not left:
            return
        why = ", ".join(self._serving.unready(cluster)) or "Vultr's list of the cluster lacks them"
        text = (
            f"cluster {self._label}: the records of {len(left)} of {len(published)} nodes "
            f"would go, but Vultr still has these machines: {', '.join(left)}. {why}"
        )
        if not self._accept_loss:
            raise pulumi.RunError(
                f"{text}. Nothing was changed. Look at the cluster in Vultr's console and run the "
                "command again; to let the records go, say `acceptLoss: true` in the stack file's "
                "edgefleet:cluster"
            )
        pulumi.log.warn(f"{text}. They go, as acceptLoss says", self._owner)


def _gone(label: str, cluster_id: str) -> VultrError:
    return VultrError(
        f"cluster {label}: Vultr has no {cluster_id} any more; it was deleted outside Pulumi. "
        "`PULUMI_K8S_DELETE_UNREACHABLE=true pulumi refresh` takes out of the state what went with "
        "it; then `pulumi up` makes a new cluster, or `destroy` takes away what is left "
        "(docs/operations.md)",
        404,
    )
