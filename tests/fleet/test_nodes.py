"""Records follow nodes: scaled, recycled, and in clusters beside each other."""

import shutil
import subprocess
import sys
import time
from typing import Any

import yaml

from tests.docs.vultr_rights import Policy, needed
from tests.fleet.fleet import COMMAND_SECONDS, Fleet, Ran
from tests.projects import ROOT, git


def test_a_pool_that_grows_gets_its_records_in_the_same_up(fleet: Fleet):
    fleet.change("eu", pools=[{"label": "edge", "plan": "vc2-2c-4gb", "nodes": 4}])
    preview = fleet.preview("eu").require().output
    assert "eu.example.com: 2 records follow (A and AAAA for 1 node)" in preview
    (ran,) = fleet.up("eu")
    assert "cluster edgefleet-eu: waiting for 1 of 4 nodes of pool edge" in ran.require().output
    addresses = fleet.addresses("eu")
    assert len(addresses) == 8
    assert sorted(fleet.records("eu.example.com").values()) == addresses
    fleet.preview("eu", "--expect-no-changes", "--refresh").require()

    fleet.restore()
    fleet.up("eu")[0].require()
    assert len(fleet.addresses("eu")) == 6
    assert sorted(fleet.records("eu.example.com").values()) == fleet.addresses("eu")


def test_a_recycled_node_shows_as_one_pair_going_and_one_coming(fleet: Fleet):
    cluster, before = fleet.cluster("us"), {n["id"] for n in fleet.nodes("us")}
    pool, node = cluster["node_pools"][0]["id"], min(before)
    fleet.vultr(
        "POST", f"/v2/kubernetes/clusters/{cluster['id']}/node-pools/{pool}/nodes/{node}/recycle"
    )
    deadline = time.monotonic() + 60
    while len(fleet.addresses("us")) != 6 or node in {n["id"] for n in fleet.nodes("us")}:
        assert time.monotonic() < deadline, "the node was not recycled"
        time.sleep(0.2)
    while any(n["status"] != "active" for n in fleet.nodes("us")):
        assert time.monotonic() < deadline, "the new node did not start"
        time.sleep(0.2)
    (new,) = {n["id"] for n in fleet.nodes("us")} - before

    assert fleet.steps("us") == {
        "create": [f"us-dns-{new}-a", f"us-dns-{new}-aaaa"],
        "delete": [f"us-dns-{node}-a", f"us-dns-{node}-aaaa"],
    }
    fleet.vultr("DELETE", "/_sandbox/requests")
    # An answer that lacks the nodes is no reason to delete: their machines are there.
    fleet.faulty("vultr", truncated())
    before = fleet.records("us.example.com")
    ran = reconcile(fleet, "us")
    assert ran.code == 2, ran.output
    assert "us: FAILED: the preview failed: cluster edgefleet-us: the records of " in ran.output
    assert fleet.records("us.example.com") == before
    fleet.healthy()

    ran = reconcile(fleet, "us").require()
    assert "us: 1 node came (" in ran.output
    assert "), 1 node went (" in ran.output
    assert "): 2 records made, 2 records deleted" in ran.output
    assert sorted(fleet.records("us.example.com").values()) == fleet.addresses("us")
    kept = fleet.records("us.example.com").items() & before.items()
    assert len(kept) == 4
    assert reconcile(fleet, "us").require().output == "us: nothing to do\n"
    log = fleet.vultr("GET", "/_sandbox/requests")["requests"]
    rights = {needed(each["method"], each["path"]) for each in log} - {None}
    assert rights <= Policy.read("vultr-read").actions
    fleet.preview("us", "--expect-no-changes").require()


def truncated() -> dict[str, Any]:
    """Vultr answers that the account has no machine; asked for one by its id, it has it."""
    body = {"instances": [], "meta": {"total": 0, "links": {"next": "", "prev": ""}}}
    match = {"path_regex": r"^/v2/instances\?"}
    return {"match": match, "action": "status", "status": 200, "body": body}


def reconcile(fleet: Fleet, stack: str) -> Ran:
    """As somebody types it in the project."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", "from ops.cli import main; main()", "reconcile", stack],
        cwd=fleet.project,
        env={**fleet.environment, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    return Ran(ran.returncode, ran.stdout + ran.stderr)


def test_a_new_cluster_is_a_new_stack_file(fleet: Fleet):
    others = {name: fleet.records(f"{name}.example.com") for name in ("us", "eu")}
    config = yaml.safe_load((fleet.project / "Pulumi.us.yaml").read_text())
    config["config"]["edgefleet:cluster"]["location"] = "ord"
    path = fleet.project / "Pulumi.us-2.yaml"
    path.write_text(yaml.safe_dump(config))
    try:
        fleet.reload()
        fleet.up("us-2")[0].require()
        git(fleet.project, "add", path.name)
        fleet.up("edge")[0].require()
        assert fleet.addresses("us", "us-2") == sorted(fleet.records("us.example.com").values())
        assert len(fleet.records("us.example.com")) == 12
        fleet.preview("us", "--expect-no-changes").require()

        fleet.pulumi("us-2", "state", "unprotect", "--all", "--yes").require()
        fleet.pulumi("us-2", "destroy", "--yes", "--skip-preview").require()
        assert fleet.clusters("edgefleet-us-2") == []
        assert fleet.records("us.example.com") == others["us"]
        assert fleet.records("eu.example.com") == others["eu"]
    finally:
        git(fleet.project, "rm", "-q", "--cached", "--ignore-unmatch", path.name)
        path.unlink()
        shutil.rmtree(fleet.project / ".pulumi", ignore_errors=True)
    fleet.up("edge")[0].require()
