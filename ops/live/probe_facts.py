"""What a probe pod measured on a node."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeFacts:
    """Percentages from 0 to 100; `mtu` is of the interface with the default route.

    `from_pod` and `from_node`: whether the cluster's API service answered a pod, and the node
    itself; None where it wasn't asked. `fell_back`: whether felix' readiness report lacks eBPF.
    """

    disk_used: float | None = None
    steal: float | None = None
    conntrack_used: float | None = None
    mtu: int | None = None
    from_pod: bool | None = None
    from_node: bool | None = None
    fell_back: bool | None = None
