"""`NetworkBaseline` on real pods: its namespaces deny what isn't allowed, in and out.

Each of felix's modes. `make test THOROUGH=1` has the Kubernetes variant in all of them, too.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.dataplane.calico_options import felix_environment
from components.dataplane.network_baseline import calico_policy, kubernetes_policies
from components.dataplane.policy import policy_metadata
from tests.felix.world import FelixHost, Pod, World, until

THOROUGH = bool(os.environ.get("THOROUGH"))
IPTABLES = felix_environment({"dataplane": "iptables"})
MODES = {
    "iptables": IPTABLES,
    "nftables": {**IPTABLES, "FELIX_NFTABLESMODE": "Enabled"},
    "ebpf": felix_environment(),
}
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
    return made


@pytest.fixture(scope="module", params=list(MODES))
def mode(request: pytest.FixtureRequest, world: World, pods: dict[str, Pod]) -> Iterator[str]:
    """felix in each mode in turn."""
    world.start(MODES[request.param])
    yield request.param
    world.end()


def seen(world: World, pods: dict[str, Pod]) -> dict[str, bool]:
    """Who reaches whom, each asked once."""
    shop, other, dns = pods["shop"], pods["other"], pods["dns"]

    def web(whence: Pod, to: str) -> bool:
        return bool(whence.run("curl", "-s", "-m", "4", f"http://{to}/", check=False))

    def name(whence: Pod, to: str) -> bool:
        return whence.run("python3", "-c", ASKS_DNS, to) == "answer"

    asked = {
        "another namespace's pod": lambda: web(other, shop.addresses[0]),
        "its own node": lambda: answers(world.nodes[0], shop),
        "the other node": lambda: answers(world.nodes[1], shop),
        "to another namespace": lambda: web(shop, other.addresses[0]),
        "to DNS": lambda: name(shop, dns.addresses[0]),
        "to what isn't DNS": lambda: name(shop, pods["not-dns"].addresses[0]),
        "others to each other": lambda: web(other, dns.addresses[0]),
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        answered = {question: pool.submit(ask) for question, ask in asked.items()}
    return {question: answer.result() for question, answer in answered.items()}


def answers(host: FelixHost, pod: Pod) -> bool:
    """Whether a process of the node's own network is answered."""
    return bool(host.curl(f"http://{pod.addresses[0]}/", 4)[1])


OPEN = {
    "another namespace's pod": False,
    "its own node": True,
    "the other node": True,
    "to another namespace": False,
    "to DNS": True,
    "to what isn't DNS": False,
    "others to each other": True,
}


def test_calico_s_variant(world: World, mode: str, pods: dict[str, Pod]) -> None:
    """The ingress on another node comes by VXLAN, from that node's tunnel address."""
    # Without it all reach all, once felix knows them.
    becomes(world, pods, dict.fromkeys(OPEN, True))
    world.plane.host_endpoints(wanted=True)
    spec = calico_policy(["shop"])
    world.plane.calico("GlobalNetworkPolicy", spec=spec, **policy_metadata("edgefleet-baseline"))
    try:
        becomes(world, pods, OPEN)
    finally:
        world.plane.delete("globalnetworkpolicies", "default.edgefleet-baseline")
        world.plane.host_endpoints(wanted=False)
    becomes(world, pods, dict.fromkeys(OPEN, True))


def test_kubernetes_variant(world: World, mode: str, pods: dict[str, Pod]) -> None:
    """With the nodes' addresses alone the other node is shut out; with its tunnel's it gets in."""
    if mode != "iptables" and not THOROUGH:
        pytest.skip("the Kubernetes variant in this mode is for THOROUGH=1")
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
        becomes(world, pods, {**OPEN, "the other node": other_node})
    for name in kubernetes_policies(nodes):
        world.plane.api.delete(f"apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/{name}")


def becomes(world: World, pods: dict[str, Pod], wanted: dict[str, bool]) -> None:
    """Until who reaches whom is as `wanted`."""
    last: list[dict[str, bool]] = []

    def so() -> bool:
        last[:] = [seen(world, pods)]
        return last == [wanted]

    try:
        until(so, "", seconds=60)
    except AssertionError:
        raise AssertionError({"seen": last[0], "wanted": wanted}) from None
