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


class ExistingKnown(TypedDict):
    """What the stack's state holds: the cluster's `identity`, and names of `published` nodes."""

    identity: NotRequired[str | None]
    published: NotRequired[Collection[str]]


class ExistingClusterArgs(TypedDict):
    """A cluster that is there."""

    kubeconfig: pulumi.Input[str]
    """YAML, a secret. One that opens another cluster is refused."""
    addresses: NotRequired[Mapping[str, Addresses]]
    """Public addresses by a node's name, for what its Node object doesn't know. Default: none."""
    ipv6: NotRequired[bool]
    """Only nodes with an IPv6 address serve. Default: true."""
    accept_loss: NotRequired[bool]
    """Lets more than half of the records go though their nodes are still in the cluster. Default:
    false."""


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
    """A cluster that lives on when the stack is destroyed, and whose nodes come and go by others'
    hands. Nothing is made; what is in it is asked in every preview and update.

    Outputs:
        identity, kubeconfig, version, nodes, expected_nodes, owner: as `contract.Cluster` has them.

    Fails where the API server doesn't answer, where the kubeconfig opens another cluster than the
    one that the state knows, for a NodeMistake, and for the loss of most records (`loss`).
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
        known: ExistingKnown | None = None,
        read: ReadCluster = ask_api_server,
    ) -> None:
        refuse_arguments("ExistingCluster", name, ExistingClusterArgs, args)
        super().__init__("edgefleet:index:ExistingCluster", name, None, opts)
        self._name, self._args = name, args
        self._known, self._read = known or ExistingKnown(), read
        self.kubeconfig = pulumi.Output.secret(args["kubeconfig"])
        found = pulumi.Output.unsecret(self.kubeconfig.apply(self._found))
        self.identity = found.apply(lambda seen: seen[0].identity)
        self.version = found.apply(lambda seen: seen[0].version)
        self.nodes = found.apply(lambda seen: as_data(seen[1].serving))
        self.expected_nodes = self.nodes.apply(len)
        self.register_outputs({"identity": self.identity, "kubeconfig": self.kubeconfig})

    def follow(self, take: Callable[[Sequence[Node]], None]) -> None:
        """Nothing here makes nodes come while `pulumi up` runs."""

    async def _found(self, kubeconfig: str) -> tuple[ClusterSeen, NodesSeen]:
        try:
            cluster = await asyncio.to_thread(self._read, kubeconfig)
        except (Refused, Unreachable) as error:
            raise pulumi.RunError(f"cluster {self._name}: {error}") from None
        if (before := self._known.get("identity")) and before != cluster.identity:
            raise pulumi.RunError(
                f"cluster {self._name}: the kubeconfig opens another cluster ({cluster.identity}, "
                f"by the UID of kube-system) than the one this stack was made in ({before}). "
                "Nothing was changed. Give it the kubeconfig of that one; a new cluster is a new "
                "stack file"
            )
        try:
            seen = nodes_seen(
                cluster.nodes, self._args.get("addresses", {}), self._args.get("ipv6", True)
            )
        except NodeMistake as mistake:
            raise pulumi.RunError(f"cluster {self._name}: node {mistake}") from None
        self._say(seen, [_name(node) for node in cluster.nodes], self._known.get("published", ()))
        return cluster, seen

    def _say(self, seen: NodesSeen, there: Collection[str], published: Collection[str]) -> None:
        text = loss(self._name, seen, there, published)
        if text and not self._args.get("accept_loss", False):
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
