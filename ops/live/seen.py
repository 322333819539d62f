"""What was found of a fleet, and what of it is wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ops.expected import EdgeExpected, RegionExpected
from ops.live.asking import Unasked, known
from ops.live.facts import (
    ClusterFacts,
    EdgeFacts,
    GivenFacts,
    NodeFacts,
    Record,
    StateFacts,
    VultrFacts,
    WebAnswer,
)
from ops.live.probe_facts import ProbeFacts
from ops.live.status_page import EdgeStatus

NOT_ASKED = Unasked("nobody asked for it")


@dataclass(frozen=True)
class RegionSeen:
    """What was found of a region stack. `answers` are addresses by record type; `open_ports` are
    those that a node took a connection on from here; `addresses` those of the nodes of all clusters
    of the region, None where they aren't known (`unlisted` says why), and `due` those of them that
    should have a record. `stale_key`: the state's kubeconfig is refused; `key_ends` are the ends of
    the certificates in the one that opened the cluster. `vultr` is None for a cluster that somebody
    else made, `given` for one of Vultr's."""

    expected: RegionExpected
    vultr: VultrFacts | Unasked | None = NOT_ASKED
    given: GivenFacts | Unasked | None = None
    cluster: ClusterFacts | Unasked = NOT_ASKED
    records: tuple[Record, ...] | Unasked = NOT_ASKED
    answers: Mapping[str, tuple[str, ...] | Unasked] = field(
        default_factory=dict[str, tuple[str, ...] | Unasked]
    )
    open_ports: tuple[str, ...] | Unasked = NOT_ASKED
    addresses: frozenset[str] | None = None
    due: frozenset[str] | None = None
    unlisted: str = ""
    state: StateFacts | Unasked = NOT_ASKED
    web: WebAnswer | Unasked = NOT_ASKED
    probes: Mapping[str, ProbeFacts | Unasked] = field(
        default_factory=dict[str, ProbeFacts | Unasked]
    )
    stale_key: bool = False
    key_ends: Mapping[str, datetime] = field(default_factory=dict[str, datetime])

    def serves(self, node: NodeFacts) -> bool:
        """Whether visitors are meant to be sent to this node."""
        given = known(self.given)
        return node.pool not in self.expected.apart and not (
            given and node.name in given.nodes.apart
        )


@dataclass(frozen=True)
class EdgeSeen:
    """What was found of an edge stack. `hosts` are records and answers of the site's hosts, `web`
    what their URLs answered, `status` the Worker's own page there, where it has one."""

    expected: EdgeExpected
    facts: EdgeFacts | Unasked = NOT_ASKED
    records: Mapping[str, tuple[Record, ...] | Unasked] = field(
        default_factory=dict[str, tuple[Record, ...] | Unasked]
    )
    answers: Mapping[str, tuple[str, ...] | Unasked] = field(
        default_factory=dict[str, tuple[str, ...] | Unasked]
    )
    state: StateFacts | Unasked = NOT_ASKED
    web: Mapping[str, WebAnswer | Unasked] = field(default_factory=dict[str, WebAnswer | Unasked])
    status: Mapping[str, EdgeStatus | Unasked] = field(
        default_factory=dict[str, EdgeStatus | Unasked]
    )


@dataclass(frozen=True)
class Seen:
    """What was found of a fleet."""

    regions: tuple[RegionSeen, ...] = ()
    edges: tuple[EdgeSeen, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What to ask besides Vultr: `clusters` their API servers, `dns` the records, `outside` what
    the world sees, `edge` the Worker, `state` Pulumi's, `logs` felix's. `probe` runs a pod on each
    node. Without `outputs` kubeconfigs come from Vultr, and not from the stacks' outputs: an engine
    for each of many stacks takes longer than all the rest."""

    clusters: bool = True
    outputs: bool = True
    dns: bool = True
    outside: bool = True
    edge: bool = True
    state: bool = True
    logs: bool = True
    probe: Callable[[str, ClusterFacts], Mapping[str, ProbeFacts | Unasked]] | None = None
