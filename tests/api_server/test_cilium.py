"""`CiliumDataplane` and `CiliumHostProtection` by `pulumi up`: the chart by the real helm, the
objects against Cilium's real CRDs. Cilium itself doesn't run: its kinds are there already, as its
operator would have made them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.dataplane.cilium_options import VERSION
from components.firewall.renderings.cilium import NAME
from sandbox.providers.base.server import Server
from sandbox.providers.kubernetes.client import Cluster
from sandbox.toolchain import charts, go_build
from sandbox.toolchain.install import default_cache
from tests.component_project import ComponentProject
from tests.kubernetes_harness import client, named, until

pytest_plugins = ("tests.kubernetes_harness",)

PROGRAM = """
import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components import CiliumDataplane, CiliumHostProtection, node_rules
from components.firewall import cloudflare_ranges

here = Path(pulumi.get_root_directory())
args = json.loads((here / "args.json").read_text())
kubeconfig = pulumi.Output.secret((here / "kubeconfig").read_text())
provider = kubernetes.Provider("k8s", kubeconfig=kubeconfig, cluster_identifier="one")
opts = pulumi.ResourceOptions(
    providers=[provider],
    # Without kubelets nothing becomes ready.
    transformations=[lambda a: pulumi.ResourceTransformationResult(
        {**a.props, "skipAwait": True} if a.type_ == "kubernetes:helm.sh/v4:Chart" else a.props,
        a.opts)],
)
if args:
    plane = CiliumDataplane("c", {**args, "kubeconfig": kubeconfig, "bgp_password": "s3cret"}, opts)
    CiliumHostProtection("nodes", {
        "rules": node_rules(
            ssh_sources=["198.51.100.0/24"], node_networks=args["node_networks"],
            pod_networks=args["pod_networks"], node_addresses=["2001:db8:9::/64"], api_port=6443,
            tunnels=(),
        ),
        "cloudflare": cloudflare_ranges.load().cidrs,
    }, pulumi.ResourceOptions(providers=[provider], depends_on=[plane]))
"""
ARGS: dict[str, Any] = {
    "pod_networks": ["10.244.0.0/16", "fd00:10::/56"],
    "node_networks": ["10.9.0.0/16"],
    "api_endpoint": "10.9.0.10:6443",
    "routing": "native",
    "mtu": 9000,
    "devices": ["bond0"],
    "host_firewall": True,
    "pools": [{"name": "public", "addresses": ["203.0.113.0/28", "203.0.113.32-203.0.113.40"]}],
    "l2": {"interfaces": ["^bond0$"], "node_labels": {"edge": "yes"}},
    "bgp": {
        "as_number": 4200000000,
        "peers": [
            {"name": "tor-1", "address": "10.9.0.1", "as_number": 64500, "password": True},
            {"name": "tor-2", "address": "2001:db8:9::1", "as_number": 64500},
        ],
    },
}


@pytest.fixture(scope="module")
def cilium(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster with Cilium's kinds, out of the Go module that has the chart."""
    cluster, work = client(kubeconfig), tmp_path_factory.mktemp("cilium")
    (work / "go.mod").write_text("module work\n")
    go = go_build.find_go(default_cache(), print)
    chart = charts.find("https://helm.cilium.io", "cilium", VERSION)
    module = go_build.module_folder(chart.module, f"v{VERSION}", go, work)
    definitions = sorted((module / "pkg/k8s/apis/cilium.io/client/crds").glob("*/*.yaml"))
    assert len(definitions) > 15
    for path in definitions:
        cluster.apply(yaml.safe_load(path.read_text()), "cilium-operator", force=True)

    def served() -> bool:
        cluster.forget_kinds()
        return cluster.exists("cilium.io/v2", "CiliumBGPClusterConfig")

    until(served, "served kinds of Cilium")
    return cluster


@pytest.fixture
def project(
    cilium: Cluster, kubeconfig: str, tmp_path: Path, server: Server
) -> Iterator[ComponentProject]:
    attached = {"PULUMI_DEBUG_PROVIDERS": f"kubernetes:{server.port}"}
    project = ComponentProject(tmp_path, PROGRAM, kubeconfig, **attached)
    yield project
    project.destroy()


def test_the_chart_takes_our_values_and_the_api_server_our_objects(
    cilium: Cluster, project: ComponentProject
):
    project.up(**ARGS)
    config = cilium.get(named("v1", "ConfigMap", "cilium-config", "kube-system"))["data"]
    assert {
        "kube-proxy-replacement": "true",
        "routing-mode": "native",
        "ipam": "kubernetes",
        "enable-host-firewall": "true",
        "policy-cidr-match-mode": "nodes",
        "enable-l2-announcements": "true",
        "enable-bgp-control-plane": "true",
        "nodeport-addresses": "10.9.0.0/16",
        "devices": "bond0",
        "mtu": "9000",
    }.items() <= config.items()
    agent = cilium.get(named("apps/v1", "DaemonSet", "cilium", "kube-system"))
    (container,) = agent["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["KUBERNETES_SERVICE_HOST"] == "10.9.0.10"
    policy = cilium.get(named("cilium.io/v2", "CiliumClusterwideNetworkPolicy", NAME))
    assert len(policy["spec"]["ingress"]) > 10
    (instance,) = cilium.get(named("cilium.io/v2", "CiliumBGPClusterConfig", "edgefleet-bgp"))[
        "spec"
    ]["bgpInstances"]
    assert [peer["name"] for peer in instance["peers"]] == ["tor-1", "tor-2"]
    for kind, name in (
        ("CiliumLoadBalancerIPPool", "edgefleet-pool-public"),
        ("CiliumBGPAdvertisement", "edgefleet-bgp-advertisement"),
        ("CiliumBGPPeerConfig", "edgefleet-bgp-peer-tor-2"),
    ):
        assert cilium.get(named("cilium.io/v2", kind, name))
    assert cilium.get(named("cilium.io/v2alpha1", "CiliumL2AnnouncementPolicy", "edgefleet-l2"))
    assert "s3cret" not in project.pulumi("stack", "export", "-s", "dev")
    project.pulumi("preview", "--expect-no-changes", "-s", "dev")
    left = json.loads(project.pulumi("stack", "export", "-s", "dev"))["deployment"]["resources"]
    assert any(r["urn"].endswith("::c-kinds") for r in left)
