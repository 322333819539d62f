"""MetalLB: what it is told, and what it can't be told."""

from typing import Any

import pytest

from components.load_balancer.addresses import LoadBalancerMistake
from components.load_balancer.metallb_objects import IMAGES, annotations, objects, values
from components.load_balancer.metallb_options import BgpMode, Peer, Pool, refuse

PEER: Peer = {"name": "tor", "address": "10.0.0.1", "asn": 64512, "my_asn": 64513}
L2_POOL: Pool = {"name": "lan", "addresses": ["192.0.2.0/28"], "l2": {}}
BGP_POOL: Pool = {"name": "wan", "addresses": ["192.0.2.16/28"], "bgp": {}}


def specs(pools: list[Pool], peers: list[Peer]) -> dict[str, Any]:
    return {name: manifest["spec"] for name, manifest in objects(pools, peers)}


def test_a_pool_is_announced_before_it_is_there():
    l2: Pool = {**L2_POOL, "l2": {"node_selector": {"edge": "yes"}, "interfaces": ["eth0"]}}
    found = specs([l2, BGP_POOL], [PEER])
    assert list(found) == ["peer-tor", "l2-lan", "pool-lan", "bgp-wan", "pool-wan"]
    assert found["l2-lan"] == {
        "ipAddressPools": ["lan"],
        "nodeSelectors": [{"matchLabels": {"edge": "yes"}}],
        "interfaces": ["eth0"],
    }
    assert found["bgp-wan"] == {"ipAddressPools": ["wan"]}
    # Addresses go to whom they were meant for, unless somebody says otherwise.
    assert found["pool-lan"] == {"addresses": ["192.0.2.0/28"], "autoAssign": False}


def test_a_peer_names_its_profile_and_its_secret_and_never_the_password():
    peer: Peer = {**PEER, "bfd": {"transmit": 100, "multiplier": 3}, "password": "hunter2"}
    found = specs([BGP_POOL], [peer])
    assert found["bfd-tor"] == {"transmitInterval": 100, "detectMultiplier": 3}
    assert found["peer-tor"]["bfdProfile"] == "tor"
    assert found["peer-tor"]["passwordSecret"]["name"] == "bgp-tor"
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("pools", "peers", "mode", "why"),
    [
        ([], [], "native", "there is no pool"),
        ([{"name": "x", "addresses": ["192.0.2.0/28"]}], [], "native", "say l2, bgp or both"),
        ([BGP_POOL], [], "native", "pool wan: bgp without a peer"),
        ([{**BGP_POOL, "bgp": {"peers": ["top"]}}], [PEER], "native", "peer top: there is none"),
        ([L2_POOL], [PEER], "native", "no pool says bgp"),
        ([L2_POOL, L2_POOL], [], "native", "pool lan: stands there twice"),
        ([BGP_POOL], [{**PEER, "bfd": {}}], "native", "peer tor: bfd: mode native has none"),
        ([BGP_POOL], [{**PEER, "bfd": {"transmit": 5}}], "frr-k8s", "bfd.transmit: 5: must be 10"),
        ([BGP_POOL], [{**PEER, "address": "tor"}], "frr-k8s", "peer tor: address: 'tor'"),
        (
            [{**BGP_POOL, "addresses": ["2001:db8::/64"]}],
            [PEER],
            "native",
            "announces no IPv6 by BGP",
        ),
        (
            [{**BGP_POOL, "bgp": {"communities": ["large:1:2:3"]}}],
            [PEER],
            "native",
            "community large:1:2:3: mode native",
        ),
        (
            [L2_POOL, {**BGP_POOL, "addresses": ["192.0.2.8-192.0.2.20"]}],
            [PEER],
            "native",
            r"pool wan: 192.0.2.8-192.0.2.20 overlaps 192.0.2.0/28 of pool lan",
        ),
    ],
)
def test_what_metallb_would_refuse_or_do_in_vain(
    pools: list[Pool], peers: list[Peer], mode: BgpMode, why: str
):
    with pytest.raises(LoadBalancerMistake, match=why):
        refuse(pools, peers, mode)


def test_frr_can_what_the_speaker_alone_cannot():
    six: Pool = {**BGP_POOL, "addresses": ["2001:db8::/64"]}
    refuse([six], [{**PEER, "bfd": {"receive": 10}}], "frr-k8s")


def test_frr_runs_where_it_has_something_to_tell():
    assert values("frr-k8s", True, IMAGES, None)["frrk8s"] == {"enabled": True}
    assert values("frr-k8s", False, IMAGES, None)["frrk8s"] == {"enabled": False}
    assert values("native", True, IMAGES, None)["frrk8s"] == {"enabled": False}


def test_an_image_keeps_its_digest():
    digest = "sha256:" + "a" * 64
    images = {**IMAGES, "speaker": f"quay.io/metallb/speaker:v1@{digest}"}
    image = values("native", False, images, "mine")["speaker"]["image"]
    assert image == {"repository": "quay.io/metallb/speaker", "tag": f"v1@{digest}"}


def test_a_service_asks_for_its_addresses():
    asked = annotations(["192.0.2.1", "2001:db8::1"])
    assert asked == {"metallb.io/loadBalancerIPs": "192.0.2.1,2001:db8::1"}
