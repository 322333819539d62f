"""docs/operations.md, walked from a resize to a cluster that is gone: each step stands on the one
before. In a sandbox of its own, which ages."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fleet.fleet import COLD, Fleet, kill_when
from tests.fleet.walking import blocks, walk
from tests.projects import ROOT

HOST = "us.example.com"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


def page(fleet: Fleet, heading: str) -> str:
    """Walk a section; what it printed."""
    return "".join(walk(fleet, block) for block in blocks("operations.md", heading))


def section(heading: str) -> str:
    """The section's text, whose heading starts so."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (found,) = (each for each in text.split("\n## ") if each.startswith(heading))
    return found


def state(fleet: Fleet) -> Path:
    """The folder that the stacks' states are kept in."""
    return Path(urlsplit(fleet.environment["PULUMI_BACKEND_URL"]).path)


def published(fleet: Fleet) -> bool:
    """Whether the live nodes have records, and nobody else."""
    return sorted(fleet.records(HOST).values()) == fleet.addresses("us")


def control(fleet: Fleet, what: str, **body: Any) -> None:
    fleet.vultr("POST", f"/_sandbox/clusters/{fleet.cluster('us')['id']}/{what}", body)


def sizes(fleet: Fleet) -> dict[str, int]:
    return {p["label"]: len(p["nodes"]) for p in fleet.cluster("us")["node_pools"]}


def order(told: str, *lines: str) -> bool:
    """Whether these stand in this order, each for the first time."""
    places = [told.index(line) for line in lines]
    return places == sorted(places)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Only us is up."""
    made = Fleet.make(tmp_path_factory.mktemp("operations"))
    try:
        made.vultr("PUT", "/_sandbox/settings", {"firewall_delay_seconds": 15})
        # Linked late, the group is waited for: tests/components/cluster/test_live_nodes.py.
        made.up("us")[0].require()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def resized(fleet: Fleet) -> Fleet:
    page(fleet, "Resize a pool")
    return fleet


@pytest.fixture(scope="module")
def upgraded(resized: Fleet) -> tuple[Fleet, str]:
    """And what the upgrade printed."""
    resized.vultr("PUT", "/_sandbox/settings", {"upgrade_node_seconds": 5})
    told = page(resized, "Upgrade")
    resized.vultr("PUT", "/_sandbox/settings", {"upgrade_node_seconds": 0})
    return resized, told


@pytest.fixture(scope="module")
def replaced(upgraded: tuple[Fleet, str]) -> Fleet:
    page(upgraded[0], "Replace a plan")
    return upgraded[0]


@pytest.fixture(scope="module")
def removed(replaced: Fleet) -> tuple[Fleet, str]:
    """And what the removal printed. One pod stands there that has to move."""
    before = replaced.nodes("us")
    return replaced, page(replaced, "Remove a pool") + str(len(before))


@pytest.fixture(scope="module")
def rotated(removed: tuple[Fleet, str]) -> Fleet:
    fleet = removed[0]
    control(fleet, "rotate")
    page(fleet, "Rotate the kubeconfig")
    return fleet


def test_a_pool_is_resized_and_settles(resized: Fleet):
    assert sizes(resized) == {"edge": 4}
    assert published(resized)
    resized.preview("us", "--expect-no-changes", "--refresh").require()


def test_records_of_new_nodes_come_while_the_upgrade_goes_on(upgraded: tuple[Fleet, str]):
    fleet, told = upgraded
    ids = {node["id"] for node in fleet.nodes("us")}
    coming = [f"us-dns-{node}-a created" for node in ids]
    first = min(coming, key=told.index)
    assert order(told, first, "ClusterVersion us-version updated", "-a deleted")
    assert published(fleet)


def test_a_plan_is_replaced(replaced: Fleet):
    assert sizes(replaced) == {"edge": 1, "big": 2}
    assert published(replaced)


def test_a_pool_goes_after_its_nodes_were_emptied(removed: tuple[Fleet, str]):
    fleet, told = removed
    gone = told[told.rindex("Updating (us)") :] if "Updating (us)" in told else told
    assert order(gone, "-aaaa deleted", "us-pool-big-drain deleting", "us-pool-big deleting")
    assert sizes(fleet) == {"edge": 2}
    assert published(fleet)


def test_a_rotated_kubeconfig_is_stored_everywhere(rotated: Fleet):
    assert rotated.kubernetes("us", "/api/v1/nodes")["items"]
    rotated.preview("us", "--expect-no-changes", "--refresh").require()


def test_what_keeps_vultr_from_upgrading_is_told_before(rotated: Fleet):
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "pg"}}}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": spec}
    rotated.kubernetes("us", BUDGETS, {**budget, "metadata": {"name": "pg"}})
    kept = (rotated.project / "Pulumi.us.yaml").read_text()
    versions = ["v1.37.0+1", "v1.36.2+1", "v1.35.5+1"]
    rotated.vultr("PUT", "/_sandbox/settings", {"versions": versions})
    pool = {"label": "edge", "plan": "vc2-2c-4gb", "nodes": 1}
    rotated.change("us", version="v1.37.0+1", pools=[pool])
    ran = rotated.preview("us")
    assert ran.code != 0
    for sentence in (
        "cluster.version: PodDisruptionBudget default/pg allows no disruption now, and Vultr",
        "cluster.version: Vultr doesn't upgrade a cluster of one node",
    ):
        assert sentence in ran.output
    rotated.kubernetes("us", f"{BUDGETS}/pg", method="DELETE")
    (rotated.project / "Pulumi.us.yaml").write_text(kept)


def test_vultr_upgrades_by_itself_and_then_shows_no_version(rotated: Fleet):
    control(rotated, "upgrade", version="v1.37.0+1")
    ran = rotated.preview("us")
    while "would go, but Vultr" in ran.output or ran.code == 0:
        ran = rotated.preview("us")
    assert "Vultr has upgraded cluster edgefleet-us to v1.37.0+1 by itself" in ran.output
    rotated.change("us", version="v1.37.0+1")
    rotated.up("us")[0].require()
    assert published(rotated)
    control(rotated, "lose-version")
    rotated.preview("us", "--expect-no-changes", "--refresh").require()
    rotated.change("us", version="v1.38.0+1")
    assert "Vultr shows no version for cluster edgefleet-us" in rotated.preview("us").output
    rotated.change("us", version="v1.37.0+1")
    control(rotated, "lose-version", lost=False)


def test_a_killed_engine_leaves_a_lock_that_goes(rotated: Fleet):
    kill_when(rotated.command("us", "up", "--yes", "--skip-preview", **COLD), ("Updating (us)",))
    refused = rotated.pulumi("us", "up", "--yes", "--skip-preview")
    assert refused.code != 0
    (told,) = re.findall(r"^error: the stack is.*", section("A stack that is locked"), re.M)
    assert told in refused.output
    page(rotated, "A stack that is locked")


def test_a_torn_state_is_mended_and_a_lost_one_made_anew(rotated: Fleet):
    folder = state(rotated)
    stack = folder / ".pulumi" / "stacks" / "edgefleet" / "us.json"
    torn, cut, lost = blocks("operations.md", "A state that is torn, or lost")
    variables = {"STATE": str(folder), "PULUMI_BACKEND_URL": f"file://{folder}"}
    machines = rotated.addresses("us")

    rotated.pulumi("us", "up", "--yes", "--skip-preview", **variables).require()
    attributes = stack.with_name("us.json.attrs")
    assert attributes.stat().st_size > 0, "kept in files, without ?metadata=skip"
    attributes.write_text("")
    refused = rotated.pulumi("us", "preview", **variables)
    (told,) = re.findall(r"^error: failed.*", section("A state that is torn, or lost"), re.M)
    assert told in refused.output
    walk(rotated, torn, **variables)
    for beside in stack.parent.glob("us.json*.attrs"):
        beside.unlink()

    stack.write_text("")
    assert "unexpected end of JSON input" in rotated.pulumi("us", "preview").output
    walk(rotated, cut, STATE=str(folder))

    for file in stack.parent.glob("us.json*"):
        file.unlink()
    assert "no stack named 'us' found" in rotated.pulumi("us", "preview").output
    walk(rotated, lost)
    assert len(rotated.clusters("edgefleet-us")) == 1
    assert rotated.addresses("us") == machines
    assert published(rotated)


@pytest.fixture(scope="module")
def gone(rotated: Fleet) -> Iterator[Fleet]:
    """The cluster is deleted at Vultr. The emulated Kubernetes plugin has the environment of the
    sandbox, where the real one has that of the command."""
    rotated.vultr("DELETE", f"/v2/kubernetes/clusters/{rotated.cluster('us')['id']}")
    told = rotated.preview("us").output
    assert "`PULUMI_K8S_DELETE_UNREACHABLE=true pulumi refresh` takes out of the state" in told
    rotated.stop()
    os.environ["PULUMI_K8S_DELETE_UNREACHABLE"] = "true"
    try:
        rotated.start()
        # Only the walked command is to have it.
        del rotated.environment["PULUMI_K8S_DELETE_UNREACHABLE"]
        yield rotated
    finally:
        del os.environ["PULUMI_K8S_DELETE_UNREACHABLE"]


def test_a_cluster_that_is_gone_is_made_anew(gone: Fleet):
    page(gone, "A cluster that is gone")
    assert len(gone.clusters("edgefleet-us")) == 1
    assert published(gone)


def test_or_what_is_left_of_it_goes(gone: Fleet):
    gone.vultr("DELETE", f"/v2/kubernetes/clusters/{gone.cluster('us')['id']}")
    forget = {"PULUMI_K8S_DELETE_UNREACHABLE": "true"}
    gone.pulumi("us", "refresh", "--yes", **forget).require()
    gone.pulumi("us", "state", "unprotect", "--all", "--yes").require()
    gone.pulumi("us", "destroy", "--yes", "--skip-preview").require()
    assert gone.records(HOST) == {}
