"""A kubeconfig is a secret in the state, whoever gave it."""

from collections.abc import Callable

import pulumi
import pytest

from components.cluster.drained_pool import DrainedPool
from components.dataplane.host_endpoints import HostEndpoints
from components.dataplane.kernels import KernelsFit
from components.firewall.in_step import NodesInStep
from components.firewall.node_networks import NodeNetworks
from components.load_balancer.announced import Announced
from components.load_balancer.pools_fit import PoolsFit
from components.server_side.ownership import OwnNames
from components.server_side.patch import ServerSidePatch
from components.server_side.rollout import Rollout
from tests.registrations import all_registered

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
MAKERS: dict[str, Callable[[], pulumi.Resource]] = {
    "patch": lambda: ServerSidePatch(
        "p", {"kubeconfig": "plain", "kind": "DaemonSet", "object_name": "calico-node"}
    ),
    "rollout": lambda: Rollout(
        "r",
        {
            "kubeconfig": "plain",
            "kind": "DaemonSet",
            "namespace": "kube-system",
            "object_name": "calico-node",
            "generation": 1,
        },
    ),
    "host endpoints": lambda: HostEndpoints("h", {"kubeconfig": "plain"}),
    "drained pool": lambda: DrainedPool("d", {"kubeconfig": "plain", "pool": "edge"}),
    "nodes in step": lambda: NodesInStep(
        "s",
        {"kubeconfig": "plain", "namespace": "n", "object_name": "o", "generation": 1},
    ),
    "node networks": lambda: NodeNetworks("w", {"kubeconfig": "plain", "rules": []}),
    "kernels": lambda: KernelsFit("k", {"kubeconfig": "plain", "version": "v3.30.4"}),
    "announced": lambda: Announced(
        "a", {"kubeconfig": "plain", "namespace": "n", "service": "s", "generation": "1"}
    ),
    "pools": lambda: PoolsFit("p", {"kubeconfig": "plain", "pools": [], "peers": []}),
    "names": lambda: OwnNames("n", {"kubeconfig": "plain", "objects": []}),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_plain_kubeconfig_is_kept_as_a_secret(kind: str):
    sent, _ = all_registered(MAKERS[kind])
    assert sent
    for request in sent:
        kubeconfig = request["object"]["kubeconfig"]
        assert kubeconfig == {SIGNATURE: SECRET, "value": "plain"}, request["type"]
