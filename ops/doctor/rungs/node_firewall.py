"""The node firewall: what its keeper says of each node's ufw."""

from collections.abc import Iterator
from datetime import datetime

from components.firewall.node import NAME
from ops.doctor.finding import Blind, Finding, Note, Told, some
from ops.live.asking import Unasked
from ops.live.seen import RegionSeen


def of_region(seen: RegionSeen, _: datetime) -> Iterator[Told]:
    """The keeper is there, of the right table, and every node is as it says."""
    stack, wanted, cluster = seen.expected.stack, seen.expected.node_firewall, seen.cluster
    if isinstance(cluster, Unasked):
        yield Blind("its API server", stack, cluster.cause)
        return
    if wanted is None:
        return
    keeper, up = cluster.node_firewall, f"pulumi up --refresh -s {stack}"
    if keeper is None:
        yield _finding(
            seen,
            "keeper-missing",
            f"there is no DaemonSet kube-system/{NAME}",
            "Nobody keeps the nodes' ufw: new nodes are open to "
            + ("everybody." if seen.expected.given else "whom Vultr's group lets in."),
            up,
        )
        return
    mode = next(iter(keeper.args), "")
    image = keeper.image
    if (keeper.files, mode, image) != ((wanted.files,), wanted.mode, wanted.image):
        told = f"table {', '.join(keeper.files)}, mode {mode}, {image}"
        yield _finding(
            seen,
            "table-old",
            f"{told}; the file says table {wanted.files}, mode {wanted.mode}, {wanted.image}",
            "The nodes keep another table than the file has: a range of Cloudflare's may be "
            "missing in it, and its visitors are refused.",
            up,
        )
        return
    pods = {pod.node: pod for pod in keeper.pods}
    ready = sorted(cluster.ready_nodes)
    if lacking := [node for node in ready if node not in pods]:
        yield _finding(
            seen,
            "keeper-absent",
            f"no pod on {some(lacking)}",
            "Nobody keeps the ufw of these nodes.",
            f"kubectl -n kube-system describe daemonset {NAME}",
        )
    for node in ready:
        pod = pods.get(node)
        if pod is None or (pod.ready and pod.files == keeper.files):
            continue
        if pod.ready:
            came = f"{node}: still has {', '.join(pod.files)}: it waits behind another node"
            means = "The rollout stopped at a node that can't take the table."
        else:
            came = pod.why or f"{node}: not ready"
            means = "The node's ufw isn't as the table says, and its keeper can't make it so."
        yield _finding(
            seen,
            "node-behind",
            came,
            means,
            f"kubectl -n kube-system logs {pod.name}; docs/security.md says what each state is",
        )
    if seen.expected.given:
        yield from _open(seen)


def _open(seen: RegionSeen) -> Iterator[Told]:
    """Ports of a node that nothing but its own firewall stands before."""
    stack = seen.expected.stack
    if isinstance(seen.open_ports, Unasked):
        yield Note("node-firewall", stack, f"ports from here: {seen.open_ports.cause}")
    elif seen.open_ports:
        yield Finding(
            "node-firewall",
            "node-port-reachable",
            stack,
            stack,
            "a connection from this machine to a node, past Cloudflare",
            f"{some([*seen.open_ports])} took it",
            "The keeper says that the table holds, and somebody else than Cloudflare gets in. (Or "
            "this machine is one that the table lets in.)",
            f"kubectl -n kube-system logs ds/{NAME}; on the node: ufw status verbose",
            symptom=True,
        )


def _finding(seen: RegionSeen, fault: str, came: str, means: str, do: str) -> Finding:
    stack, asked = seen.expected.stack, f"kube-system/{NAME} and its pods"
    return Finding("node-firewall", fault, stack, stack, asked, came, means, do)
