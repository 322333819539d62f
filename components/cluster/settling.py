"""Waiting for a cluster at Vultr: for what, how long, and what is said when it doesn't come.

Vultr answers a change before it has made it, and so does the provider
(docs/facts/real-providers.md, Vultr 2).
"""

import time
from collections.abc import Callable

from ..errors import VultrError
from ..vendors.vultr_cluster import LiveCluster, LiveNode

INTERVAL = 5.0
"""Seconds between two looks."""
NODES_MINUTES = 30
"""How long nothing may change while nodes come or go."""


def pool_missing(
    cluster: LiveCluster, label: str, bounds: tuple[int, int | None], ipv6: bool = True
) -> list[str]:
    """What keeps a pool from having its nodes ready, as sentences; none when it has.

    `bounds` are the least and the most nodes; None where the autoscaler decides.
    """
    least, most = bounds
    nodes = cluster.nodes_of(label)
    waiting = [node for node in nodes if not node.ready(ipv6)]
    named = ", ".join(f"{node.label} ({why_not(node, ipv6)})" for node in waiting)
    if (ready := len(nodes) - len(waiting)) < least:
        text = f"{least - ready} of {least} nodes of pool {label}"
        return [f"{text}: {named}" if named else text]
    if most is not None and len(nodes) > most:
        return [f"{len(nodes) - most} leaving nodes of pool {label}"]
    return []


def why_not(node: LiveNode, ipv6: bool = True) -> str:
    """Why a node isn't ready."""
    if node.status != "active":
        return node.status
    if not node.ipv4:
        return "active without a public IPv4 address; in a pool of the VPC alone it gets none"
    return "active without an IPv6 address" if ipv6 and not node.ipv6 else "ready"


def version_missing(
    cluster: LiveCluster, version: str, sizes: dict[str, int], ipv6: bool = True
) -> list[str]:
    """What keeps an upgrade from being done: the version, then the nodes that it makes anew.

    `sizes` is how many nodes each pool had. Meanwhile a pool may show none, and be active all the
    same.
    """
    missing: list[str] = []
    if cluster.version and cluster.version != version:
        missing.append(f"version {version} (it is {cluster.version})")
    if cluster.status != "active":
        missing.append(f"the cluster (it is {cluster.status})")
    for label, size in sorted(sizes.items()):
        missing += pool_missing(cluster, label, (size, None), ipv6)
    return missing


def settle(
    read: Callable[[], LiveCluster],
    missing: Callable[[LiveCluster], list[str]],
    minutes: float,
    say: Callable[[str], None],
    interval: float = INTERVAL,
) -> LiveCluster:
    """Look until nothing is missing; blocks.

    Args:
        read: gives the cluster as it is.
        missing: what is awaited.
        minutes: how long nothing may change meanwhile. So it suits 3 nodes and 100.
        say: told what is awaited, each time that changes.

    An answer that doesn't come is asked for again. Raises VultrError in the end, with the cause.
    """
    said = ""
    deadline = time.monotonic() + minutes * 60
    while True:
        try:
            cluster = read()
            awaited = missing(cluster)
            if not awaited:
                return cluster
            problem = f"cluster {cluster.label}: waiting for {'; '.join(awaited)}"
        except VultrError as error:
            if not _passing(error):
                raise
            problem = str(error)
        if problem != said:
            said = problem
            deadline = time.monotonic() + minutes * 60
            say(problem)
        if time.monotonic() > deadline:
            raise VultrError(
                f"{problem}: nothing has changed for {minutes:g} minutes (timeouts). Look at "
                "it in Vultr's console; `pulumi up` goes on from here"
            )
        time.sleep(interval)


def _passing(error: VultrError) -> bool:
    return error.status is None or error.status == 429 or error.status >= 500
