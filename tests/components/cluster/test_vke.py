"""The cluster, its pools, and the nodes that a preview knows."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.cluster.vke import pool_inputs
from tests.projects import CLUSTER, copy_project, region, write_stack
from tests.rendered import live_nodes, of_type, rendered

KUBERNETES = "vultr:index/kubernetes:Kubernetes"
POOL = "vultr:index/kubernetesNodePools:KubernetesNodePools"
SETTINGS = "pulumi-python:dynamic/index:PoolSettings"
DRAIN = "pulumi-python:dynamic/index:DrainedPool"
VERSION = "pulumi-python:dynamic/index:ClusterVersion"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def test_pool_inputs():
    pool = {"label": "edge", "plan": "p", "nodes": 3}
    assert pool_inputs(pool) == {"label": "edge", "plan": "p", "node_quantity": 3}  # pyright: ignore[reportArgumentType]
    assert pool_inputs({**pool, "autoscale": {"min": 2, "max": 5}, "labels": {"a": "b"}}) == {  # pyright: ignore[reportArgumentType]
        "label": "edge",
        "plan": "p",
        "node_quantity": 3,
        "auto_scaler": True,
        "min_nodes": 2,
        "max_nodes": 5,
        "labels": {"a": "b"},
    }


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
    # Never read back: after an import the provider would replace the cluster for the first two.
    # The others change by resources of ours.
    ignored = ["enableFirewall", "vpcId", "version", "nodePools"]
    assert cluster.options["ignoreChanges"] == ignored


def test_protection_can_be_lifted(project: Path):
    write_stack(project, "us", region(protect=False))
    assert "protect" not in of_type(rendered(project, "us"), KUBERNETES)["us-cluster"].options


def test_pools_and_what_can_change_about_them(project: Path):
    bounds = {"min": 2, "max": 5}
    write_stack(
        project,
        "us",
        region(
            pools=[
                {**CLUSTER["pools"][0], "autoscale": bounds},
                {"label": "big", "plan": "vc2-4c-8gb", "nodes": 2, "autoscale": bounds},
                {"label": "plain", "plan": "vc2-4c-8gb", "nodes": 2, "labels": {"a": "b"}},
            ]
        ),
    )
    rendering = rendered(project, "us")
    pools = of_type(rendering, POOL)
    assert sorted(pools) == ["us-pool-big", "us-pool-plain"]
    for pool in pools.values():
        assert "nodeQuantity" in pool.options["ignoreChanges"]
        # Taken out of the file, it goes.
        assert "protect" not in pool.options
    settings = of_type(rendering, SETTINGS)
    wanted = {name: registered.inputs for name, registered in settings.items()}
    scaled = {"cluster_id": "<unknown>", "ipv6": True, "minutes": 30, "autoscale": bounds}
    assert wanted == {
        "us-pool-edge-settings": {**scaled, "pool": "edge"},
        "us-pool-big-settings": {**scaled, "pool": "big"},
        "us-pool-plain-settings": {
            "cluster_id": "<unknown>",
            "ipv6": True,
            "minutes": 30,
            "pool": "plain",
            "nodes": 2,
            "labels": {"a": "b"},
        },
    }


def test_a_pool_is_emptied_after_its_records_went_and_before_it_goes(project: Path):
    """What goes, goes in the opposite order of what it depends on."""
    write_stack(
        project,
        "us",
        region(pools=[*CLUSTER["pools"], {"label": "big", "plan": "vc2-4c-8gb", "nodes": 1}]),
    )
    rendering = rendered(project, "us", live_nodes(1))
    (drain,) = of_type(rendering, DRAIN).values()
    (pool,) = of_type(rendering, POOL).values()
    (version,) = of_type(rendering, VERSION).values()
    assert pool.urn in drain.options["dependsOn"]
    for record in of_type(rendering, RECORD).values():
        assert drain.urn in record.options["dependsOn"]
    # `destroy --exclude-protected` keeps what the protected ones depend on.
    assert version.options["protect"] is True
    assert {pool.urn, drain.urn} & set(version.options["dependsOn"])


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
