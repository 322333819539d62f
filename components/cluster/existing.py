"""`ExistingCluster`: a cluster that somebody else made, known by its kubeconfig."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..json_object import Json
from ..server_side.api import CLUSTER_LEVEL, Refused, ServerObject, Unreachable
from .contract import Node, ServingNode, as_data
from .node_objects import Addresses, NodeMistake, NodesSeen, nodes_seen


@dataclass(frozen=True)
class ClusterSeen:
    """A cluster as its API server tells it.

    `identity` is the UID of the namespace kube-system, which no two clusters share and which stays
    for a cluster's life; `version` Kubernetes' (v1.35.5+k3s1); `nodes` its Node objects.
    """

    identity: str
    version: str
    nodes: Sequence[Json]


ReadCluster = Callable[[str], ClusterSeen]
"""Reads a cluster by its kubeconfig. Raises Refused and Unreachable."""


class ExistingClusterArgs(TypedDict):
    """A cluster that is there. A change of any of these makes nothing anew."""

    kubeconfig: pulumi.Input[str]
    """YAML, a secret. With credentials and an address that work where `pulumi up` runs."""
    identity: NotRequired[str | None]
    """Which cluster is meant, by the UID of its namespace kube-system (`kubectl get namespace
    kube-system -o jsonpath={.metadata.uid}`): a kubeconfig that opens another one is refused.
    Default: whichever the kubeconfig opens."""
    addresses: NotRequired[Mapping[str, Addresses]]
    """Public addresses by a node's name, for what its Node object doesn't know. Default: its
    annotations edgefleet.dev/ipv4 and edgefleet.dev/ipv6, else its ExternalIP. A private address is
    never taken."""
    ipv6: NotRequired[bool]
    """Only nodes with an IPv6 address serve. Default: true."""


@dataclass(frozen=True)
class _Found:
    """A cluster that is the one meant, and which of its nodes can serve."""

    kubeconfig: str
    cluster: ClusterSeen
    nodes: NodesSeen


def ask_api_server(kubeconfig: str) -> ClusterSeen:
    """Read a cluster at its API server. Raises Refused and Unreachable."""
    server = ServerObject({**CLUSTER_LEVEL, "kubeconfig": kubeconfig}, patient=False)
    system = server.request("GET", "/api/v1/namespaces/kube-system")
    return ClusterSeen(
        identity=str(system["metadata"]["uid"]),
        version=str(server.request("GET", "/version").get("gitVersion") or ""),
        nodes=server.items("/api/v1/nodes"),
    )


def loss(
    name: str, seen: NodesSeen, there: Collection[str], published: Collection[str]
) -> str | None:
    """Why the records mustn't follow: more than half of `published` would go though their nodes
    are still `there`, or the cluster lists no node at all. A node that is apart is meant to go."""
    kept = {node.name for node in seen.serving}
    mattering = set(published) - set(seen.apart)
    lost = sorted(mattering - kept)
    still = [node for node in lost if node in there] if there else lost
    if not still or 2 * len(still) <= len(mattering):
        return None
    why = ", ".join(seen.unable) if there else "the API server lists no node at all"
    return (
        f"cluster {name}: the records of {len(still)} of {len(mattering)} nodes would go, but "
        f"nobody took these out of the cluster: {', '.join(still)}. {why}"
    )


class ExistingCluster(pulumi.ComponentResource):
    """A cluster that somebody else made, known by its kubeconfig: kubeadm's, k3s', any vendor's.

    It makes nothing. What is in the cluster is asked in every preview and update, as its nodes come
    and go by others' hands; it lives on when the stack is destroyed. It fails, before anything in
    the cluster is touched, where the API server doesn't answer, where the kubeconfig opens another
    cluster than the one that is meant, and for an address that is private or that two nodes have.
    A node serves nobody that has no address, isn't ready, is tainted, or has Kubernetes' label
    `node.kubernetes.io/exclude-from-external-load-balancers`.

    Outputs:
        identity: the UID of the namespace kube-system: no two clusters share it.
        version: of Kubernetes.
        kubeconfig: YAML, a secret, once it is known to open the cluster that is meant.
        nodes: the ready nodes that can serve, known in every preview.
        expected_nodes: how many serve.

    Args:
        published: names of the nodes that have records. It fails too where more than half of these
            would go though they are still in the cluster. Default: none is known.
        accept_loss: lets them go. Default: false.
        read: reads the cluster. Default: its API server.
    """

    owner: pulumi.Resource | None = None
    identity: pulumi.Output[str]
    version: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    nodes: pulumi.Output[list[ServingNode]]
    expected_nodes: pulumi.Output[int]
    before_nodes_go: Sequence[pulumi.Resource] = ()

    def __init__(
        self,
        name: str,
        args: ExistingClusterArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        published: Collection[str] = (),
        accept_loss: bool = False,
        read: ReadCluster = ask_api_server,
    ) -> None:
        refuse_arguments("ExistingCluster", name, ExistingClusterArgs, args)
        super().__init__("edgefleet:index:ExistingCluster", name, None, opts)
        self._name, self._args = name, args
        self._published, self._accept_loss, self._read = published, accept_loss, read
        opened = pulumi.Output.secret(args["kubeconfig"]).apply(self._found)
        # Nobody gets the kubeconfig of another cluster, nor that one's nodes.
        self.kubeconfig = opened.apply(lambda found: found.kubeconfig)
        told = pulumi.Output.unsecret(opened)
        self.identity = told.apply(lambda found: found.cluster.identity)
        self.version = told.apply(lambda found: found.cluster.version)
        self.nodes = told.apply(lambda found: as_data(found.nodes.serving))
        self.expected_nodes = self.nodes.apply(len)
        self.register_outputs({"identity": self.identity, "kubeconfig": self.kubeconfig})

    def follow(self, take: Callable[[Sequence[Node]], None]) -> None:
        """Nothing here makes nodes come while `pulumi up` runs."""

    async def _found(self, kubeconfig: str) -> _Found:
        try:
            cluster = await asyncio.to_thread(self._read, kubeconfig)
        except (Refused, Unreachable) as error:
            raise pulumi.RunError(f"cluster {self._name}: {error}") from None
        if (meant := self._args.get("identity")) and meant != cluster.identity:
            raise pulumi.RunError(
                f"cluster {self._name}: the kubeconfig opens another cluster ({cluster.identity}, "
                f"by the UID of kube-system) than the one that is meant ({meant}). Nothing in "
                "either was changed. Give it the kubeconfig of that one; a new cluster is a new "
                "stack"
            )
        try:
            seen = nodes_seen(
                cluster.nodes, self._args.get("addresses", {}), self._args.get("ipv6", True)
            )
        except NodeMistake as mistake:
            raise pulumi.RunError(f"cluster {self._name}: node {mistake}") from None
        self._say(seen, [_name(node) for node in cluster.nodes])
        return _Found(kubeconfig, cluster, seen)

    def _say(self, seen: NodesSeen, there: Collection[str]) -> None:
        text = loss(self._name, seen, there, self._published)
        if text and not self._accept_loss:
            raise pulumi.RunError(
                f"{text}. Nothing was changed. Look at the nodes (`kubectl get nodes -o wide`) and "
                "run the command again; to let the records go, say `acceptLoss: true` in the stack "
                "file's edgefleet:cluster"
            )
        if text:
            pulumi.log.warn(f"{text}. They go, as acceptLoss says", self)
        elif seen.unable:
            pulumi.log.warn(
                f"cluster {self._name}: without records, as they can't serve: "
                f"{', '.join(seen.unable)}. `pulumi up` gives them theirs once they can",
                self,
            )


def _name(node: Mapping[str, Any]) -> str:
    return str(node["metadata"]["name"])
