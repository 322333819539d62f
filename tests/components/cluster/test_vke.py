"""The cluster, its pools, and the nodes that a preview knows."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.cluster.vke import pool_inputs, wanted
from components.vendors.vultr import Wanted
from tests.projects import CLUSTER, copy_project, region, write_stack
from tests.rendered import live_nodes, of_type, rendered

KUBERNETES = "vultr:index/kubernetes:Kubernetes"
POOL = "vultr:index/kubernetesNodePools:KubernetesNodePools"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def test_pool_inputs():
    pool = {"label": "edge", "plan": "p", "nodes": 3}
    assert pool_inputs(pool) == {"label": "edge", "plan": "p", "node_quantity": 3}  # pyright: ignore[reportArgumentType]
    assert pool_inputs({**pool, "autoscale": (2, 5), "labels": {"a": "b"}}) == {  # pyright: ignore[reportArgumentType]
        "label": "edge",
        "plan": "p",
        "node_quantity": 3,
        "auto_scaler": True,
        "min_nodes": 2,
        "max_nodes": 5,
        "labels": {"a": "b"},
    }


def test_what_is_waited_for():
    pools = [
        {"label": "a", "plan": "p", "nodes": 3},
        {"label": "b", "plan": "p", "nodes": 2, "autoscale": (1, 4)},
    ]
    assert wanted("v1", pools) == Wanted("v1", {"a": (3, 3), "b": (1, 4)})  # pyright: ignore[reportArgumentType]


def test_the_cluster_is_protected_and_has_its_own_firewall_group(project: Path):
    cluster = of_type(rendered(project, "us"), KUBERNETES)["us-cluster"]
    assert cluster.inputs == {
        "label": "edgefleet-us",
        "region": "ewr",
        "version": "v1.35.5+1",
        "enableFirewall": True,
        "haControlplanes": False,
        "nodePools": {"label": "edge", "plan": "vc2-2c-4gb", "nodeQuantity": 3},
    }
    assert cluster.options["protect"] is True
    # Never read back: after an import the provider would replace the cluster for them.
    assert cluster.options["ignoreChanges"] == ["enableFirewall", "vpcId"]


def test_protection_can_be_lifted(project: Path):
    write_stack(project, "us", region(protect=False))
    assert "protect" not in of_type(rendered(project, "us"), KUBERNETES)["us-cluster"].options


def test_further_pools_and_the_autoscalers_sizes(project: Path):
    bounds = {"min": 2, "max": 5}
    write_stack(
        project,
        "us",
        region(
            pools=[
                {**CLUSTER["pools"][0], "autoscale": bounds},
                {"label": "big", "plan": "vc2-4c-8gb", "nodes": 2, "autoscale": bounds},
                {"label": "plain", "plan": "vc2-4c-8gb", "nodes": 2},
            ]
        ),
    )
    rendering = rendered(project, "us")
    first = of_type(rendering, KUBERNETES)["us-cluster"]
    assert "nodePools.nodeQuantity" in first.options["ignoreChanges"]
    pools = of_type(rendering, POOL)
    assert sorted(pools) == ["us-pool-big", "us-pool-plain"]
    assert pools["us-pool-big"].options["ignoreChanges"] == ["nodeQuantity"]
    assert "ignoreChanges" not in pools["us-pool-plain"].options


def test_a_vpc_of_its_own(project: Path):
    write_stack(project, "us", region(vpc={"cidr": "10.20.0.0/20"}))
    rendering = rendered(project, "us")
    assert of_type(rendering, "vultr:index/vpc:Vpc")["us-vpc"].inputs == {
        "region": "ewr",
        "description": "edgefleet-us",
        "v4Subnet": "10.20.0.0",
        "v4SubnetMask": 20,
    }
    assert of_type(rendering, KUBERNETES)["us-cluster"].inputs["vpcId"] == "<unknown>"


def test_a_first_preview_says_how_many_records_follow(project: Path):
    rendering = rendered(project, "us")
    assert of_type(rendering, RECORD) == {}
    text = "us.example.com: 6 records follow (A and AAAA for 3 nodes) once Vultr has made the nodes"
    assert text in rendering.messages


def test_only_nodes_that_can_serve_are_published(project: Path):
    """One that is starting, or lacks an address of either family, would answer nobody."""
    first, second, third, fourth, fifth = live_nodes(5)
    half_made = (
        replace(second, status="pending"),
        replace(third, ipv4=""),
        replace(fourth, ipv6=""),
    )
    records = of_type(rendered(project, "us", (first, *half_made, fifth)), RECORD)
    assert {record.inputs["content"] for record in records.values()} == {
        first.ipv4,
        first.ipv6,
        fifth.ipv4,
        fifth.ipv6,
    }


def test_a_preview_without_an_id_shows_the_nodes_that_have_the_label(project: Path):
    rendering = rendered(project, "us", live_nodes(3))
    assert len(of_type(rendering, RECORD)) == 6
    start = "cluster edgefleet-us: its id is not known yet. Shown are the nodes"
    assert [text for text in rendering.messages if text.startswith(start)]
