"""kube-vip: its variables, by its documentation."""

from typing import Any

import pytest

from components.load_balancer.addresses import LoadBalancerMistake
from components.load_balancer.kube_vip import (
    KubeVipOptions,
    daemon_set_spec,
    environment,
    refuse,
    static_pod,
)

ARP: KubeVipOptions = {"interface": "eth0", "control_plane": "10.9.0.9", "services": True}
BGP: KubeVipOptions = {
    **ARP,
    "my_asn": 64513,
    "peers": [{"address": "10.9.0.1", "asn": 64512}, {"address": "10.9.1.1", "asn": 64512,
                                                       "multi_hop": True}],
}  # fmt: skip


def said(options: KubeVipOptions, control_plane: bool) -> dict[str, Any]:
    return {e["name"]: e.get("value") for e in environment(options, control_plane=control_plane)}


def test_the_control_plane_has_one_address_held_by_one_node():
    found = said(ARP, True)
    assert (found["vip_arp"], found["vip_leaderelection"]) == ("true", "true")
    assert (found["address"], found["vip_subnet"], found["port"]) == ("10.9.0.9", "32", "6443")
    assert "svc_enable" not in found
    assert said({**ARP, "control_plane": "fd00::9"}, True)["vip_subnet"] == "128"


def test_by_bgp_every_node_tells_the_routers():
    found = said(BGP, False)
    assert (found["vip_arp"], found["bgp_enable"], found["bgp_as"]) == ("false", "true", "64513")
    assert found["bgp_peers"] == "10.9.0.1:64512::false,10.9.1.1:64512::true"
    assert (found["svc_enable"], found["svc_election"]) == ("true", "false")
    assert "cp_enable" not in found


def test_the_static_pod_asks_its_own_api_server():
    pod = static_pod(ARP, "kube-vip:v1", "/etc/kubernetes/admin.conf")["spec"]
    assert pod["hostAliases"] == [{"hostnames": ["kubernetes"], "ip": "127.0.0.1"}]
    assert pod["containers"][0]["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert "serviceAccountName" not in pod
    assert daemon_set_spec(ARP, "x:1")["template"]["spec"]["serviceAccountName"] == "kube-vip"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"interface": "eth0"}, "nothing to announce"),
        ({**ARP, "my_asn": 64513}, "BGP takes myAsn and peers, both"),
        ({**BGP, "peers": [{"address": "fd00::1", "asn": 1}]}, "no way to write an IPv6 peer"),
        ({**ARP, "control_plane": "vip.example.com"}, "does not appear to be an IPv4 or IPv6"),
    ],
)
def test_what_announces_nothing_is_refused(options: KubeVipOptions, why: str):
    with pytest.raises(LoadBalancerMistake, match=why):
        refuse(options)


def test_without_an_address_there_is_no_static_pod():
    with pytest.raises(LoadBalancerMistake, match="no controlPlane address"):
        static_pod({"interface": "eth0", "services": True}, "x:1", "/x")
