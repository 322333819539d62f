"""`NetworkBaseline` on real pods: its namespaces deny what isn't allowed, in and out."""

import pytest

from components.dataplane.calico_options import felix_environment
from components.dataplane.network_baseline import calico_policy, kubernetes_policies
from components.dataplane.policy import policy_metadata
from tests.felix.world import Pod, World, until

ANSWERS_DNS = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 53)); print("ready", flush=True)
while True:
    _, who = s.recvfrom(99); s.sendto(b"answer", who)
"""
ASKS_DNS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(4)
s.sendto(b"?", (sys.argv[1], 53))
try: print(s.recv(99).decode(), end="")
except TimeoutError: pass
"""


@pytest.fixture(scope="module")
def pods(world: World) -> dict[str, Pod]:
    """Of the namespace `shop`, on n1, which the baseline closes; and of others, on n2."""
    one, two = world.nodes
    made = {
        "shop": world.pod("shop", one, 10, "shop"),
        "other": world.pod("other", two, 11, "elsewhere"),
        "dns": world.pod("dns", two, 12, "kube-system", **{"k8s-app": "kube-dns"}),
        "not-dns": world.pod("not-dns", two, 13, "kube-system"),
    }
    for name in ("dns", "not-dns"):
        child = made[name].start("python3", "-c", ANSWERS_DNS)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
    world.start(felix_environment({"dataplane": "iptables"}))
    return made


def seen(world: World, pods: dict[str, Pod]) -> dict[str, bool]:
    """Who reaches whom, each asked once."""
    shop, other, dns = pods["shop"], pods["other"], pods["dns"]

    def web(whence: Pod, to: str) -> bool:
        return bool(whence.run("curl", "-s", "-m", "4", f"http://{to}/", check=False))

    def name(whence: Pod, to: str) -> bool:
        return whence.run("python3", "-c", ASKS_DNS, to) == "answer"

    return {
        "another namespace's pod": web(other, shop.addresses[0]),
        "its own node": bool(world.nodes[0].curl(f"http://{shop.addresses[0]}/", 4)[1]),
        "the other node": bool(world.nodes[1].curl(f"http://{shop.addresses[0]}/", 4)[1]),
        "to another namespace": web(shop, other.addresses[0]),
        "to DNS": name(shop, dns.addresses[0]),
        "to what isn't DNS": name(shop, pods["not-dns"].addresses[0]),
        "others to each other": web(other, dns.addresses[0]),
    }


OPEN = {
    "another namespace's pod": False,
    "its own node": True,
    "the other node": True,
    "to another namespace": False,
    "to DNS": True,
    "to what isn't DNS": False,
    "others to each other": True,
}


def test_without_it_everybody_reaches_everybody(world: World, pods: dict[str, Pod]) -> None:
    assert seen(world, pods) == dict.fromkeys(OPEN, True)


def test_calico_s_variant(world: World, pods: dict[str, Pod]) -> None:
    """The ingress on another node comes by VXLAN, from that node's tunnel address."""
    world.plane.host_endpoints(wanted=True)
    spec = calico_policy(["shop"])
    world.plane.calico("GlobalNetworkPolicy", spec=spec, **policy_metadata("edgefleet-baseline"))
    until(lambda: seen(world, pods) == OPEN, f"{OPEN}, and not {seen(world, pods)}", seconds=60)
    world.plane.delete("globalnetworkpolicies", "default.edgefleet-baseline")
    world.plane.host_endpoints(wanted=False)


def test_kubernetes_variant(world: World, pods: dict[str, Pod]) -> None:
    """With the nodes' addresses alone the other node is shut out; with its tunnel's it gets in."""
    nodes = [f"{host.private}/32" for host in world.nodes]
    tunnels = [f"{host.tunnel}/32" for host in world.nodes]
    for sources, other_node in ((nodes, False), ([*nodes, *tunnels], True)):
        for name, spec in kubernetes_policies(sources).items():
            world.plane.apply(
                {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "NetworkPolicy",
                    "metadata": {"namespace": "shop", "name": name},
                    "spec": spec,
                }
            )
        wanted = {**OPEN, "the other node": other_node}
        until(lambda: seen(world, pods) == wanted, f"{wanted}", seconds=60)  # noqa: B023
