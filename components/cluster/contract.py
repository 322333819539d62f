"""What a stack needs of any cluster, whoever made it.

`VkeCluster` is one. What lives in a cluster takes no more than this, so that another kind of
cluster is one more file in this folder.
"""

from dataclasses import dataclass
from typing import Protocol

import pulumi


@dataclass(frozen=True)
class Node:
    """A live node that can serve.

    `id` stays with the machine and goes with it; `name` is what people call it. The addresses are
    public and in canonical form.
    """

    id: str
    name: str
    ipv4: str
    ipv6: str


class Cluster(Protocol):
    """A cluster.

    Attributes:
        kubeconfig: YAML, a secret.
        identity: tells the cluster from any other; it stays when the kubeconfig is a new one.
        nodes: the live nodes that are ready, by id.
        owner: the resource with which all that is in the cluster goes; None for a cluster that
            lives on when this stack is destroyed.
    """

    kubeconfig: pulumi.Output[str]
    identity: pulumi.Output[str]
    nodes: pulumi.Output[list[Node]]
    owner: pulumi.Resource | None


def in_cluster(
    cluster: Cluster, *after: pulumi.Resource, provider: pulumi.ProviderResource | None = None
) -> pulumi.ResourceOptions:
    """Options of what lives in `cluster`: it goes with the cluster, and comes `after` these."""
    return pulumi.ResourceOptions(
        deleted_with=cluster.owner,
        depends_on=list(after),
        providers=[provider] if provider else None,
    )
