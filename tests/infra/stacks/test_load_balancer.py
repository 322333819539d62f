"""A stack file whose cluster announces addresses of its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from components.firewall.cloudflare_ranges import load as load_ranges
from components.firewall.renderings.calico import forward_policy, node_policy
from components.firewall.renderings.ufw import FORWARD, INPUT, iptables_block
from components.firewall.rule_table import check_web_ports
from infra.errors import SettingsError
from infra.fleet.reading import load
from infra.stacks.node_table import node_table
from ops.cli import application
from tests.infra.stacks.test_existing_cluster import metal
from tests.projects import copy_project, region, region_stack, write_stack
from tests.rendered import of_type, rendered

POOL = {"name": "web", "addresses": ["45.76.2.8/29", "2001:19f0:1:b::/124"], "bgp": {}}
PEER = {"name": "tor", "address": "10.9.0.1", "asn": 64512, "myAsn": 64513, "bfd": {}}
PODS = ["10.244.0.0/16", "fd00:244::/56"]


def balanced(**changes: Any) -> dict[str, Any]:
    config = metal()
    said = {
        "metallb": {"pools": [POOL], "peers": [PEER]},
        "ingress": {"ipv4": "45.76.2.8", "ipv6": "2001:19f0:1:b::8"},
        **changes,
    }
    return {
        **config,
        "firewall": {**config["firewall"], "podNetworks": PODS},
        "loadBalancer": {key: value for key, value in said.items() if value is not None},
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def test_the_region_has_the_addresses_of_the_service_and_no_nodes(project: Path):
    write_stack(project, "metal", balanced())
    rendering = rendered(project, "metal")
    records = of_type(rendering, "cloudflare:index/dnsRecord:DnsRecord").values()
    assert {r.inputs["content"] for r in records} == {"45.76.2.8", "2001:19f0:1:b::8"}
    service = of_type(rendering, "kubernetes:core/v1:Service")["metal-ingress-service"].inputs
    asked = service["metadata"]["annotations"]["metallb.io/loadBalancerIPs"]
    assert asked == "45.76.2.8,2001:19f0:1:b::8"
    ranges = list(load_ranges().cidrs)
    assert service["spec"]["loadBalancerSourceRanges"] == ranges
    policy = of_type(rendering, "kubernetes:networking.k8s.io/v1:NetworkPolicy")
    (web, _) = policy["metal-ingress-admitted"].inputs["spec"]["ingress"]
    assert [source["ipBlock"]["cidr"] for source in web["from"]] == ranges
    daemon_set = of_type(rendering, "kubernetes:apps/v1:DaemonSet")["metal-ingress-controller"]
    assert "hostPort" not in repr(daemon_set.inputs)
    (fit,) = (r for r in rendering.resources if r.name == "metal-metallb-pools-fit")
    assert fit.inputs["pools"] == {"pool web": POOL["addresses"]}
    (pool,) = of_type(rendering, "kubernetes:metallb.io/v1beta1:IPAddressPool").values()
    assert "PoolsFit::metal-metallb-pools-fit" in " ".join(pool.options["dependsOn"])
    assert "hostNetwork" not in daemon_set.inputs["spec"]["template"]["spec"]
    (chart,) = of_type(rendering, "kubernetes:helm.sh/v4:Chart").values()
    assert chart.inputs["version"] == "0.16.2"


@pytest.mark.parametrize("by", ["l2", "bgp"])
def test_records_wait_for_a_node_that_neighbours_find(project: Path, by: str):
    pool = {**POOL, "l2": {"interfaces": ["eth0"]}}
    if by == "l2":
        del pool["bgp"]
    said: dict[str, Any] = {"pools": [pool]}
    write_stack(
        project, "metal", balanced(metallb=said if by == "l2" else said | {"peers": [PEER]})
    )
    found = {r.name: r for r in rendered(project, "metal").resources}
    assert ("metal-announced" in found) == (by == "l2")
    if by == "l2":
        awaited = found["metal-announced"].inputs
        assert (awaited["namespace"], awaited["service"]) == ("nginx-ingress", "nginx-ingress")
        assert '"interfaces": ["eth0"]' in awaited["generation"]
        record = found["metal-dns-load-balancer-a"]
        assert "Announced::metal-announced" in " ".join(record.options["dependsOn"])


def test_packets_for_the_service_are_passed_on_and_none_taken_in(project: Path):
    write_stack(project, "metal", balanced())
    table = node_table(region_stack(project, "metal"))
    assert check_web_ports(table) == [80, 443]
    cloudflare = ["173.245.48.0/20", "2400:cb00::/32"]
    lines = iptables_block(table, cloudflare, "v4", [80, 443])
    assert [line for line in lines if "173.245.48.0/20" in line] == [
        f"-A {FORWARD} -s 173.245.48.0/20 -d 10.244.0.0/16 -p tcp -m multiport --dports 80,443 "
        '-m comment --comment "edgefleet:cloudflare: Cloudflare to the ingress pods" -j ACCEPT'
    ]
    assert [line for line in lines if line.startswith(f"-A {INPUT} -p tcp") and "DROP" in line]
    assert "173.245.48.0/20" not in repr(node_policy(table, cloudflare))
    assert "173.245.48.0/20" in repr(forward_policy(table, cloudflare))
    bfd = next(rule for rule in table if rule.name == "bfd")
    assert (bfd.source, bfd.protocol) == (("10.9.0.1/32",), "udp")


def test_an_ingress_on_the_nodes_own_ports_stays_there(project: Path):
    write_stack(project, "metal", balanced(ingress=None))
    rendering = rendered(project, "metal")
    assert of_type(rendering, "kubernetes:core/v1:Service") == {}
    assert len(of_type(rendering, "cloudflare:index/dnsRecord:DnsRecord")) == 4


def test_the_sessions_password_stays_secret(project: Path):
    peer = {**PEER, "password": True}
    config = balanced(metallb={"pools": [POOL], "peers": [peer]})
    write_stack(project, "metal", config)
    with pytest.raises(SettingsError, match="tor: password: there is no secret bgpPassword"):
        load(project)
    write_stack(project, "metal", {**config, "bgpPassword": {"secure": "AAABx"}})
    rendering = rendered(project, "metal")
    (secret,) = [
        r
        for r in of_type(rendering, "kubernetes:core/v1:Secret").values()
        if r.name == "metal-metallb-password-tor"
    ]
    assert secret.inputs["stringData"] == "<secret>"
    (peer_object,) = of_type(rendering, "kubernetes:metallb.io/v1beta2:BGPPeer").values()
    assert "password" not in peer_object.inputs["spec"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {**region(), "loadBalancer": balanced()["loadBalancer"]},
            "loadBalancer: goes with cluster.existing: Vultr's network sends a VKE node",
        ),
        (
            balanced(ingress={"ipv4": "45.76.2.16"}),
            "45.76.2.16 is in none of the pools (pool web): nobody would announce it",
        ),
        (balanced(ingress={"ipv4": "10.0.0.1"}), "must be a public IPv4 address"),
        (
            balanced(kubeVip={"interface": "eth0", "services": True}),
            "kubeVip.services beside metallb: both would announce the same Services'",
        ),
        (
            balanced(kubeVip={"interface": "eth0", "controlPlane": "45.76.2.9"}),
            "controlPlane: 45.76.2.9-45.76.2.9 overlaps 45.76.2.8/29 of pool web",
        ),
        (
            balanced(metallb=None, kubeVip={"interface": "eth0", "controlPlane": "10.9.0.9"}),
            "ingress: nobody announces addresses of Services: kubeVip.services",
        ),
        (balanced(metallb=None), "names nobody who announces: say metallb or kubeVip"),
        (balanced(ingress={}), "names no address: say ipv4, ipv6 or both"),
        (balanced(metallb={"pools": [POOL]}), "pool web: bgp without a peer"),
        (
            balanced(metallb={"pools": [POOL], "peers": [PEER], "mode": "native"}),
            "mode native announces no IPv6 by BGP",
        ),
        (
            {**balanced(), "firewall": metal()["firewall"]},
            "loadBalancer.ingress.ipv6: '2001:19f0:1:b::8': its packets are passed on to pods",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    project: Path, config: dict[str, Any], sentence: str
):
    write_stack(project, "metal", config)
    with pytest.raises(SettingsError) as caught:
        load(project)
    assert sentence in str(caught.value)


def test_two_clusters_never_announce_the_same_address(project: Path):
    write_stack(project, "metal", balanced())
    pool = {**POOL, "addresses": ["45.76.2.12-45.76.2.20"]}
    said = balanced(metallb={"pools": [pool], "peers": [PEER]}, ingress=None)
    write_stack(project, "metal-2", {**said, "region": "metal"})
    with pytest.raises(SettingsError) as caught:
        load(project)
    sentence = "45.76.2.12-45.76.2.20 overlaps 45.76.2.8/29 of Pulumi.metal.yaml, pool web"
    assert sentence in str(caught.value)


def test_a_pool_that_holds_a_nodes_own_address_is_refused_in_the_preview(project: Path):
    pool = {**POOL, "addresses": ["45.76.1.8/29", *POOL["addresses"]]}
    write_stack(project, "metal", balanced(metallb={"pools": [pool], "peers": [PEER]}))
    with pytest.raises(Exception, match=r"holds 45\.76\.1\.10, which is node n1's own"):
        rendered(project, "metal")


def test_kube_vip_announces_the_same_service(project: Path):
    vip = {"interface": "eth0", "services": True}
    write_stack(project, "metal", balanced(metallb=None, kubeVip=vip))
    rendering = rendered(project, "metal")
    service = of_type(rendering, "kubernetes:core/v1:Service")["metal-ingress-service"].inputs
    asked = service["metadata"]["annotations"]["kube-vip.io/loadbalancerIPs"]
    assert asked == "45.76.2.8,2001:19f0:1:b::8"
    assert "metal-kube-vip-daemon-set" in of_type(rendering, "kubernetes:apps/v1:DaemonSet")
    assert of_type(rendering, "kubernetes:helm.sh/v4:Chart") == {}


def test_the_static_pod_is_printed_for_kubeadm(project: Path):
    vip = {"interface": "eth0", "controlPlane": "10.9.0.9"}
    write_stack(project, "metal", balanced(kubeVip=vip))
    done = CliRunner().invoke(application("kube-vip"), ["kube-vip", "metal", "--dir", str(project)])
    assert done.exit_code == 0, done.output
    pod = yaml.safe_load(done.output)
    variables = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    assert (variables["address"], variables["cp_enable"]) == ("10.9.0.9", "true")
    assert pod["spec"]["volumes"][0]["hostPath"]["path"] == "/etc/kubernetes/admin.conf"
    args = ["kube-vip", "metal", "--first", "--dir", str(project)]
    assert "super-admin.conf" in CliRunner().invoke(application("kube-vip"), args).output
    refused = CliRunner().invoke(application("kube-vip"), ["kube-vip", "us", "--dir", str(project)])
    assert refused.exit_code == 2
    assert "Pulumi.us.yaml: edgefleet:loadBalancer.kubeVip.controlPlane" in refused.output
