"""Cilium: what may be said, the chart's values and the objects that it becomes."""

from typing import Any

import pytest

from components.dataplane.cilium import missing_kinds
from components.dataplane.cilium_options import (
    CiliumMistake,
    CiliumOptions,
    objects,
    refuse_cilium,
    values,
)

TOR: Any = {"name": "tor-1", "address": "10.9.0.1", "as_number": 64500}
POOL: Any = {"name": "public", "addresses": ["203.0.113.0/28"]}


def options(**given: Any) -> CiliumOptions:
    usual: Any = {
        "pod_networks": ["10.244.0.0/16"],
        "node_networks": ["10.9.0.0/16"],
        "api_endpoint": "10.9.0.10:6443",
    }
    found: Any = {**usual, **given}
    return found


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"api_endpoint": None}, "kube_proxy_replacement without api_endpoint"),
        ({"api_endpoint": "10.9.0.10"}, "must be host:port"),
        ({"pod_networks": []}, "pod_networks: name the networks"),
        ({"routing": "native"}, "no node would know where another's pods are"),
        ({"routing": "native", "direct_routes": True, "tunnel_protocol": "vxlan"}, "means nothing"),
        (
            {
                "routing": "native",
                "direct_routes": True,
                "pod_networks": ["10.1.0.0/16", "10.2.0.0/16"],
            },
            "takes one network of each family",
        ),
        ({"direct_routes": True}, "direct_routes means nothing with routing tunnel"),
        ({"mtu": 1000}, "between 1280 and 9216"),
        ({"l2": {}}, "l2 without pools"),
        (
            {"l2": {}, "pools": [POOL], "kube_proxy_replacement": False},
            "Cilium announces only what it serves itself",
        ),
        ({"l2": {"interfaces": ["eth("]}, "pools": [POOL]}, "is no regular expression"),
        ({"pools": [POOL]}, "pools without l2 and bgp"),
        ({"bgp": {"as_number": 64512, "peers": []}}, "bgp without peers"),
        ({"bgp": {"as_number": 0, "peers": [TOR]}}, "bgp.as_number 0"),
        ({"bgp": {"as_number": 1, "peers": [TOR, TOR]}}, "two are called tor-1"),
        (
            {"bgp": {"as_number": 1, "peers": [{**TOR, "address": "tor"}]}},
            "address 'tor': must be an IP address",
        ),
        (
            {"l2": {}, "pools": [POOL, {"name": "b", "addresses": ["203.0.113.8-203.0.113.20"]}]},
            "pools.b.addresses: 203.0.113.8-203.0.113.20 overlaps with pool public",
        ),
        (
            {"l2": {}, "pools": [{"name": "a", "addresses": ["10.244.8.0/24"]}]},
            "overlaps with the pods' network 10.244.0.0/16",
        ),
        (
            {"l2": {}, "pools": [{"name": "a", "addresses": ["203.0.113.9-203.0.113.1"]}]},
            "must not be above its last",
        ),
        (
            {"l2": {}, "pools": [{"name": "a", "addresses": ["203.0.113.0/28", "2001:db8::/64"]}]},
            "has both IPv4 and IPv6: make two pools",
        ),
        ({"l2": {}, "pools": [{"name": "a", "addresses": []}]}, "name at least one"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str):
    with pytest.raises(CiliumMistake, match=why):
        refuse_cilium(options(**given))


def test_the_charts_values():
    found = values(options())
    assert (found["kubeProxyReplacement"], found["routingMode"]) == (True, "tunnel")
    assert (found["k8sServiceHost"], found["k8sServicePort"]) == ("10.9.0.10", 6443)
    assert found["tunnelProtocol"] == "vxlan"
    assert found["policyCIDRMatchMode"] == ["nodes"]
    assert found["nodePort"] == {"addresses": ["10.9.0.0/16"]}
    assert not found["hostFirewall"]["enabled"]
    native = values(
        options(
            routing="native",
            direct_routes=True,
            mtu=9000,
            devices=["bond0"],
            kube_proxy_replacement=False,
            api_endpoint=None,
            pod_networks=["10.244.0.0/16", "fd00:10::/56"],
        )
    )
    assert native["ipv4NativeRoutingCIDR"] == "10.244.0.0/16"
    assert native["ipv6NativeRoutingCIDR"] == "fd00:10::/56"
    assert (native["autoDirectNodeRoutes"], native["ipv6"]) == (True, {"enabled": True})
    assert (native["MTU"], native["devices"]) == (9000, ["bond0"])
    assert "k8sServiceHost" not in native


def test_its_objects():
    bgp = {"as_number": 64512, "peers": [{**TOR, "password": True}]}
    found = objects(options(routing="native", bgp=bgp, pools=[POOL], l2={"interfaces": ["^eth1"]}))
    specs = {part: each["spec"] for part, each in found.items()}
    assert specs["pool-public"] == {"blocks": [{"cidr": "203.0.113.0/28"}]}
    assert specs["l2"]["interfaces"] == ["^eth1"]
    (instance,) = specs["bgp"]["bgpInstances"]
    assert instance["localASN"] == 64512
    (peer,) = instance["peers"]
    assert peer["peerConfigRef"]["name"] == found["bgp-peer-tor-1"]["metadata"]["name"]
    config = specs["bgp-peer-tor-1"]
    assert config["authSecretRef"] == "edgefleet-bgp-password"
    (family,) = config["families"]
    labels = found["bgp-advertisement"]["metadata"]["labels"]
    assert family["advertisements"] == {"matchLabels": labels}
    told = [each["advertisementType"] for each in specs["bgp-advertisement"]["advertisements"]]
    assert told == ["PodCIDR", "Service"]
    ranged = objects(
        options(l2={}, pools=[{"name": "a", "addresses": ["203.0.113.1-203.0.113.9"]}])
    )
    assert ranged["pool-a"]["spec"]["blocks"] == [{"start": "203.0.113.1", "stop": "203.0.113.9"}]
    assert objects(options()) == {}


def test_kinds_that_are_not_served():
    served = {"v2": [{"kind": "CiliumNode"}, {"kind": "CiliumBGPPeerConfig"}]}
    wanted = ["v2/CiliumNode", "v2alpha1/CiliumL2AnnouncementPolicy"]
    assert missing_kinds(wanted, served) == ["v2alpha1/CiliumL2AnnouncementPolicy"]
