"""BGP: what may be said, the objects that it becomes, and what of a cluster speaks against it."""

from typing import Any

import pytest

from components.dataplane.bgp_options import (
    BgpOptions,
    bgp_configuration,
    bgp_peers,
    peer_host,
    reflector_fields,
    refuse_bgp,
    speakers,
)
from components.dataplane.calico_bgp import CalicoBgp, CalicoBgpArgs
from components.dataplane.calico_options import CalicoMistake
from components.dataplane.pod_routes import Seen, obstacles
from tests.registrations import all_registered

TOR: Any = {"name": "tor-1", "address": "10.9.0.1", "as_number": 64500}


def tor(**more: Any) -> Any:
    return {**TOR, **more}


def options(**given: Any) -> BgpOptions:
    return BgpOptions(**given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"mesh": False}, "no node would learn where another's pods are"),
        ({"route_reflectors": {"nodes": ["a"]}}, "beside the mesh"),
        ({"mesh": False, "route_reflectors": {"nodes": []}}, "name two nodes"),
        (
            {"mesh": False, "route_reflectors": {"nodes": ["a"], "cluster_id": "7"}},
            "cluster_id '7': in IPv4's form",
        ),
        ({"as_number": 0}, "as_number 0: from 1"),
        ({"peers": [{**TOR, "as_number": 2**32}]}, "peers.tor-1.as_number 4294967296: from 1"),
        ({"peers": [TOR, TOR]}, "two peers are called tor-1"),
        ({"peers": [{**TOR, "name": "ToR"}]}, "peers.ToR: a name is a DNS label"),
        ({"peers": [{**TOR, "address": "router"}]}, "peers.tor-1.address 'router': an IP address"),
        ({"peers": [{**TOR, "address": "10.9.0.1/24"}]}, "an IP address, or with a port"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], why: str):
    with pytest.raises(CalicoMistake, match=why):
        refuse_bgp(options(**given))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"peers": [TOR]},
        {"mesh": False, "peers": [{**TOR, "address": "[2001:db8::1]:1790"}]},
        {"mesh": False, "route_reflectors": {"nodes": ["a", "b"]}},
    ],
)
def test_what_can_is_not(given: dict[str, Any]):
    refuse_bgp(options(**given))


def test_its_objects():
    full = options(
        mesh=False,
        as_number=64513,
        route_reflectors={"nodes": ["a", "b"]},
        peers=[
            TOR,
            {
                **TOR,
                "name": "tor-2",
                "node_selector": "rack == 'b'",
                "source_address": "None",
                "password": True,
            },
        ],
    )
    assert bgp_configuration(full) == {"nodeToNodeMeshEnabled": False, "asNumber": 64513}
    assert bgp_peers(full) == {
        "edgefleet-route-reflectors": {
            "nodeSelector": "all()",
            "peerSelector": "edgefleet.dev/route-reflector == 'true'",
        },
        "edgefleet-tor-1": {"peerIP": "10.9.0.1", "asNumber": 64500},
        "edgefleet-tor-2": {
            "peerIP": "10.9.0.1",
            "asNumber": 64500,
            "nodeSelector": "rack == 'b'",
            "sourceAddress": "None",
            "password": {"secretKeyRef": {"name": "edgefleet-bgp-passwords", "key": "tor-2"}},
        },
    }
    assert reflector_fields({"nodes": ["a"]})["metadata"] == {
        "labels": {"edgefleet.dev/route-reflector": "true"},
        "annotations": {"projectcalico.org/RouteReflectorClusterID": "244.0.0.1"},
    }


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.9.0.1", "10.9.0.1"),
        ("10.9.0.1:1790", "10.9.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:1790", "2001:db8::1"),
        ("10.9.0", None),
    ],
)
def test_a_peers_host(address: str, host: str | None):
    assert peer_host(tor(address=address)) == host


def test_who_speaks_with_nodes():
    assert speakers(None) == (True, [])
    assert speakers({"mesh": False, "peers": [TOR]}) == (False, ["10.9.0.1/32"])
    assert speakers({"mesh": False, "route_reflectors": {"nodes": ["a"]}}) == (True, [])
    v6: Any = {**TOR, "address": "2001:db8::1"}
    assert speakers({"peers": [v6]}) == (True, ["2001:db8::1/128"])


def node(name: str, address: str | None) -> dict[str, Any]:
    notes = {"projectcalico.org/IPv4Address": address} if address else {}
    return {"metadata": {"name": name, "annotations": notes}}


def seen(*nodes: dict[str, Any], **more: Any) -> Seen:
    usual: Any = {"nodes": nodes, "backend": "bird", "bgp": {}, "peers": 0, "felix": {}}
    found: Any = {**usual, **more}
    return found


FLAT = (node("a", "10.9.0.5/24"), node("b", "10.9.0.6/24"), node("new", None))
ROUTED = (node("a", "10.9.0.5/24"), node("b", "10.9.1.6/24"))
REFLECTED: Any = {"mesh": False, "route_reflectors": {"nodes": ["a", "x"]}}


@pytest.mark.parametrize(
    ("cluster", "bare", "bgp", "told"),
    [
        (seen(*FLAT), True, None, None),
        (seen(*FLAT), True, {"mesh": True}, None),
        (seen(*ROUTED), False, {"mesh": True}, None),
        (seen(*ROUTED), True, {"peers": [TOR]}, None),
        (seen(*ROUTED, peers=1), True, None, None),
        (seen(*ROUTED), True, None, "the nodes are in 2 networks (10.9.0.0/24: a; 10.9.1.0/24: b)"),
        (seen(*ROUTED), True, {"mesh": True}, "Name the routers in calico.bgp.peers"),
        (seen(*FLAT, backend="vxlan"), True, None, "without an overlay nodes learn routes to pods"),
        (seen(*FLAT, backend="vxlan"), False, {"mesh": True}, "BGP needs BIRD, and calico-node"),
        (seen(*FLAT, backend="none", felix={"programClusterRoutes": "Enabled"}), True, None, None),
        (
            seen(*FLAT, bgp={"nodeToNodeMeshEnabled": False}),
            True,
            None,
            "has the mesh off, and there is no BGPPeer",
        ),
        (seen(*FLAT, bgp={"nodeToNodeMeshEnabled": False}), True, {"mesh": True}, None),
        (seen(*FLAT), True, REFLECTED, "there is no node x; there are a, b, new"),
    ],
)
def test_what_of_a_cluster_speaks_against_it(
    cluster: Seen, bare: bool, bgp: BgpOptions | None, told: str | None
):
    found = obstacles(cluster, bare, bgp)
    assert (told is None) == (not found)
    assert told is None or told in found[0]


def test_the_mesh_goes_when_others_are_there():
    args: CalicoBgpArgs = {
        "kubeconfig": "k",
        "mesh": False,
        "route_reflectors": {"nodes": ["a"]},
        "peers": [tor(password=True)],
        "passwords": {"tor-1": "s3cret"},
    }
    sent, _ = all_registered(lambda: CalicoBgp("bgp", args))
    found = {each["name"]: each for each in sent}
    assert set(found) == {
        "bgp-reflector-a", "bgp-passwords", "bgp-role", "bgp-role-binding",
        "bgp-route-reflectors", "bgp-tor-1", "bgp-configuration",
    }  # fmt: skip
    before = {urn.rpartition("::")[2] for urn in found["bgp-configuration"]["dependencies"]}
    assert before == set(found) - {"bgp-configuration"}
    assert "s3cret" not in str(
        {name: each for name, each in found.items() if name != "bgp-passwords"}
    )
    # A secret of Pulumi's: its signature beside the value.
    hidden = found["bgp-passwords"]["object"]["stringData"]
    assert hidden.keys() != {"tor-1"}
    assert "s3cret" in str(hidden)
    with pytest.raises(CalicoMistake, match="there is none for tor-1"):
        all_registered(lambda: CalicoBgp("bgp", {**args, "passwords": {}}))
