"""The fleet as its files say: its stacks, by kind, and what they are to each other."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.settings.cluster import Cluster, ExistingCluster
from infra.settings.edge import Edge, Routing
from infra.settings.fleet import FleetValues
from infra.settings.region import Region

CA_FILE = "origin-pulls-ca.pem"
"""The CA of Authenticated Origin Pulls: its certificate, committed beside Pulumi.yaml."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack file, of one of the kinds below.

    `config` holds the file's own keys of this project as they stand there; `secrets` the names of
    those that are encrypted.
    """

    name: str
    file: str
    fleet: FleetValues
    config: dict[str, Any]
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class RegionStack(Stack):
    """One cluster of a logical region. `label` is what its vendor calls the cluster."""

    settings: Region
    label: str

    @property
    def vke(self) -> Cluster | None:
        """What the file says of its VKE cluster; None for a cluster that somebody else made."""
        cluster = self.settings.cluster
        return None if isinstance(cluster, ExistingCluster) else cluster

    @property
    def region(self) -> str:
        """The logical region's name (us)."""
        return self.settings.region

    @property
    def hostname(self) -> str:
        """The logical region's host name (us.example.com)."""
        return f"{self.region}.{self.fleet.domain}"


@dataclass(frozen=True, kw_only=True)
class EdgeStack(Stack):
    """The Worker before the regions of a domain."""

    settings: Edge


@dataclass(frozen=True)
class Inventory:
    """The project's stacks. `warnings` are sentences for the person; nothing is wrong with them.

    `origin_ca` is the content of `CA_FILE`, None where there is none. `folder` is where they lie.
    """

    project: str
    stacks: dict[str, Stack]
    warnings: tuple[str, ...]
    origin_ca: str | None = None
    folder: Path = Path()

    # Each stack asks for them, some of each other stack: sorted once.
    @cached_property
    def region_stacks(self) -> list[RegionStack]:
        """In the order of their names."""
        found = [stack for _, stack in sorted(self.stacks.items())]
        return [stack for stack in found if isinstance(stack, RegionStack)]

    @cached_property
    def edge_stacks(self) -> list[EdgeStack]:
        """In the order of their names."""
        found = [stack for _, stack in sorted(self.stacks.items())]
        return [stack for stack in found if isinstance(stack, EdgeStack)]

    def regions(self, domain: str) -> list[RegionStack]:
        """The region stacks of one domain."""
        return [stack for stack in self.region_stacks if stack.fleet.domain == domain]

    def edge(self, domain: str) -> EdgeStack | None:
        """The edge stack of one domain."""
        return next((s for s in self.edge_stacks if s.fleet.domain == domain), None)

    def siblings(self, stack: RegionStack) -> list[RegionStack]:
        """The other clusters of the stack's logical region."""
        return [
            other
            for other in self.regions(stack.fleet.domain)
            if other.region == stack.region and other is not stack
        ]

    def routing(self, stack: RegionStack) -> Routing:
        """What the stack's logical region says to the Worker: one of its clusters says it, or all
        the same."""
        said = [cluster.settings.routing for cluster in (stack, *self.siblings(stack))]
        return next((routing for routing in said if routing), Routing())

    def drains(self, stack: RegionStack) -> bool:
        """Whether all clusters of the stack's logical region drain."""
        return all(cluster.settings.drain for cluster in (stack, *self.siblings(stack)))

    def withdrawn(self, stack: RegionStack) -> bool:
        """Whether the stack's nodes leave the region's host name: it drains, and another cluster
        of the region goes on. A region whose clusters all drain keeps its records: the Worker
        takes it out of rotation, and the host name goes on answering."""
        return stack.settings.drain and not self.drains(stack)
