"""What happens to a cluster's nodes, and who serves meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from components.cluster.drained_pool import POOL_LABEL
from infra.fleet.reading import load
from infra.pins.catalog import catalog
from infra.state.resource_types import DAEMON_SET, POOL, VERSION
from ops.render.meaning import meaning, upgraded_stacks
from ops.render.resources import Registered, Rendering
from tests.ops.render.meaning.made import cluster, rendering, resource
from tests.projects import copy_project, region, write_stack

OLD, NEW = "v1.35.5+1", "v1.36.2+1"
OTHERS = ("apac", "eu")
LAST_ONE = (
    ": while it is restarted or replaced this cluster serves nobody, its pods have no other node "
    "to go to, and Vultr doesn't upgrade a cluster of one node"
)


def version(said: str) -> Registered:
    return resource(VERSION, "us-version", version=said)


def further(label: str, nodes: int, **more: Any) -> Registered:
    inputs = {"label": label, "nodeQuantity": nodes, "plan": "vc2-2c-4gb", **more}
    return resource(POOL, f"us-pool-{label}", **inputs)


def scaling(least: int, most: int) -> dict[str, Any]:
    return {"autoScaler": True, "minNodes": least, "maxNodes": most}


def ingress(*not_on: str) -> Registered:
    expression = {"key": POOL_LABEL, "operator": "NotIn", "values": list(not_on)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]} if not_on else {}
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    pod = {"affinity": {"nodeAffinity": {key: required}}}
    return resource(DAEMON_SET, "us-ingress-controller", spec={"template": {"spec": pod}})


def said(
    project: Path, before: Rendering | None, after: Rendering | None, **more: Any
) -> list[str]:
    fleet = {"inventory": load(project), "prices": catalog(), "cloudflare": ()}
    return meaning("us", before, after, **{**fleet, **more})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            [cluster(3)],
            [cluster(2)],
            [
                "Pool edge shrinks from 3 to 2 nodes: Vultr chooses the one to delete and drains "
                "nothing, so what runs there is cut off. Its records go in the same `up`"
            ],
        ),
        (
            [cluster(3)],
            [cluster(1)],
            [
                "Pool edge shrinks from 3 to 1 node: Vultr chooses the 2 to delete and drains "
                "nothing, so what runs there is cut off. Its records go in the same `up`",
                f"One node is left{LAST_ONE}",
            ],
        ),
        (
            [cluster(3)],
            [cluster(5)],
            ["Pool edge grows from 3 to 5 nodes: 4 records follow (A and AAAA) as these are ready"],
        ),
        ([cluster(1)], [cluster(1)], []),
        (
            [cluster(1), further("big", 2)],
            [cluster(1)],
            [
                "Pool big goes: first its nodes' records, then its pods are evicted (DaemonSets' "
                "stay), then Vultr deletes its 2 nodes",
                f"One node is left{LAST_ONE}",
            ],
        ),
        ([cluster(1)], [cluster(1), further("big", 2)], ["Pool big is new: 2 nodes"]),
        (
            [cluster(3)],
            [cluster(3, **scaling(1, 5))],
            [
                "Pool edge, 3 nodes → 1 to 5 nodes: the autoscaler may take it down to 1 node",
                f"One node may be left{LAST_ONE}",
            ],
        ),
        ([cluster(3, **scaling(2, 5))], [cluster(3, **scaling(2, 8))], []),
        (
            [cluster(3, **scaling(2, 5))],
            [cluster(3)],
            [
                "Pool edge no longer scales itself: it gets 3 nodes, and `pulumi up` refuses that "
                "where the autoscaler has made more"
            ],
        ),
        (
            [cluster(1), further("apps", 2), ingress()],
            [cluster(1), further("apps", 2), ingress("apps")],
            [
                "Pool apps serves no more: its nodes lose their records, and the ingress",
                "One node is left that serves: while it is restarted or replaced this cluster "
                "serves nobody",
            ],
        ),
        (
            [cluster(1), further("apps", 3), ingress("apps")],
            [cluster(1), further("apps", 2), ingress("apps")],
            [
                "Pool apps shrinks from 3 to 2 nodes: Vultr chooses the one to delete and drains "
                "nothing, so what runs there is cut off"
            ],
        ),
        (
            [cluster(3)],
            [cluster(3, protect=False)],
            [
                "Protection is taken off: from then on `pulumi destroy`, or a change that replaces "
                "it, deletes the cluster with its 3 nodes and everything in it"
            ],
        ),
        ([cluster(3, protect=False)], [cluster(3)], []),
    ],
)
def test_nodes_and_protection(
    before: list[Registered], after: list[Registered], expected: list[str], project: Path
):
    assert said(project, rendering(*before), rendering(*after)) == expected


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_what_is_the_same_means_nothing(nodes: int, project: Path):
    same = rendering(cluster(nodes), version(OLD), ingress("apps"))
    assert said(project, same, same) == []


def upgraded(nodes: int = 3) -> tuple[Rendering, Rendering]:
    return rendering(cluster(3), version(OLD)), rendering(cluster(nodes), version(NEW))


ANEW = (
    f"The upgrade {OLD} → {NEW} makes its 3 nodes anew, with other addresses. Records of new nodes "
    "come as each is ready, those of old ones go at the end"
)


def test_an_upgrade_says_who_carries_the_site(project: Path):
    anew, meanwhile = said(project, *upgraded(), upgraded=["us"])
    assert anew == ANEW
    assert meanwhile.startswith("While none is ready the Worker sends visitors to apac, eu;")


def test_or_that_another_cluster_of_the_region_does(project: Path):
    write_stack(project, "us-2", region("us", location="ord"))
    assert said(project, *upgraded(), upgraded=["us"])[1] == "Meanwhile us-2 carry us.example.com"


def test_or_that_nobody_does(project: Path):
    for name in OTHERS:
        (project / f"Pulumi.{name}.yaml").unlink()
    assert "the site is off the air" in said(project, *upgraded(), upgraded=["us"])[1]


def test_a_drain_of_the_same_change_comes_late(project: Path):
    write_stack(project, "us", {**region(), "drain": True})
    assert said(project, *upgraded(), upgraded=["us"])[1] == "It drains, so nobody waits for it"
    late = said(project, *upgraded(), upgraded=["us"], visited=["apac", "us"])[1]
    assert late.startswith("It drains with the same change")
    assert "edge stack's `pulumi up`" in late


def test_all_at_once_leave_nobody(project: Path):
    (_, together) = said(project, *upgraded(), upgraded=["us", *OTHERS])
    assert together.startswith("One change upgrades apac, eu, us, and no other cluster serves")
    (_, together) = said(project, *upgraded(), upgraded=["us", "eu"])
    assert together == "One change upgrades eu, us: meanwhile apac serve visitors"


def test_a_cluster_of_one_node_is_not_upgraded(project: Path):
    found = said(project, *upgraded(nodes=1), upgraded=["us"])
    assert any(each.startswith("Vultr doesn't upgrade a cluster of one node") for each in found)


def test_a_version_does_not_go_back(project: Path):
    before, after = upgraded()
    assert said(project, after, before) == [
        f"The version goes back, {NEW} → {OLD}. VKE doesn't: `pulumi up` refuses it where the "
        f"cluster has {NEW} already"
    ]
    assert upgraded_stacks({"us": after}, {"us": before, "eu": after}) == frozenset()
    assert upgraded_stacks({"us": before}, {"us": after}) == {"us"}


def test_another_cluster_is_neither_upgraded_nor_resized(project: Path):
    before, after = upgraded(nodes=1)
    urn = cluster().urn
    assert said(project, before, after, replaced=[urn]) == [
        "This deletes the cluster with its 3 nodes and everything in it, and makes another"
    ]


def test_a_stack_that_comes_and_one_that_goes(project: Path):
    made = rendering(cluster(3), further("apps", 2, **scaling(1, 4)))
    assert said(project, None, made) == [
        "Starts a new cluster in ewr: 3 nodes of plan vc2-2c-4gb, 1 to 4 nodes of plan vc2-2c-4gb, "
        "$80.00 a month at least"
    ]
    (gone,) = said(project, made, None)
    assert gone.startswith("A file that goes deletes nothing: its 2 resources stay")
    assert "`pulumi destroy --stack us`" in gone


def test_a_cluster_that_drains_leaves_its_host_name_to_the_others(project: Path):
    following = rendering(
        cluster(), messages=["us.example.com: 6 records follow (A and AAAA for 3 nodes) once …"]
    )
    silent = rendering(cluster())
    # Alone it keeps its records: the Worker sends nobody there.
    write_stack(project, "us", {**region(), "drain": True})
    assert said(project, following, silent) == []
    write_stack(project, "us-2", region("us", location="ord"))
    assert said(project, following, silent) == [
        "Its nodes' records leave us.example.com: us-2 carry it"
    ]
    write_stack(project, "us", region())
    assert said(project, silent, following) == ["Its nodes join us.example.com again, beside us-2"]
