"""A stack file with a cluster that somebody else made."""

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.fleet.reading import load
from infra.stacks.edge import region_table
from infra.stacks.node_table import node_table
from infra.stacks.region.cluster import open_existing
from infra.state.checkpoint import StackState
from infra.state.region_refusals import region_refusals
from infra.state.resource_types import CLUSTER, EXISTING
from infra.state.survey import survey
from tests.projects import copy_project, region, region_stack, write_stack
from tests.rendered import of_type, rendered

NODES = {
    "n1": {"ipv4": "45.76.1.10", "ipv6": "2001:19f0:1:a::a"},
    "n2": {"ipv4": "45.76.1.11", "ipv6": "2001:19f0:1:a::b"},
}
FIREWALL = {"adminCidrs": ["198.51.100.0/24"], "nodeNetworks": ["10.9.0.0/16"]}
PLACE = {"latitude": 50.1, "longitude": 8.7}


def metal(**existing: Any) -> dict[str, Any]:
    said = {"kubeconfig": "/srv/kubeconfigs/metal", "addresses": NODES, **existing}
    return {
        "region": "metal",
        "coordinates": PLACE,
        "cluster": {"existing": {key: value for key, value in said.items() if value is not None}},
        "firewall": FIREWALL,
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def refused(project: Path, config: dict[str, Any]) -> list[str]:
    write_stack(project, "metal", config)
    with pytest.raises(SettingsError) as caught:
        load(project)
    return caught.value.mistakes


def test_it_has_all_but_what_is_vultrs(project: Path):
    write_stack(project, "metal", metal())
    rendering = rendered(project, "metal")
    assert [r.type for r in rendering.resources if r.type.startswith("vultr:")] == []
    (cluster,) = of_type(rendering, EXISTING).values()
    assert cluster.name == "metal"
    records = of_type(rendering, "cloudflare:index/dnsRecord:DnsRecord")
    assert {r.inputs["content"] for r in records.values()} == {
        address for node in NODES.values() for address in node.values()
    }
    others = {r.type for r in rendered(project, "us").resources}
    assert others - {r.type for r in rendering.resources} == {
        "vultr:index/kubernetes:Kubernetes",
        "edgefleet:index:VkeCluster",
        "edgefleet:index:CloudFirewall",
        "vultr:index/firewallRule:FirewallRule",
        "pulumi-python:dynamic/index:PoolSettings",
        "pulumi-python:dynamic/index:ClusterVersion",
        "pulumi-python:dynamic/index:VultrFirewallRules",
    }
    # Whoever runs this stack isn't who owns the cluster: nothing is gone when the stack is.
    assert all("deletedWith" not in r.options for r in rendering.resources)
    assert "endpoint" not in rendering.outputs


def test_administrators_reach_the_api_server_on_the_nodes(project: Path):
    write_stack(project, "metal", metal(apiPort=7443))
    table = {rule.name: rule for rule in node_table(region_stack(project, "metal"))}
    assert table["api"].ports == ((7443, 7443),)
    assert table["api"].source == ("198.51.100.0/24",)
    assert table["node-tcp"].source == ("10.9.0.0/16",)
    assert "api" not in {rule.name for rule in node_table(region_stack(project, "us"))}


def test_a_region_of_both_kinds_lies_where_one_of_them_says(project: Path):
    config = metal()
    del config["coordinates"]
    write_stack(project, "a-metal", {**config, "region": "us"})
    inventory = load(project)
    domain = inventory.stacks["us"].fleet.domain
    (row,) = (row for row in region_table(inventory, domain) if row["name"] == "us")
    (ewr,) = (row for row in region_table(load(copy_project(project / "plain")), domain)
              if row["name"] == "us")  # fmt: skip
    assert (row["lat"], row["lon"]) == (ewr["lat"], ewr["lon"])

    write_stack(project, "a-metal", config)
    with pytest.raises(SettingsError) as caught:
        region_table(load(project), domain)
    assert "Pulumi.a-metal.yaml: edgefleet:coordinates: is required" in str(caught.value)


TOR = {"name": "tor-1", "address": "10.9.0.1", "asNumber": 64500}


def bgp(**said: Any) -> dict[str, Any]:
    return {**metal(), "calico": {"encapsulation": "none", "bgp": said}}


def test_pods_routes_are_told_before_they_are_needed(project: Path):
    config = bgp(mesh=False, peers=[TOR], routeReflectors={"nodes": ["n1", "n2"]})
    config["calico"] |= {"dataplane": "iptables", "kubeProxy": "left", "nicMtu": 9000}
    write_stack(project, "metal", config)
    found = {r.name: r for r in rendered(project, "metal").resources}
    assert found["metal-pod-routes"].inputs["bare"] is True
    assert found["metal-bgp-tor-1"].inputs["spec"] == {"peerIP": "10.9.0.1", "asNumber": 64500}
    assert found["metal-bgp-reflector-n2"].inputs["kind"] == "Node"
    assert found["metal-calico-pool"].inputs["fields"]["spec"]["vxlanMode"] == "Never"
    assert found["metal-calico-mtu"].inputs["fields"]["data"] == {"veth_mtu": "9000"}
    after = " ".join(found["metal-calico"].options["dependsOn"])
    assert "PodRoutes::metal-pod-routes" in after
    assert "metal-bgp-configuration" in after

    table = {rule.name: rule for rule in node_table(region_stack(project, "metal"))}
    assert table["bgp"].source == ("10.9.0.0/16",)
    assert table["bgp-peers"].source == ("10.9.0.1/32",)
    for name in ("node-udp", "pod-udp"):
        assert not any(low <= 4789 <= high for low, high in table[name].ports)


def test_bgp_is_open_to_whom_it_is_spoken_with(project: Path):
    write_stack(project, "metal", bgp(mesh=False, peers=[TOR]))
    table = {rule.name: rule for rule in node_table(region_stack(project, "metal"))}
    assert "bgp" not in table
    assert table["bgp-peers"].ports == ((179, 179),)
    # eBPF tunnels in VXLAN, whatever pools do.
    assert any(low <= 4789 <= high for low, high in table["node-udp"].ports)


def test_felix_writes_what_kube_proxy_does(project: Path):
    config = {"calico": {"dataplane": "iptables"}, "kubeProxy": {"mode": "nftables"}}
    write_stack(project, "metal", {**metal(), **config})
    found = {r.name: r for r in rendered(project, "metal").resources}
    assert found["metal-kube-proxy-configuration"].inputs["fields"] == {"mode": "nftables"}
    env = found["metal-calico-felix"].inputs["containers"]["calico-node"]["env"]
    assert env["FELIX_NFTABLESMODE"] == "Enabled"
    after = " ".join(found["metal-calico"].options["dependsOn"])
    assert "metal-kube-proxy-rollout" in after


def test_a_peers_password_is_a_secret_of_the_stack(project: Path):
    config = bgp(peers=[{**TOR, "password": True}])
    write_stack(project, "metal", config)
    with pytest.raises(SettingsError, match="bgpPassword: is required, as calico"):
        rendered(project, "metal")
    write_stack(project, "metal", {**config, "bgpPassword": {"secure": "v1:x:y"}})
    found = {r.name: r for r in rendered(project, "metal").resources}
    assert "password" in found["metal-bgp-tor-1"].inputs["spec"]
    assert "metal-bgp-role-binding" in found


def test_nobody_knows_what_vultr_forwards(project: Path):
    write_stack(project, "us", {**region(), "calico": {"encapsulation": "none"}})
    (warning,) = (w for w in load(project).warnings if "encapsulation" in w)
    assert "Pulumi.us.yaml: edgefleet:calico.encapsulation: 'none' on VKE: nobody has" in warning
    assert not [w for w in load(project).warnings if "Pulumi.metal" in w]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {**region("metal"), "calico": {"bgp": {}}},
            "calico.bgp: goes with cluster.existing: on VKE nobody knows of a router",
        ),
        (
            {**metal(), "kubeProxy": {"mode": "ipvs"}},
            "kubeProxy.mode: 'ipvs' with calico.dataplane ebpf: there felix serves",
        ),
        (
            {**region("metal"), "kubeProxy": {"mode": "ipvs"}},
            "kubeProxy: goes with cluster.existing: VKE's kube-proxy is Vultr's",
        ),
        (
            {**metal(), "kubeProxy": {"mode": "nftables", "scheduler": "rr"}},
            "kubeProxy: scheduler 'rr' means nothing with mode nftables",
        ),
        (bgp(mesh=False), "calico.bgp: mesh false without peers and routeReflectors: no node"),
        (
            bgp(routeReflectors={"nodes": ["n1"]}),
            "calico.bgp: routeReflectors beside the mesh: every node would",
        ),
        (bgp(peers=[{**TOR, "asNumber": 2**32}]), "peers.tor-1.asNumber 4294967296: from 1"),
        (metal(kubeconfig=None), "cluster.existing.kubeconfig: is required: a path outside"),
        (metal(kubeconfig="kubeconfig"), "'kubeconfig': must be an absolute path, or begin with ~"),
        (metal(kubeconf=1), "cluster.existing.kubeconf: is not a known key; did you mean kubecon"),
        ({**metal(), "firewall": {}}, "firewall.nodeNetworks: is required with cluster.existing"),
        (
            {**metal(), "firewall": {"nodeNetworks": ["10.9.0.0/16"]}},
            "firewall.adminCidrs: is required with cluster.existing: the nodes' firewall closes "
            "SSH and the API server (:6443) to all others",
        ),
        (
            {**metal(), "firewall": {**FIREWALL, "source": "explicit"}},
            "firewall.source: is about Vultr's firewall",
        ),
        (
            metal(addresses={"n1": {"ipv4": "10.0.0.5"}}),
            "cluster.existing.addresses.n1.ipv4: '10.0.0.5': must be a public IPv4 address",
        ),
        (
            {**metal(), "cluster": {**metal()["cluster"], "location": "ewr"}},
            "cluster.location: is not a known key; known here: "
            "acceptLoss, existing, ipv6, timeouts",
        ),
    ],
)
def test_mistakes_have_sentences(project: Path, config: dict[str, Any], sentence: str):
    (told,) = refused(project, config)
    assert told.startswith("Pulumi.metal.yaml: edgefleet:")
    assert sentence in told


def test_a_kubeconfig_is_said_once_and_outside_of_the_project(project: Path):
    (told,) = refused(project, metal(kubeconfig=str(project / "kubeconfig")))
    assert "is inside of the project" in told
    (told,) = refused(project, {**metal(), "kubeconfig": {"secure": "v1:x:y"}})
    assert "the stack has a secret kubeconfig, too" in told
    (told,) = refused(project, {**region("metal"), "kubeconfig": {"secure": "v1:x:y"}})
    assert "kubeconfig: goes with cluster.existing" in told


def test_a_file_that_is_not_there_is_named(project: Path, tmp_path: Path):
    path = tmp_path.parent / "elsewhere"
    write_stack(project, "metal", metal(kubeconfig=str(path)))
    stack = region_stack(project, "metal")

    def secret(key: str) -> Any:
        raise AssertionError(f"nobody asks for {key}")

    with pytest.raises(SettingsError) as caught:
        open_existing(stack, secret)
    assert f"{str(path)!r}: No such file or directory. Put the cluster's" in str(caught.value)
    path.write_text("apiVersion: v1")
    assert open_existing(stack, secret)[0] == "apiVersion: v1"


def state(**resources: Any) -> StackState:
    urns = {"cluster": (CLUSTER, "metal-cluster"), "existing": (EXISTING, "metal")}
    return StackState(
        {
            f"urn:pulumi:metal::edgefleet::{urns[key][0]}::{urns[key][1]}": value
            for key, value in resources.items()
        }
    )


def test_a_stack_keeps_its_kind_of_cluster(project: Path):
    write_stack(project, "metal", metal())
    stack = region_stack(project, "metal")
    assert list(region_refusals(stack, state(existing={"identity": "u1"}))) == []
    (told,) = region_refusals(stack, state(cluster={"label": "x"}))
    assert "this stack has a VKE cluster, and can't go on with one of the other kind" in told
    write_stack(project, "metal", region("metal"))
    (told,) = region_refusals(region_stack(project, "metal"), state(existing={"identity": "u1"}))
    assert "this stack has an existing cluster" in told


def test_vultr_is_not_asked_about_it(project: Path):
    def vultr() -> Any:
        raise AssertionError("nobody asks Vultr")

    write_stack(project, "metal", metal())
    found = survey(region_stack(project, "metal"), state(existing={"identity": "u1"}), vultr)
    assert (found.identity, found.cluster) == ("u1", None)


CILIUM = {"apiEndpoint": "10.9.0.10:6443", "hostFirewall": True}


def test_cilium_instead_of_calico(project: Path):
    write_stack(project, "metal", {**metal(), "cilium": CILIUM})
    rendering = rendered(project, "metal")
    found = {r.name: r for r in rendering.resources}
    assert not [name for name in found if name.startswith("metal-calico")]
    assert found["metal-cilium-chart"].inputs["values"]["k8sServiceHost"] == "10.9.0.10"
    protection = found["metal-cilium-nodes"]
    assert "metal-cilium-kinds" in " ".join(protection.options["dependsOn"])
    assert "metal-cilium-nodes-policy" in " ".join(found["metal-ingress"].options["dependsOn"])
    # Nobody speaks BGP there, nor Calico's VXLAN.
    names = {rule.name for rule in node_table(region_stack(project, "metal"))}
    assert not names & {"bgp", "bgp-peers", "vxlan"}
    assert "calico" not in rendering.outputs


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**region("metal"), "cilium": CILIUM}, "cilium: goes with cluster.existing: VKE brings"),
        ({**metal(), "cilium": CILIUM, "calico": {"mtu": 1450}}, "cilium beside calico: a cluster"),
        ({**metal(), "cilium": CILIUM, "kubeProxy": {"mode": "ipvs"}}, "kubeProxy beside cilium"),
        (
            {**metal(), "cilium": CILIUM, "firewall": {**FIREWALL, "hostProtection": "both"}},
            "firewall.hostProtection: 'both' without Calico: say cilium.hostFirewall",
        ),
        ({**metal(), "cilium": {}}, "cilium: kubeProxyReplacement without apiEndpoint"),
        ({**metal(), "cilium": {**CILIUM, "l2": {}}}, "cilium: l2 without pools"),
    ],
)
def test_one_dataplane_that_can_be(project: Path, config: dict[str, Any], sentence: str):
    (told,) = refused(project, config)
    assert sentence in told
