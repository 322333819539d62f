"""What a stack needs of any cluster, whoever made it.

`VkeCluster` is one. What lives in a cluster takes no more than this, so that another kind of
cluster is one more file in this folder.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypedDict

import pulumi


@dataclass(frozen=True)
class Node:
    """A live node that can serve.

    `id` stays with the machine and goes with it; `name` is what people call it. The addresses are
    public and in canonical form; `ipv6` is "" where the cluster's nodes may be without.
    """

    id: str
    name: str
    ipv4: str
    ipv6: str


class ServingNode(TypedDict):
    """A live node that can serve, as data."""

    id: str
    """Stays with the machine and goes with it: records are keyed by it."""
    name: str
    """What people call it."""
    ipv4: str
    """Public, in canonical form."""
    ipv6: str
    """Public, in canonical form; "" where the cluster's nodes may be without."""


def as_data(nodes: Iterable[Node]) -> list[ServingNode]:
    """Nodes, as a cluster gives them to others."""
    return [ServingNode(**asdict(node)) for node in nodes]


class Cluster(Protocol):
    """A cluster.

    Attributes:
        kubeconfig: YAML, a secret.
        identity: tells the cluster from any other; it stays when the kubeconfig is a new one.
        version: of Kubernetes. With another one, whoever runs the cluster may have made what is in
            it anew.
        nodes: the live nodes that are ready, by id.
        expected_nodes: how many serve after `pulumi up`.
        before_nodes_go: what has to outlive the records of nodes that leave, for it empties them.
        owner: the resource with which all that is in the cluster goes; None for a cluster that
            lives on when this stack is destroyed.
    """

    kubeconfig: pulumi.Output[str]
    identity: pulumi.Output[str]
    version: pulumi.Output[str]
    nodes: pulumi.Output[list[ServingNode]]
    expected_nodes: pulumi.Output[int]
    before_nodes_go: Sequence[pulumi.Resource]
    owner: pulumi.Resource | None

    def follow(self, take: Callable[[Sequence[Node]], None]) -> None:
        """Have nodes taken as they come while the cluster is changing; `nodes` come at the end."""
        ...


def in_cluster(
    cluster: Cluster, *after: pulumi.Resource, provider: pulumi.ProviderResource | None = None
) -> pulumi.ResourceOptions:
    """Options of what lives in `cluster`: it goes with the cluster, and comes `after` these."""
    return pulumi.ResourceOptions(
        deleted_with=cluster.owner,
        depends_on=list(after),
        providers=[provider] if provider else None,
    )
