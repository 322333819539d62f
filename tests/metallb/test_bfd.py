"""A node that vanishes without a word is out of the router's routes by BFD, long before the session
would be given up: MetalLB's own programs and frr-k8s, with what `MetalLb` tells them."""

import os
import signal

from components.load_balancer.metallb_options import Peer, Pool
from tests.metallb.conftest import PASSWORD
from tests.metallb.frr_k8s import FrrWorld
from tests.metallb.world import OUR_ASN, ROUTER, ROUTER_ASN, until

HOLD, LONG_BEFORE = 90, 30
PEER: Peer = {
    "name": "router",
    "address": ROUTER,
    "asn": ROUTER_ASN,
    "my_asn": OUR_ASN,
    "hold_seconds": HOLD,
    "password": PASSWORD,
    # Ten, where three are the default: a busy machine has no time for 300 ms now and then.
    "bfd": {"transmit": 100, "receive": 100, "multiplier": 10},
}
WAN: Pool = {"name": "wan", "addresses": ["198.51.100.8/29"], "bgp": {}}
ADDRESS = "198.51.100.9"


def test_a_node_without_a_link_is_out_by_bfd(frr_world: FrrWorld):
    one, two = frr_world.nodes
    router, both = frr_world.router, {one.address, two.address}
    frr_world.plane.configure([WAN], [PEER])
    frr_world.plane.service("far", [ADDRESS])
    until("the Service has its address", lambda: frr_world.plane.given("far") == [ADDRESS])
    one.speaker()
    silent = two.speaker()
    try:
        until("BFD is up with both", lambda: router.sees() == both)
    except AssertionError:
        print(frr_world.logs())  # noqa: T201
        raise
    until("both sessions stand", lambda: router.hold_seconds() == [HOLD, HOLD])
    assert router.next_hops(ADDRESS) == set()

    frr_world.plane.pods_on("far", ["n1", "n2"])
    arrived = until("both nodes serve", lambda: router.next_hops(ADDRESS) == both)

    # FRR tells what it was told last: the route outlives the speaker.
    os.kill(silent.pid, signal.SIGKILL)
    one.cut_off()
    gone = until("its route is gone", lambda: one.address not in router.next_hops(ADDRESS))
    assert gone < LONG_BEFORE
    # On a machine that has no time for 300 ms, the other may have been out for a moment, too.
    until("the other's route is there", lambda: router.next_hops(ADDRESS) == {two.address})
    until("BFD sees the other alone", lambda: router.sees() == {two.address})
    print(f"\nfrr-k8s: route there after {arrived:.2f} s, gone after {gone:.2f} s")  # noqa: T201
