"""`up` waits for what it changes, and for nothing that somebody else has done to a cluster. Each
test leaves eu as it found it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet.fleet import Fleet

HOST = "eu.example.com"
CALICO = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
EDGE = {"label": "edge", "plan": "vc2-2c-4gb"}


def pool(fleet: Fleet) -> str:
    cluster = fleet.cluster("eu")
    return f"/v2/kubernetes/clusters/{cluster['id']}/node-pools/{cluster['node_pools'][0]['id']}"


def control(fleet: Fleet, what: str, **body: Any) -> None:
    fleet.vultr("POST", f"/_sandbox/clusters/{fleet.cluster('eu')['id']}/{what}", body)


def until_active(fleet: Fleet, count: int) -> None:
    """Until the API lists so many nodes of eu, all active."""
    deadline = time.monotonic() + 60
    while [node["status"] for node in fleet.nodes("eu")] != ["active"] * count:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def published(fleet: Fleet) -> bool:
    return sorted(fleet.records(HOST).values()) == fleet.addresses("eu")


def up(fleet: Fleet, *options: str) -> str:
    return fleet.pulumi("eu", "up", "--yes", "--skip-preview", *options).require().output


@pytest.fixture
def eu(fleet: Fleet) -> Iterator[Fleet]:
    """Three nodes of its own size, before and after: by itself."""
    yield fleet
    fleet.restore()
    fleet.healthy()
    fleet.preview("eu", "--expect-no-changes").require()
    assert len(fleet.nodes("eu")) == 3
    assert published(fleet)


@pytest.fixture
def mended(fleet: Fleet) -> Iterator[Fleet]:
    """Three nodes of its own size, before; and after, whatever a test leaves of it."""
    yield fleet
    fleet.restore()
    fleet.healthy()
    up(fleet, "--refresh")
    until_active(fleet, 3)
    if not published(fleet):
        # A node that came since.
        up(fleet)
    fleet.preview("eu", "--expect-no-changes").require()
    assert published(fleet)


def test_a_pool_that_somebody_resized_holds_nobody_up(mended: Fleet):
    mended.vultr("PATCH", pool(mended), {"node_quantity": 4})
    until_active(mended, 4)
    assert mended.steps("eu").keys() == {"create"}
    told = up(mended)
    assert "waiting" not in told
    assert published(mended)
    # A refresh sees what was done, and `up` would undo it.
    shown = mended.preview("eu", "--refresh").require().output
    assert "~ nodes     : 4 => 3" in shown


def test_a_size_that_is_not_applied_is_not_waited_for(eu: Fleet):
    eu.change("eu", pools=[{**EDGE, "nodes": 4}])
    target = "urn:pulumi:eu::edgefleet::edgefleet:index:OriginTls$tls:index/privateKey:PrivateKey"
    told = up(eu, "--target", f"{target}::eu-tls-key")
    assert "waiting" not in told
    assert len(eu.nodes("eu")) == 3


def test_a_broken_node_loses_its_records_and_holds_nobody_up(mended: Fleet):
    broken = mended.nodes("eu")[0]
    control(mended, "break", node=broken["id"])
    shown = mended.preview("eu").require().output
    sentence = f"without records, as they can't serve: {broken['label']} (pending)"
    assert sentence in shown
    assert "records follow" not in shown
    told = up(mended)
    assert sentence in told
    assert "waiting" not in told
    assert len(mended.records(HOST)) == 4
    mended.vultr("POST", f"{pool(mended)}/nodes/{broken['id']}/recycle")


def test_an_answer_without_addresses_takes_no_records(eu: Fleet):
    before = eu.records(HOST)
    nobody = {"instances": [], "meta": {"total": 0, "links": {"next": "", "prev": ""}}}
    eu.faulty(
        "vultr",
        {
            "match": {"method": "GET", "path_regex": r"^/v2/instances\?"},
            "action": "status",
            "status": 200,
            "body": nobody,
        },
    )
    for ran in (eu.preview("eu"), eu.pulumi("eu", "up", "--yes", "--skip-preview")):
        assert ran.code != 0
        assert "the records of 3 of 3 nodes would go, but Vultr still has these" in ran.output
        assert "say `acceptLoss: true`" in ran.output
    assert eu.records(HOST) == before
    eu.change("eu", acceptLoss=True)
    assert len(eu.steps("eu")["delete"]) == 6


def test_the_autoscalers_nodes_stay(mended: Fleet):
    scaled = {**EDGE, "nodes": 3}
    mended.change("eu", pools=[{**scaled, "autoscale": {"min": 2, "max": 5}}])
    up(mended)
    control(mended, "autoscale", pool="edge", nodes=5)
    until_active(mended, 5)
    up(mended)
    assert published(mended)
    # Other bounds, and a refresh before: nobody goes.
    mended.change("eu", pools=[{**scaled, "autoscale": {"min": 2, "max": 6}}])
    up(mended, "--refresh")
    assert len(mended.nodes("eu")) == 5
    (found,) = mended.cluster("eu")["node_pools"]
    assert (found["auto_scaler"], found["min_nodes"], found["max_nodes"]) == (True, 2, 6)
    mended.preview("eu", "--expect-no-changes", "--refresh").require()
    # Switched off, it stays as it is; only a size that is said makes it smaller.
    mended.restore()
    assert (
        "would delete 2 of the 5 nodes that the autoscaler has made" in mended.preview("eu").output
    )
    mended.change("eu", pools=[{**EDGE, "nodes": 5}])
    up(mended)
    assert len(mended.nodes("eu")) == 5


def test_a_plain_up_puts_back_what_somebody_wrote_over(eu: Fleet):
    env = [{"name": "FELIX_BPFENABLED", "value": "false"}]
    containers = [{"name": "calico-node", "env": env}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    merge = "application/strategic-merge-patch+json"
    eu.kubernetes("eu", CALICO, patch, "PATCH", merge)
    shown = eu.preview("eu").require().output
    assert "FELIX_BPFENABLED is 'false', not 'true'" in shown
    up(eu)
    (node,) = [
        c
        for c in eu.kubernetes("eu", CALICO)["spec"]["template"]["spec"]["containers"]
        if c["name"] == "calico-node"
    ]
    assert {"name": "FELIX_BPFENABLED", "value": "true"} in node["env"]


@pytest.mark.parametrize("status", [422, 500])
def test_an_upgrade_that_vultr_refuses_ends_with_the_cause(eu: Fleet, status: int):
    eu.faulty(
        "vultr",
        {
            "match": {"method": "POST", "path_regex": "/upgrades$"},
            "action": "status",
            "status": status,
            "body": {"error": "Cluster upgrade failed:", "status": status},
            "times": 1,
        },
    )
    eu.change("eu", version="v1.36.2+1")
    ran = eu.pulumi("eu", "up", "--yes", "--skip-preview")
    assert ran.code != 0
    assert "cluster edgefleet-eu isn't upgraded to v1.36.2+1: Vultr answered POST" in ran.output
    assert "Cluster upgrade failed:" in ran.output
    # The line is taken back, and nothing is left to do: see the fixture.
