"""What may be chosen for the dataplane, and what becomes of it. On an API server: tests/sandbox."""

import json
from typing import Any

import pytest
import yaml

from components.dataplane.calico import endpoint_of
from components.dataplane.calico_network import (
    NetworkOptions,
    detection_environment,
    felix_spec,
    pool_spec,
    tunnels,
    veth_mtu,
)
from components.dataplane.calico_options import (
    CalicoMistake,
    CalicoOptions,
    expected,
    felix_environment,
    goes_past_ufw,
    images,
    refuse,
    services_endpoint,
)


def options(**given: Any) -> CalicoOptions:
    return CalicoOptions(**given)


def test_the_baseline():
    assert felix_environment() == {
        "FELIX_BPFENABLED": "true",
        "FELIX_BPFEXTERNALSERVICEMODE": "Tunnel",
        "FELIX_BPFCONNECTTIMELOADBALANCING": "Enabled",
        "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": "Disabled",
        "FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": "true",
    }


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"dataplane": "iptables"}, {"FELIX_BPFENABLED": "false"}),
        (
            {"dataplane": "iptables", "nftables": True},
            {"FELIX_BPFENABLED": "false", "FELIX_NFTABLESMODE": "Enabled"},
        ),
        ({"ipv6": True}, {"FELIX_IPV6SUPPORT": "true"}),
        ({"ipv6": False}, {}),
        ({"external_service_mode": "DSR"}, {"FELIX_BPFEXTERNALSERVICEMODE": "DSR"}),
        (
            {"connect_time_load_balancing": "TCP", "host_networked_nat_without_ctlb": "Enabled"},
            {
                "FELIX_BPFCONNECTTIMELOADBALANCING": "TCP",
                "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": "Enabled",
            },
        ),
        ({"kube_proxy_cleanup": False}, {"FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": "false"}),
        (
            {"kube_proxy": "left"},
            {
                "FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": "false",
                "FELIX_BPFKUBEPROXYHEALTHZPORT": "0",
            },
        ),
        ({"kube_proxy": "stopped"}, {}),
    ],
)
def test_each_option_sets_its_variables(given: dict[str, Any], changed: dict[str, str]):
    base = {} if given.get("dataplane") == "iptables" else felix_environment()
    assert felix_environment(options(**given)) == {**base, **changed}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"connect_time_load_balancing": "TCP"}, "what nodes themselves send would not reach"),
        ({"connect_time_load_balancing": "Disabled"}, "would not reach services"),
        ({"host_networked_nat_without_ctlb": "Enabled"}, "switch the NAT off by itself"),
        ({"kube_proxy": "left", "kube_proxy_cleanup": True}, "puts back, for ever"),
        ({"encapsulation": "ipip"}, "Calico's eBPF has no IPIP"),
        ({"dataplane": "iptables", "external_service_mode": "DSR"}, "means nothing with"),
        ({"dataplane": "iptables", "kube_proxy_cleanup": True}, "means nothing with"),
        ({"dataplane": "iptables", "kube_proxy": "stopped"}, "nothing would serve"),
        ({"nftables": True}, "nftables means nothing with dataplane ebpf"),
        (
            {"nftables": True, "dataplane": "iptables", "version": "v3.28.2"},
            "felix writes nftables from v3.29 on",
        ),
        ({"mtu": 1000}, "between 1280"),
        ({"mtu": 9001}, "between 1280"),
        ({"mtu": 1450, "nic_mtu": 1500}, "the one follows from the other"),
        ({"nic_mtu": 1300}, "nic_mtu 1300: leaves pods 1250, not 1280"),
        ({"nic_mtu": 1500, "dataplane": "iptables"}, "nic_mtu without encapsulation"),
        ({"autodetection": "eth0"}, "one of first-found"),
        ({"autodetection": "cidrs=10.0.0.0/8"}, "one of first-found"),
        ({"autodetection": "cidr=10.0.0.1/8"}, "10.0.0.1/8 has host bits set"),
        ({"autodetection": "interface=eth("}, "unterminated subpattern"),
        ({"version": "3.32.1"}, "like v3.32.1"),
        ({"version": "v3.33.0"}, "version v3.33.0: from v3.33 calico-node has other images"),
        ({"version": "v3.100.1"}, "Say a release of v3.32"),
        ({"ipv6": True, "version": "v3.27.4"}, "before v3.28 Calico's eBPF polices one family"),
        ({"registry": "example.com/calico"}, "without version"),
        ({"init_containers": {"install-cni": "cni"}}, "without version"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str):
    with pytest.raises(CalicoMistake, match=why):
        refuse(options(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"dataplane": "iptables", "encapsulation": "ipip"},
        {"autodetection": "can-reach=192.0.2.1"},
        {"mtu": 1450, "version": "v3.32.1"},
        {"autodetection": "cidr=10.9.0.0/16,2001:db8::/48"},
        {"autodetection": "interface=eth.*,bond0"},
        {"ipv6": True, "version": "v3.28.0"},
        {"ipv6": True, "version": "v3.27.4", "dataplane": "iptables"},
        {"version": "v3.27.4"},
    ],
)
def test_what_goes_together_is_not(given: dict[str, Any]):
    refuse(options(**given))


@pytest.mark.parametrize(
    ("encapsulation", "pool", "felix"),
    [
        ("none", ("Never", "Never"), (False, False)),
        ("vxlan", ("Never", "Always"), (False, True)),
        ("crossSubnet", ("Never", "CrossSubnet"), (False, True)),
        ("ipip", ("Always", "Never"), (True, False)),
    ],
)
def test_the_pool_and_felix_agree(
    encapsulation: str, pool: tuple[str, str], felix: tuple[bool, bool]
):
    given = options(encapsulation=encapsulation)
    assert pool_spec(given) == {"ipipMode": pool[0], "vxlanMode": pool[1]}
    assert felix_spec(given) == {"ipipEnabled": felix[0], "vxlanEnabled": felix[1]}


def test_what_is_not_said_is_left():
    assert (pool_spec({}), felix_spec({}), images({})) == ({}, {}, ({}, {}))
    assert pool_spec(options(nat_outgoing=False)) == {"natOutgoing": False}


def test_all_containers_run_one_version():
    node, inits = images(options(version="v3.32.1"))
    assert node == {"calico-node": "quay.io/calico/node:v3.32.1"}
    assert inits == {
        "upgrade-ipam": "quay.io/calico/cni:v3.32.1",
        "install-cni": "quay.io/calico/cni:v3.32.1",
        "ebpf-bootstrap": "quay.io/calico/node:v3.32.1",
    }
    digest = "sha256:" + "a" * 64
    given = options(
        version="v3.32.2",
        registry="example.com/c",
        init_containers={"mount-bpffs": "node"},
        digests={"example.com/c/node:v3.32.2": digest},
    )
    image = f"example.com/c/node:v3.32.2@{digest}"
    assert images(given) == ({"calico-node": image}, {"mount-bpffs": image})


def test_the_api_servers_address():
    def kubeconfig(server: str) -> str:
        return json.dumps(
            {
                "current-context": "a",
                "contexts": [
                    {"name": "b", "context": {"cluster": "other"}},
                    {"name": "a", "context": {"cluster": "ours"}},
                ],
                "clusters": [
                    {"name": "other", "cluster": {"server": "https://192.0.2.9"}},
                    {"name": "ours", "cluster": {"server": server}},
                ],
            }
        )

    assert endpoint_of(kubeconfig("https://x.vultr-k8s.com:6443")) == "x.vultr-k8s.com:6443"
    assert endpoint_of(kubeconfig("https://x.vultr-k8s.com")) == "x.vultr-k8s.com:443"
    address = endpoint_of(kubeconfig("https://[2001:db8::1]:6443"))
    assert services_endpoint(address) == {
        "KUBERNETES_SERVICE_HOST": "2001:db8::1",
        "KUBERNETES_SERVICE_PORT": "6443",
    }
    for wrong in ("", "x", "x:0", "x:70000", "https://x:1"):
        with pytest.raises(CalicoMistake, match="must be host:port"):
            services_endpoint(wrong)
    for wrong in ("", "{}", "[", yaml.safe_dump({"current-context": "a", "contexts": []})):
        with pytest.raises(CalicoMistake, match="names no API server"):
            endpoint_of(wrong)


def test_what_a_check_compares_with():
    told = expected(
        options(kube_proxy="stopped", version="v3.32.1", encapsulation="vxlan", mtu=1450)
    )
    assert told["environment"] == felix_environment()
    assert told["kubeProxy"] == "stopped"
    assert told["images"]["install-cni"] == "quay.io/calico/cni:v3.32.1"
    assert told["pool"]["vxlanMode"] == "Always"
    assert told["felix"]["vxlanEnabled"] is True
    assert told["mtu"] == 1450


@pytest.mark.parametrize(
    ("given", "past"),
    [
        ({}, False),
        ({"version": "v3.23.5"}, False),
        ({"version": "v3.24.0"}, True),
        ({"version": "v3.27.4"}, True),
        ({"version": "v3.27.5"}, False),
        ({"version": "v3.27.4", "dataplane": "iptables"}, False),
    ],
)
def test_releases_whose_ebpf_goes_past_ufw(given: dict[str, Any], past: bool):
    assert goes_past_ufw(options(**given)) is past


@pytest.mark.parametrize(
    ("given", "pods"),
    [
        ({}, None),
        ({"mtu": 1400}, 1400),
        ({"nic_mtu": 1500}, 1450),
        ({"nic_mtu": 1500, "encapsulation": "none"}, 1450),
        ({"nic_mtu": 9000, "encapsulation": "none", "dataplane": "iptables"}, 9000),
        ({"nic_mtu": 1500, "encapsulation": "ipip", "dataplane": "iptables"}, 1480),
        ({"nic_mtu": 1500, "encapsulation": "crossSubnet", "dataplane": "iptables"}, 1450),
    ],
)
def test_the_pods_mtu_follows_from_the_cards(given: dict[str, Any], pods: int | None):
    assert veth_mtu(NetworkOptions(**given)) == pods
    assert expected(options(**given))["mtu"] == pods


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({}, ("vxlan",)),
        ({"encapsulation": "none"}, ("vxlan",)),
        ({"encapsulation": "none", "dataplane": "iptables"}, ()),
        ({"encapsulation": "crossSubnet", "dataplane": "iptables"}, ("vxlan",)),
        ({"encapsulation": "ipip", "dataplane": "iptables"}, ("ipip",)),
        ({"dataplane": "iptables"}, ("vxlan",)),
    ],
)
def test_tunnels_that_are_used(given: dict[str, Any], used: tuple[str, ...]):
    assert tunnels(NetworkOptions(**given)) == used


def test_both_families_are_found_on_an_interface_that_is_named():
    method = "IP_AUTODETECTION_METHOD"
    assert detection_environment({}) == {}
    assert detection_environment({"autodetection": "interface=eth1"}) == {method: "interface=eth1"}
    both = detection_environment({"autodetection": "interface=eth1", "ipv6": True})
    assert both == dict.fromkeys([method, "IP6_AUTODETECTION_METHOD"], "interface=eth1")
    one = detection_environment({"autodetection": "cidr=10.9.0.0/16", "ipv6": True})
    assert one == {method: "cidr=10.9.0.0/16"}
