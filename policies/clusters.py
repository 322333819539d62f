"""A cluster goes when a person says so twice."""

from collections.abc import Iterator

CLUSTERS = (
    "aws:eks/cluster:Cluster",
    "azure-native:containerservice:ManagedCluster",
    "digitalocean:index/kubernetesCluster:KubernetesCluster",
    "gcp:container/cluster:Cluster",
    "linode:index/lkeCluster:LkeCluster",
    "vultr:index/kubernetes:Kubernetes",
)


def unprotected(kind: str, protect: bool) -> Iterator[str]:
    """What is wrong with a cluster that Pulumi may delete."""
    if kind in CLUSTERS and not protect:
        yield (
            "this cluster isn't protected: one changed field, or a `destroy` of the wrong stack, "
            "deletes it with all that it runs. Give it `protect=True`"
        )
