"""What a live cluster makes of a stack file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.vendors.vultr_cluster import Pool
from infra.fleet.reading import load
from infra.state.checkpoint import StackState
from infra.state.live_refusals import live_refusals, live_warnings
from infra.state.resource_types import CLUSTER, POOL, RECORD, VERSION, VKE
from infra.state.survey import Survey, survey
from tests.components.cluster.test_settling import cluster, node
from tests.projects import CLUSTER as WANTED
from tests.projects import copy_project, region, region_stack, write_stack

NOW = WANTED["version"]
THREE = [node(1), node(2), node(3)]


class Vultr:
    """Offers versions; a cluster's API server answers nobody."""

    def __init__(self, *offered: str) -> None:
        self.offered = list(offered)
        self.listed: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def upgrades(self, cluster_id: str) -> list[str]:
        self.asked.append("upgrades")
        return self.offered

    def versions(self) -> list[str]:
        self.asked.append("versions")
        return self.offered

    def kubeconfig(self, cluster_id: str) -> str:
        self.asked.append("kubeconfig")
        return "not to be read"

    def clusters(self) -> list[dict[str, Any]]:
        self.asked.append("clusters")
        return self.listed

    def with_nodes(self, found: dict[str, Any]) -> Any:
        return cluster(*THREE, id=found["id"])

    def told(self, found: dict[str, Any]) -> str:
        return f"{found['id']} (empty)"


def refused(
    tmp_path: Path, found: Survey, offered: Sequence[str] = (), **changes: Any
) -> tuple[list[str], Vultr]:
    project = copy_project(tmp_path)
    write_stack(project, "us", region(**changes))
    vultr: Any = Vultr(*offered)
    return list(live_refusals(region_stack(project), found, lambda: vultr)), vultr


def there(live: str = NOW, last: str = NOW, **changes: Any) -> Survey:
    return Survey(cluster(*THREE, version=live, **changes), made=True, version=last)


@pytest.mark.parametrize(
    ("found", "wanted", "sentence"),
    [
        (there("v1.36.0+1"), NOW, "Vultr has upgraded cluster edgefleet-us to v1.36.0+1 by itself"),
        (
            there("v1.36.0+1", last="v1.36.0+1"),
            NOW,
            "cluster edgefleet-us has v1.36.0+1, and VKE doesn't go back. Say 'v1.36.0+1'",
        ),
        (
            there(),
            "v1.36.9+1",
            "Vultr doesn't offer that for cluster edgefleet-us, which has v1.35.5+1. It offers: "
            "v1.36.0+1",
        ),
        (
            there(""),
            "v1.36.0+1",
            "Vultr shows no version for cluster edgefleet-us, and then refuses every upgrade",
        ),
        (Survey(), "v1.33.0+1", "Vultr makes no cluster of that version (any more). It offers"),
    ],
)
def test_a_version_that_can_not_be(tmp_path: Path, found: Survey, wanted: str, sentence: str):
    (told,), _ = refused(tmp_path, found, ["v1.36.0+1"], version=wanted)
    assert told.startswith(f"Pulumi.us.yaml: edgefleet:cluster.version: {wanted!r}: ")
    assert sentence in told


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (there(), NOW),
        (there(), "v1.36.0+1"),
        # The line can be taken back while Vultr shows none.
        (there(""), NOW),
        (Survey(), "v1.36.0+1"),
        # Gone at Vultr: what is read of it says so.
        (Survey(made=True), "v1.33.0+1"),
    ],
)
def test_a_version_that_can_be(tmp_path: Path, found: Survey, wanted: str):
    assert refused(tmp_path, found, ["v1.36.0+1"], version=wanted)[0] == []


def test_nothing_is_asked_where_nothing_changes(tmp_path: Path):
    assert refused(tmp_path, there())[1].asked == []


def test_versions_are_compared_by_number(tmp_path: Path):
    assert (
        refused(tmp_path, there("v1.9.0+1", "v1.9.0+1"), ["v1.10.0+1"], version="v1.10.0+1")[0]
        == []
    )


def test_a_cluster_of_one_node_is_not_upgraded(tmp_path: Path):
    pools = [{**WANTED["pools"][0], "nodes": 1}]
    (told,), _ = refused(tmp_path, there(), ["v1.36.0+1"], version="v1.36.0+1", pools=pools)
    assert "Vultr doesn't upgrade a cluster of one node" in told
    # With a second one that comes in the same `up`, it does.
    pools[0]["nodes"] = 2
    assert refused(tmp_path, there(), ["v1.36.0+1"], version="v1.36.0+1", pools=pools)[0] == []


@pytest.mark.parametrize(("nodes", "refusals"), [(3, 1), (6, 1), (7, 0), (8, 0)])
def test_the_autoscalers_nodes_are_not_taken_away(tmp_path: Path, nodes: int, refusals: int):
    scaled = there(pools=(Pool("p1", "edge", 7, (3, 9)),))
    pools = [{**WANTED["pools"][0], "nodes": nodes}]
    told, _ = refused(tmp_path, scaled, pools=pools)
    assert len(told) == refusals
    for sentence in told:
        assert (
            f"pools[0].nodes: {nodes}: without autoscale this would delete {7 - nodes} of the 7"
            in sentence
        )
        assert "Say `nodes: 7`" in sentence


def state(**resources: tuple[str, dict[str, Any]]) -> StackState:
    return StackState(
        {
            f"urn:pulumi:us::edgefleet::x${kind}::{name.replace('_', '-')}": outputs
            for name, (kind, outputs) in resources.items()
        }
    )


MADE = state(
    us=(VKE, {"clusterId": "c1"}),
    us_cluster=(CLUSTER, {"version": "v1.34.0+1"}),
    us_version=(VERSION, {"version": NOW}),
    us_pool_old=(POOL, {}),
    us_dns_n1_a=(RECORD, {}),
    us_dns_n1_aaaa=(RECORD, {}),
    us_dns_n7_a=(RECORD, {}),
)


def test_a_survey(tmp_path: Path):
    project = copy_project(tmp_path)
    stack, vultr = region_stack(project), Vultr()
    vultr.listed = [
        {"id": "c0", "label": "edgefleet-eu"},
        {"id": "c1", "label": "edgefleet-us"},
        {"id": "c2", "label": "edgefleet-us"},
    ]
    found = survey(stack, MADE, lambda: vultr)  # pyright: ignore[reportArgumentType]
    assert found.cluster
    assert found.cluster.id == "c1"
    assert found.version == NOW
    assert set(found.published) == {"n1", "n7"}
    assert list(found.leaving) == ["old"]
    assert list(found.twins) == [("c2", "c2 (empty)")]
    assert vultr.asked == ["clusters"]
    (told,) = live_warnings(stack, load(project), found)
    assert "Vultr has another cluster labelled 'edgefleet-us' besides this stack's: c2" in told
    assert "clusters/c2/delete-with-linked-resources" in told


def test_a_first_survey_asks_nobody(tmp_path: Path):
    def nobody() -> Any:
        raise AssertionError("asked")

    assert survey(region_stack(copy_project(tmp_path)), StackState({}), nobody) == Survey()


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({}, "Worker sends visitors to apac, eu"),
        ({"us-2": {}}, "Meanwhile us-2 carry us.example.com"),
        ({"us-2": {"drain": True}}, "Worker sends visitors to apac, eu"),
    ],
)
def test_what_an_upgrade_does_is_said_before(
    tmp_path: Path, others: dict[str, dict[str, Any]], sentence: str
):
    project = copy_project(tmp_path)
    write_stack(project, "us", region(version="v1.36.0+1"))
    for name, more in others.items():
        write_stack(project, name, {**region(location="ord"), **more})
    inventory = load(project, current="us")
    stack: Any = inventory.stacks["us"]
    (told,) = live_warnings(stack, inventory, there())
    assert told.startswith(
        "cluster edgefleet-us: the upgrade v1.35.5+1 → v1.36.0+1 makes its 3 nodes anew, with "
        "other addresses. Records of new nodes come as each is ready"
    )
    assert sentence in told


def test_the_only_cluster_is_off_the_air_meanwhile(tmp_path: Path):
    project = copy_project(tmp_path)
    for name in ("eu", "apac"):
        (project / f"Pulumi.{name}.yaml").unlink()
    write_stack(project, "us", region(version="v1.36.0+1"))
    inventory = load(project, current="us")
    stack: Any = inventory.stacks["us"]
    (told,) = live_warnings(stack, inventory, there())
    assert "There is no other cluster and no other region: while no node is ready, the site" in told
