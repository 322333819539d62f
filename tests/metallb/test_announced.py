"""MetalLB's own controller and speaker with what `MetalLb` tells them, and a real router."""

import os
import signal
import time

from components.load_balancer.metallb_options import Peer, Pool
from tests.metallb.conftest import PASSWORD
from tests.metallb.world import OUR_ASN, ROUTER, ROUTER_ASN, World, until

PEER: Peer = {
    "name": "router",
    "address": ROUTER,
    "asn": ROUTER_ASN,
    "my_asn": OUR_ASN,
    "hold_seconds": 3,
    "password": PASSWORD,
}
WAN: Pool = {"name": "wan", "addresses": ["198.51.100.8/29"], "bgp": {}}
LAN: Pool = {
    "name": "lan",
    "addresses": ["10.77.0.128/28", "fd77::80/124"],
    "l2": {"node_selector": {"edge": "yes"}, "interfaces": ["eth0"]},
}
BY_BGP, BY_L2 = "198.51.100.9", ["10.77.0.130", "fd77::83"]


def test_addresses_are_announced_from_the_nodes_that_serve(world: World):
    one, two = world.nodes
    world.plane.configure([WAN, LAN], [PEER])
    world.plane.service("far", [BY_BGP])
    world.plane.service("near", BY_L2)
    until("the Services have their addresses", lambda: world.plane.given("far") == [BY_BGP])
    until("both families", lambda: sorted(world.plane.given("near")) == sorted(BY_L2))
    first, _ = one.speaker(), two.speaker()

    # No pod is ready: nobody announces.
    until("both speakers have a session", lambda: _established(world) == 2)
    assert world.router.next_hops(BY_BGP) == set()
    assert [world.router.owner(address) for address in BY_L2] == ["", ""]

    world.plane.pods_on("far", ["n1"])
    arrived = until("the route is there", lambda: world.router.next_hops(BY_BGP) == {one.address})
    world.plane.pods_on("far", ["n1", "n2"])
    both = {one.address, two.address}
    until("both nodes serve", lambda: world.router.next_hops(BY_BGP) == both)

    # The advertisement's selector leaves one node; it answers ARP and NDP, the other never does.
    world.plane.pods_on("near", ["n1", "n2"])
    start, answered = time.monotonic(), list[float]()
    for address in BY_L2:
        until(f"{address} is answered", lambda address=address: world.router.owner(address, 0.1))
        answered.append(time.monotonic() - start)
        assert world.router.owner(address) == two.mac

    os.kill(first.pid, signal.SIGKILL)
    torn = until("its route is gone", lambda: world.router.next_hops(BY_BGP) == {two.address})
    world.plane.pods_on("near", ["n1"])
    until("nobody is left to answer", lambda: world.router.owner(BY_L2[0]) == "")

    # Nothing tells the router that this node is gone but its silence.
    two.cut_off()
    silent = until("its route is gone", lambda: world.router.next_hops(BY_BGP) == set())
    print(  # noqa: T201
        f"\nnative: route there after {arrived:.2f} s; gone after {torn:.2f} s where the speaker "
        f"is killed, {silent:.2f} s where the node is cut off; "
        f"ARP and NDP answered after {answered[0]:.2f} s and {answered[1]:.2f} s"
    )


def _established(world: World) -> int:
    peers = world.router.show("bgp summary").get("ipv4Unicast", {}).get("peers", {})
    return sum(peer["state"] == "Established" for peer in peers.values())
