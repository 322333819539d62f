"""The node: its machine at Vultr, its kubelet, its version, and what a probe measured."""

from collections.abc import Iterator
from datetime import datetime

from components.vendors.vultr_cluster import LiveNode
from ops.doctor.finding import Blind, Finding, Note, Told, recycle, some
from ops.doctor.rungs import given_node
from ops.live.asking import Unasked, known
from ops.live.ends import end_of
from ops.live.facts import ClusterFacts, NodeFacts, VultrFacts
from ops.live.seen import RegionSeen

DISK_USED = 85
"""Percent; kubelet evicts pods from 85 to 90 on (its defaults nodefs.available<10%,
imagefs.available<15%)."""
STEAL = 20
CONNTRACK_USED = 80
"""Percent of what the table of connections holds: full, new ones are dropped."""


def of_region(seen: RegionSeen, now: datetime) -> Iterator[Told]:
    """The cluster first: without it there are no nodes."""
    stack, vultr, cluster = seen.expected.stack, seen.vultr, seen.cluster
    if vultr is None:
        yield from given_node.of_cluster(seen, now)
    elif isinstance(vultr, Unasked):
        yield Blind("Vultr", stack, vultr.cause)
    elif gone := list(_cluster(seen, vultr)):
        yield from gone
        return
    else:
        yield from _version(seen, vultr, now)
    if isinstance(cluster, Unasked):
        yield Blind("its API server", stack, cluster.cause)
    else:
        yield from _nodes(seen, known(vultr), cluster)
        yield from _probed(seen, cluster)


def _cluster(seen: RegionSeen, vultr: VultrFacts) -> Iterator[Finding]:
    expected = seen.expected
    if vultr.cluster is None:
        yield _finding(
            seen,
            "cluster-missing",
            expected.label,
            "Vultr's clusters",
            f"none is labelled {expected.label}",
            "It was never made, or was deleted outside Pulumi: the region has no nodes.",
            f"pulumi up -s {expected.stack}; for one that was deleted "
            "docs/operations.md, A cluster that is gone",
        )
    elif vultr.cluster.status != "active":
        yield _finding(
            seen,
            "cluster-inactive",
            expected.label,
            "Vultr's clusters",
            f"it is {vultr.cluster.status}",
            "Vultr is still working on it, or failed.",
            "wait; if it stays so, Vultr's support",
        )


def _version(seen: RegionSeen, vultr: VultrFacts, now: datetime) -> Iterator[Told]:
    expected, cluster = seen.expected, vultr.cluster
    assert cluster
    if vultr.twins:
        text = f"Vultr has {vultr.twins} more labelled {expected.label} (docs/operations.md)"
        yield Note("node", expected.stack, text)
    version = cluster.version
    if version and version != expected.version:
        yield _finding(
            seen,
            "version-other",
            expected.label,
            "the cluster's version at Vultr",
            f"{version}; the file says {expected.version}",
            "Vultr upgraded it by itself, as it does after a version's end, or an `up` is due.",
            f"say version: {version} in {expected.file}, or pulumi up -s {expected.stack}",
        )
        return
    end = end_of(version)
    if end and end < now.date():
        to = f"to {vultr.upgrades[0]}" if vultr.upgrades else "as Vultr offers one"
        yield _finding(
            seen,
            "version-ended",
            expected.label,
            "the end of the cluster's version",
            f"{version} ended on {end}",
            "There are no more security fixes, and Vultr will upgrade it on a day of its own.",
            f"upgrade {to}: docs/operations.md, Upgrade",
        )


def _nodes(seen: RegionSeen, vultr: VultrFacts | None, cluster: ClusterFacts) -> Iterator[Finding]:
    machines = {n.id: n for n in vultr.cluster.nodes} if vultr and vultr.cluster else {}
    joined = {node.id for node in cluster.nodes}
    for node in cluster.nodes:
        machine = machines.get(node.id)
        if machine is not None and machine.status != "active":
            continue
        if not node.ready:
            yield _not_ready(seen, node, vultr is not None and machine is None)
        elif node.problems:
            yield _finding(
                seen,
                "node-pressure",
                node.name,
                "the node's conditions",
                some([*node.problems]),
                "Its kubelet evicts pods, or takes no new ones.",
                f"kubectl describe node {node.name}; {recycle(seen)} if it stays so",
            )
    for machine in machines.values():
        yield from _machine(seen, machine, machine.id in joined)


def _not_ready(seen: RegionSeen, node: NodeFacts, gone: bool) -> Finding:
    means = "Its kubelet doesn't report. Pods there aren't served; its records "
    means += "stay as long as Vultr says that the machine runs."
    if seen.expected.given:
        means = "Its kubelet doesn't report. Pods there aren't served; its records go with the "
        means += "next `up`."
    elif gone:
        means = "Vultr has no such machine any more."
    return _finding(
        seen,
        "node-not-ready",
        node.name,
        "the node's conditions",
        f"not ready: {node.why or 'no word from its kubelet'}",
        means,
        f"kubectl describe node {node.name}; {recycle(seen)}, then "
        f"pulumi up -s {seen.expected.stack}",
    )


def _machine(seen: RegionSeen, machine: LiveNode, joined: bool) -> Iterator[Finding]:
    up = f"pulumi up -s {seen.expected.stack}"
    if machine.status != "active":
        yield _finding(
            seen,
            "machine-down",
            machine.label,
            "the cluster's machines at Vultr",
            f"it is {machine.status}",
            "The machine doesn't run; its records go with the next `up`.",
            f"recycle it in Vultr's console, then {up}",
        )
    elif not joined:
        yield _finding(
            seen,
            "node-not-joined",
            machine.label,
            "the cluster's nodes, and its machines at Vultr",
            "the machine runs, but is no node",
            "Its kubelet never came to the cluster; records lead visitors to it all the same.",
            f"recycle it in Vultr's console, then {up}",
        )
    elif seen.expected.ipv6 and not machine.ipv6:
        yield _finding(
            seen,
            "node-without-ipv6",
            machine.label,
            "the machine's addresses at Vultr",
            "no IPv6 address",
            "It serves nobody: only nodes with both addresses get records (cluster.ipv6).",
            f"recycle it in Vultr's console, then {up}",
        )


def _probed(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Told]:
    stack = seen.expected.stack
    if not seen.probes:
        yield Note("node", stack, "disk, steal and conntrack of the nodes: --probe looks at them")
    for node, probe in sorted(seen.probes.items()):
        if isinstance(probe, Unasked):
            yield Note("node", stack, f"the probe on {node}: {probe.cause}")
            continue
        if node not in cluster.ready_nodes:
            continue
        for fault, value, limit, means, do in (
            (
                "disk-full",
                probe.disk_used,
                DISK_USED,
                "kubelet evicts pods and pulls no images.",
                "delete what fills it, or give it a larger disk"
                if seen.expected.given
                else "recycle it in Vultr's console, or choose a larger plan",
            ),
            (
                "steal",
                probe.steal,
                STEAL,
                "Other tenants of the host take the CPU: the node is slow by no fault of yours.",
                "ask who runs the host, or take another machine"
                if seen.expected.given
                else "recycle it in Vultr's console: it comes to another host",
            ),
            (
                "conntrack-full",
                probe.conntrack_used,
                CONNTRACK_USED,
                "New connections are dropped when it is full.",
                "find who opens them: kubectl top pods -A; or add a node",
            ),
        ):
            if value is not None and value > limit:
                came = f"{value:.0f} %, above {limit} %"
                yield _finding(seen, fault, node, "a probe pod on the node", came, means, do)


def _finding(
    seen: RegionSeen, fault: str, subject: str, asked: str, came: str, means: str, do: str
) -> Finding:
    return Finding("node", fault, seen.expected.stack, subject, asked, came, means, do)
