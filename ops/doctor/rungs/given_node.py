"""A cluster that somebody else made: whether it is the stack's, its release, its addresses."""

from collections.abc import Iterator
from datetime import datetime

from components.cluster.node_objects import ANNOTATIONS
from ops.doctor.finding import Finding, Told, some
from ops.live.asking import known
from ops.live.ends import end_of
from ops.live.seen import RegionSeen


def of_cluster(seen: RegionSeen, now: datetime) -> Iterator[Told]:
    """What is known without Vultr; nodes that aren't ready are told for either kind."""
    given = known(seen.given)
    if given is None:
        return
    if given.other:
        yield _finding(
            seen,
            "cluster-other",
            seen.expected.stack,
            "the UID of kube-system, and that in the state",
            f"the kubeconfig opens {given.identity}; the stack was made in {given.made_in}",
            "All that is said of this stack would be of another cluster, so nothing is; `pulumi "
            "up` refuses it, too.",
            f"give the stack the kubeconfig of its own ({_key(seen)}); a new cluster is a new "
            "stack file",
        )
        return
    if given.mistake:
        yield _finding(
            seen,
            "node-address-wrong",
            given.mistake.partition(":")[0],
            "the nodes' addresses: the stack file's, their annotations, their status",
            given.mistake,
            "`pulumi up` stops before it publishes an address that can't be one.",
            f"mend cluster.existing.addresses in {seen.expected.file}, or the node's annotations "
            f"{' and '.join(ANNOTATIONS.values())}",
        )
    yield from _addresses(seen)
    yield from _version(seen, now)


def _addresses(seen: RegionSeen) -> Iterator[Finding]:
    given, cluster = known(seen.given), known(seen.cluster)
    ready = cluster.ready_nodes if cluster else frozenset[str]()
    unable = given.nodes.unable if given else ()
    lacking = [each for each in unable if each.partition(" ")[0] in ready]
    if lacking:
        yield _finding(
            seen,
            "node-without-address",
            some([each.partition(" ")[0] for each in lacking]),
            "the nodes' addresses: the stack file's, their annotations, their status",
            some(lacking),
            "They serve nobody: a node without its public addresses gets no records.",
            f"kubectl annotate node {lacking[0].partition(' ')[0]} {ANNOTATIONS[4]}=…, then "
            f"pulumi up -s {seen.expected.stack}",
        )


def _version(seen: RegionSeen, now: datetime) -> Iterator[Finding]:
    cluster = known(seen.cluster)
    end = end_of(cluster.version) if cluster else None
    if cluster and end and end < now.date():
        yield _finding(
            seen,
            "version-ended",
            seen.expected.stack,
            "the end of the cluster's version",
            f"{cluster.version} ended on {end}",
            "There are no more security fixes.",
            "upgrade it by what made it: docs/bare-metal.md, Upgrade",
        )


def _key(seen: RegionSeen) -> str:
    given = seen.expected.given
    return given.kubeconfig if given and given.kubeconfig else "its secret `kubeconfig`"


def _finding(
    seen: RegionSeen, fault: str, subject: str, asked: str, came: str, means: str, do: str
) -> Finding:
    return Finding("node", fault, seen.expected.stack, subject, asked, came, means, do)
