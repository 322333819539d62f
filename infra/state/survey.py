"""What is there before a region stack's resources are registered: at Vultr, and in the state."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from components.cluster.live_nodes import ClusterReader
from components.vendors.vultr_cluster import LiveCluster
from infra.fleet.inventory import RegionStack
from infra.state.checkpoint import StackState
from infra.state.resource_types import CLUSTER, EXISTING, POOL, RECORD, VERSION, VKE


class Vultr(ClusterReader, Protocol):
    """What is asked of Vultr; `VultrApi` is one."""

    def clusters(self) -> list[dict[str, Any]]: ...
    def with_nodes(self, cluster: dict[str, Any]) -> LiveCluster: ...
    def told(self, cluster: dict[str, Any]) -> str: ...
    def upgrades(self, cluster_id: str) -> list[str]: ...
    def versions(self) -> list[str]: ...


@dataclass(frozen=True)
class Survey:
    """A region stack's cluster, as far as it is there.

    Attributes:
        cluster: as Vultr has it; None where there is none yet, or no more.
        made: whether the state has one.
        version: what the last `pulumi up` made it.
        published: ids of the nodes that have records.
        leaving: labels of pools that the state has and the stack file hasn't.
        twins: other clusters of the same label, in words.
        identity: of a cluster that somebody else made.
    """

    cluster: LiveCluster | None = None
    made: bool = False
    version: str | None = None
    published: Collection[str] = ()
    leaving: Collection[str] = ()
    twins: Sequence[tuple[str, str]] = ()
    identity: str | None = None

    def upgrades_to(self, version: str) -> bool:
        """Whether making it this version replaces its nodes."""
        return (
            self.cluster is not None
            and bool(self.cluster.version)
            and (self.cluster.version != version)
        )


def survey(stack: RegionStack, state: StackState, vultr: Callable[[], Vultr]) -> Survey:
    """Ask Vultr once, and of a cluster that isn't Vultr's the state alone. Raises VultrError."""
    if stack.vke is None:
        known = state.of_type(EXISTING).get(stack.name, {})
        return Survey(
            made=bool(known),
            published=published(stack, state),
            identity=str(known.get("identity") or "") or None,
        )
    cluster_id = _id(stack, state)
    if cluster_id is None:
        made = f"{stack.name}-cluster" in state.of_type(CLUSTER)
        return Survey(
            made=made,
            published=published(stack, state) or (),
            leaving=leaving(stack, state) or (),
        )
    api = vultr()
    found = [c for c in api.clusters() if cluster_id == c["id"] or c["label"] == stack.label]
    return Survey(
        cluster=next((api.with_nodes(c) for c in found if c["id"] == cluster_id), None),
        made=True,
        version=_version(stack, state),
        published=published(stack, state),
        leaving=leaving(stack, state),
        twins=[(c["id"], api.told(c)) for c in found if c["id"] != cluster_id],
    )


def published(stack: RegionStack, state: StackState) -> frozenset[str]:
    """Ids of the nodes that have records in the state."""
    named = re.compile(rf"{re.escape(stack.name)}-dns-(.+)-(?:a|aaaa)")
    matches = (named.fullmatch(name) for name in state.of_type(RECORD))
    return frozenset(match[1] for match in matches if match)


def leaving(stack: RegionStack, state: StackState) -> list[str]:
    """Labels of further pools that the state has and the stack file hasn't."""
    prefix = f"{stack.name}-pool-"
    wanted = {pool.label for pool in (stack.vke.pools if stack.vke else [])}
    made = (name.removeprefix(prefix) for name in state.of_type(POOL) if name.startswith(prefix))
    return sorted(set(made) - wanted)


def _id(stack: RegionStack, state: StackState) -> str | None:
    component = state.of_type(VKE).get(stack.name, {}).get("clusterId")
    cluster = state.of_type(CLUSTER).get(f"{stack.name}-cluster", {}).get("id")
    return next((found for found in (component, cluster) if found and isinstance(found, str)), None)


def _version(stack: RegionStack, state: StackState) -> str | None:
    ours = state.of_type(VERSION).get(f"{stack.name}-version")
    made = ours or state.of_type(CLUSTER).get(f"{stack.name}-cluster") or {}
    return made.get("version")
