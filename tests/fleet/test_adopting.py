"""docs/adopting.md, walked: its commands as they stand there, and what they print.

In a sandbox of its own, whose vendors were filled by plain API calls as a person's clicks would.
Each step is a fixture that stands on the one before.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fleet import by_hand, walking
from tests.fleet.fleet import ZONE, Fleet
from tests.fleet.walking import walk

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="the printed script uses curl, which is not on PATH"
)
WEB = {"label": "web", "plan": "vc2-2c-4gb", "node_quantity": 2}
BATCH = {"label": "batch", "plan": "vc2-4c-8gb", "node_quantity": 1}
HOST = "us.example.com"
SCRIPT = "cloudflare:index/workersScript:WorkersScript"


def blocks(step: int) -> list[str]:
    """The page's blocks with commands, under the heading of a step."""
    return walking.blocks("adopting.md", f"{step}. ")


def steps(fleet: Fleet, stack: str) -> list[dict[str, Any]]:
    """A preview's steps that change something, components and Pulumi's own left out."""
    shown = fleet.pulumi(stack, "preview", "--json").require().output
    found = json.loads(shown[shown.index("{\n") :])["steps"]
    return [step for step in found if step["op"] != "same" and kind(step)]


def kind(step: dict[str, Any]) -> str:
    """What the vendors have: `DnsRecord`; "" for anything else."""
    token = step["urn"].split("::")[2].rpartition("$")[2]
    return token.rpartition(":")[2] if token.startswith(("vultr:", "cloudflare:")) else ""


def changes_of(step: dict[str, Any]) -> set[str]:
    """Inputs that an update changes. Cloudflare's real plugin gives no `detailedDiff`."""
    old, new = (step[state]["inputs"] for state in ("oldState", "newState"))
    return {name for name in {*old, *new} - {"__defaults"} if old.get(name) != new.get(name)}


def vendors(fleet: Fleet) -> dict[str, Any]:
    """What stands at the vendors, as far as a way back could harm it."""
    return {
        "clusters": [
            (c["id"], [p["id"] for p in c["node_pools"]])
            for c in fleet.vultr("GET", "/v2/kubernetes/clusters")["vke_clusters"]
        ],
        "rules": [rules(fleet, label) for label in ("prod-newark", "prod-newark-2")],
        "records": fleet.records(HOST),
        "routes": {r["pattern"]: r["script"] for r in routes(fleet)},
    }


def rules(fleet: Fleet, label: str) -> list[dict[str, Any]]:
    group = by_hand.cluster(fleet, label)["firewall_group_id"]
    return fleet.vultr("GET", f"/v2/firewalls/{group}/rules")["firewall_rules"]


def routes(fleet: Fleet) -> list[dict[str, Any]]:
    return fleet.cloudflare("GET", f"/zones/{ZONE}/workers/routes")["result"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """All of it made by hand, and the repository as it comes."""
    made = Fleet.make(tmp_path_factory.mktemp("adopting"))
    try:
        by_hand.region_by_hand(made, "prod-newark", HOST, [WEB, BATCH])
        by_hand.region_by_hand(made, "prod-newark-2", HOST, [{**WEB, "node_quantity": 1}])
        by_hand.edge_by_hand(made)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def printed(fleet: Fleet) -> Fleet:
    """Steps 1 and 2."""
    for step in (1, 2):
        for block in blocks(step):
            walk(fleet, block)
    return fleet


@pytest.fixture(scope="module")
def taken(printed: Fleet) -> Fleet:
    """Step 3."""
    walk(printed, *blocks(3))
    return printed


@pytest.fixture(scope="module")
def up(taken: Fleet) -> tuple[Fleet, dict[str, Any]]:
    """Steps 4 and 5; and what stood at the vendors before them."""
    before = vendors(taken)
    for step in (4, 5):
        walk(taken, *blocks(step))
    return taken, before


@pytest.fixture(scope="module")
def edge(up: tuple[Fleet, dict[str, Any]]) -> Fleet:
    """Step 6; the record in the way is deleted where the page says so."""
    fleet, _ = up
    look, go = blocks(6)
    walk(fleet, look)
    (standing,) = fleet.records("api.example.com")
    fleet.cloudflare("DELETE", f"/zones/{ZONE}/dns_records/{standing}")
    walk(fleet, go)
    return fleet


def test_printing_changes_nothing(printed: Fleet):
    assert not (printed.project / "Pulumi.us.yaml").exists()
    assert {p.get("tag") for p in by_hand.cluster(printed, "prod-newark")["node_pools"]} == {""}


def test_no_key_stands_in_the_script(printed: Fleet):
    script = (printed.project / "import.us.sh").read_text()
    for name in ("VULTR_API_KEY", "CLOUDFLARE_API_TOKEN"):
        assert printed.environment[name] not in script


def test_the_stack_file_says_what_is_there(taken: Fleet):
    config = yaml.safe_load((taken.project / "Pulumi.us.yaml").read_text())["config"]
    assert config["edgefleet:region"] == "us"
    assert config["edgefleet:cluster"] == {
        "label": "prod-newark",
        "location": "ewr",
        "version": "v1.35.5+1",
        "pools": [
            {"label": "web", "plan": "vc2-2c-4gb", "nodes": 2},
            {"label": "batch", "plan": "vc2-4c-8gb", "nodes": 1},
        ],
    }


def test_everything_that_exists_is_imported(taken: Fleet):
    listed = json.loads((taken.project / "import.us.json").read_text())["resources"]
    kinds = [entry["type"].rpartition(":")[2] for entry in listed if "id" in entry]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "DnsRecord": 6,
        "FirewallRule": 4,
        "Kubernetes": 1,
        "KubernetesNodePools": 1,
    }


def test_cut_off_it_goes_on_where_it_was(taken: Fleet):
    """A record that isn't in the state is imported alone, below what is there. Where nothing is
    missing the script says so: tests/ops/importing."""
    exported = taken.pulumi("us", "stack", "export").require().output
    urns = [r["urn"] for r in json.loads(exported)["deployment"]["resources"]]
    lost = next(urn for urn in urns if urn.endswith("-aaaa"))
    taken.pulumi("us", "state", "delete", lost, "--yes").require()
    told = walk(taken, "$ fleet import us > again.sh\n$ bash again.sh")
    assert f"{lost.rpartition('::')[2]} imported" in told
    assert "already exists" not in told
    assert "FirewallRule us-firewall-cloudflare-443-v4 import" not in told


def test_nothing_imported_changes_but_the_records_comments(taken: Fleet):
    found = steps(taken, "us")
    changed = [s for s in found if s["op"] != "create"]
    assert {(kind(step), step["op"]) for step in changed} == {("DnsRecord", "update")}
    assert {name for step in changed for name in changes_of(step)} == {"comment"}
    created = {kind(step) for step in found if step["op"] == "create"}
    assert created == {"OriginCaCertificate"}


def test_up_recreates_nothing(up: tuple[Fleet, dict[str, Any]]):
    fleet, before = up
    now = vendors(fleet)
    assert {**now, "rules": ()} == {**before, "rules": ()}
    for old, new in zip(before["rules"], now["rules"], strict=True):
        assert all(rule in new for rule in old), "a rule was deleted or made anew"


def test_the_edge_takes_routes_and_hosts_over_and_leaves_the_old_worker(edge: Fleet):
    assert {r["script"] for r in routes(edge)} == {"edgefleet"}
    content = edge.cloudflare("GET", f"/zones/{ZONE}/dns_records?name=api.example.com")["result"]
    assert [(r["type"], r["content"]) for r in content] == [("CNAME", HOST)]
    assert by_hand.has_worker(edge, "router")


def test_the_way_back_forgets_and_deletes_nothing(edge: Fleet):
    before = vendors(edge)
    walk(edge, *blocks(7))
    edge.pulumi("edge", "state", "delete", "--all", "--force", "--yes").require()
    assert vendors(edge) == before


@pytest.fixture(scope="module")
def stateless(edge: Fleet) -> Fleet:
    """A stack of the edge that knows nothing yet, with a Worker and a CNAME that aren't ours."""
    edge.pulumi("edge", "state", "delete", "--all", "--force", "--yes")
    (host,) = edge.records("example.com")
    path = f"/zones/{ZONE}/dns_records/{host}"
    old = {"type": "CNAME", "name": "example.com", "content": "old.example.net", "ttl": 1}
    edge.cloudflare("PUT", path, old)
    return edge


@pytest.mark.parametrize(
    ("options", "worker", "changes"),
    [
        ({}, "WorkersScript", {"bindings", "contentFile", "contentSha256"}),
        ({"deployment": {"percentage": 100}}, "Worker", set[str]()),
    ],
    ids=["script", "versions"],
)
def test_a_worker_of_that_name_is_taken_over_in_place(
    stateless: Fleet, tmp_path: Path, options: dict[str, Any], worker: str, changes: set[str]
):
    edge = {"edgefleet:edge": {"script": "router", **options}}
    file = stateless.project / "Pulumi.edge.yaml"
    kept = file.read_text()
    file.write_text(yaml.safe_dump({"config": edge}))
    try:
        walk(stateless, "$ fleet import edge > import.edge.sh\n$ bash import.edge.sh")
        found = steps(stateless, "edge")
        assert {s["op"] for s in found} <= {"create", "update"}
        by_kind = {kind(step): step for step in found}
        if changes:
            assert by_kind[worker]["op"] == "update"
            assert changes <= changes_of(by_kind[worker])
        else:
            assert by_kind.get(worker, {"op": "update"})["op"] == "update"
        host = next(s for s in found if s["urn"].endswith("DnsRecord::edge-example.com"))
        assert host["op"] == "update"
        assert {"content", "proxied"} <= changes_of(host)
    finally:
        stateless.pulumi("edge", "state", "delete", "--all", "--force", "--yes")
        file.write_text(kept)
