"""`ExistingCluster` by what its API server says: which cluster it is, and who gets to know it."""

from typing import Any

import pulumi
import pytest

from components.cluster.existing import ClusterSeen, ExistingCluster, ask_api_server
from components.server_side.api import Unreachable
from tests.registrations import all_registered

SEEN = ClusterSeen("uid-1", "v1.35.5", [])


def opened(identity: str | None, told: list[Any]) -> dict[str, Any]:
    def make() -> pulumi.Resource:
        cluster = ExistingCluster(
            "fra", {"kubeconfig": "k", "identity": identity}, read=lambda _: SEEN
        )
        for each in (cluster.kubeconfig, cluster.identity, cluster.nodes, cluster.version):
            each.apply(told.append)
        return cluster

    return all_registered(make, ["kubeconfig"])[1]


@pytest.mark.parametrize("identity", [None, "uid-1"])
def test_the_cluster_that_is_meant_is_told_of(identity: str | None):
    told: list[Any] = []
    assert opened(identity, told) == {"kubeconfig": "k"}
    assert sorted(map(str, told)) == ["[]", "k", "uid-1", "v1.35.5"]


def test_nobody_gets_the_kubeconfig_of_another_cluster():
    told: list[Any] = []
    with pytest.raises(pulumi.RunError) as refused:
        opened("uid-2", told)
    assert str(refused.value) == (
        "cluster fra: the kubeconfig opens another cluster (uid-1, by the UID of kube-system) than "
        "the one that is meant (uid-2). Nothing in either was changed. Give it the kubeconfig of "
        "that one; a new cluster is a new stack"
    )
    assert told == []


def test_a_broken_kubeconfig_is_not_shown():
    with pytest.raises(Unreachable) as refused:
        ask_api_server("users:\n- token: [secret")
    assert str(refused.value) == "the kubeconfig can't be read: it is no YAML, line 2"
