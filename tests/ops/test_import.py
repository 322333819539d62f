"""`fleet import` on the sandbox's cloud, filled by plain API calls as a person's clicks would."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ops.cli import app
from tests.fleet.fleet import ZONE, Fleet
from tests.projects import git

LABEL = "prod-newark"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A sandbox whose Vultr has one cluster with a pool more, made by hand, and no stack for it."""
    made = Fleet.make(tmp_path_factory.mktemp("import"))
    try:
        for name in ("us", "eu", "apac"):
            (made.project / f"Pulumi.{name}.yaml").unlink()
        git(made.project, "add", "-A")
        git(made.project, "commit", "-qm", "no region yet")
        by_hand(made)
        yield made
    finally:
        made.stop()


def cluster(fleet: Fleet) -> dict[str, Any]:
    (found,) = fleet.clusters(LABEL)
    # By its id: only such answers count towards becoming active.
    return fleet.vultr("GET", f"/v2/kubernetes/clusters/{found['id']}")["vke_cluster"]


def by_hand(fleet: Fleet) -> None:
    web = {"label": "web", "plan": "vc2-2c-4gb", "node_quantity": 2, "tag": "tf-vke-default"}
    fleet.vultr(
        "POST",
        "/v2/kubernetes/clusters",
        {
            "label": LABEL,
            "region": "ewr",
            "version": "v1.35.5+1",
            "enable_firewall": True,
            "node_pools": [web],
        },
    )
    batch = {"label": "batch", "plan": "vc2-4c-8gb", "node_quantity": 1}
    path = f"/v2/kubernetes/clusters/{cluster(fleet)['id']}/node-pools"
    fleet.vultr("POST", path, batch)
    deadline = time.monotonic() + 120
    while not settled(found := cluster(fleet)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    for family, anywhere in (("v4", "0.0.0.0"), ("v6", "::")):
        for port in ("80", "443"):
            rule = {
                "ip_type": family,
                "protocol": "tcp",
                "port": port,
                "subnet": anywhere,
                "subnet_size": 0,
                "source": "cloudflare",
                "notes": f"web {port} from Cloudflare",
            }
            fleet.vultr("POST", f"/v2/firewalls/{found['firewall_group_id']}/rules", rule)
    for address, kind in addresses(fleet):
        fleet.cloudflare(
            "POST",
            f"/zones/{ZONE}/dns_records",
            {
                "type": kind,
                "name": "us.example.com",
                "content": address,
                "proxied": True,
                "ttl": 1,
            },
        )


def settled(found: dict[str, Any]) -> bool:
    nodes = [node for pool in found["node_pools"] for node in pool["nodes"]]
    return (
        found["status"] == "active"
        and bool(found["firewall_group_id"])
        and len(nodes) == 3
        and all(node["status"] == "active" for node in nodes)
    )


def addresses(fleet: Fleet) -> list[tuple[str, str]]:
    ids = {n["id"] for pool in cluster(fleet)["node_pools"] for n in pool["nodes"]}
    found = fleet.vultr("GET", "/v2/instances?per_page=500")["instances"]
    return [
        (instance[key], kind)
        for instance in found
        if instance["id"] in ids
        for key, kind in (("main_ip", "A"), ("v6_main_ip", "AAAA"))
    ]


def run(fleet: Fleet, *command: str, **environment: str | None) -> Any:
    variables = {**fleet.environment, **environment}
    return CliRunner().invoke(app, [*command, "--dir", str(fleet.project)], env=variables)


@pytest.fixture(scope="module")
def imported(fleet: Fleet) -> list[dict[str, Any]]:
    """The printed script was run; the entries of its list."""
    printed = run(fleet, "import", "us", "--cluster", LABEL)
    assert printed.exit_code == 0, printed.stderr
    done = subprocess.run(
        [str(shutil.which("bash")), "-euo", "pipefail"],
        input=printed.stdout,
        cwd=fleet.project,
        env=fleet.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((fleet.project / "import.us.json").read_text())["resources"]


def test_the_stack_file_says_what_is_there(fleet: Fleet, imported: list[dict[str, Any]]):
    config = yaml.safe_load((fleet.project / "Pulumi.us.yaml").read_text())["config"]
    assert config["edgefleet:region"] == "us"
    assert config["edgefleet:cluster"] == {
        "label": LABEL,
        "location": "ewr",
        "version": "v1.35.5+1",
        "pools": [
            {"label": "web", "plan": "vc2-2c-4gb", "nodes": 2},
            {"label": "batch", "plan": "vc2-4c-8gb", "nodes": 1},
        ],
    }


def test_everything_that_exists_is_imported(fleet: Fleet, imported: list[dict[str, Any]]):
    kinds = [entry["type"].rpartition(":")[2] for entry in imported if "id" in entry]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "DnsRecord": 6,
        "FirewallRule": 4,
        "Kubernetes": 1,
        "KubernetesNodePools": 1,
    }


def test_nothing_of_it_changes_but_the_records_comments(
    fleet: Fleet, imported: list[dict[str, Any]]
):
    shown = fleet.pulumi("us", "preview", "--json").require().output
    steps = json.loads(shown[shown.index("{\n") :])["steps"]
    owned = [
        step
        for step in steps
        if step["urn"].split("::")[2].rpartition("$")[2].startswith(("vultr:", "cloudflare:"))
        and not step["urn"].endswith("-tls-certificate")
    ]
    ops = {(step["urn"].split("::")[2].rpartition(":")[2], step["op"]) for step in owned}
    # A preview may leave out what stays the same.
    assert {each for each in ops if each[1] != "same"} == {("DnsRecord", "update")}
    changed = {path for step in owned for path in step.get("detailedDiff") or {}}
    assert changed == {"comment"}
    others = {step["op"] for step in steps if step not in owned}
    assert others <= {"same", "create"}


def test_up_makes_the_rest_and_recreates_nothing(fleet: Fleet, imported: list[dict[str, Any]]):
    before = cluster(fleet)
    records = set(fleet.records("us.example.com"))
    fleet.up("us")[0].require()
    after = cluster(fleet)
    assert after["id"] == before["id"]
    assert [p["id"] for p in after["node_pools"]] == [p["id"] for p in before["node_pools"]]
    assert set(fleet.records("us.example.com")) == records
    fleet.preview("us", "--expect-no-changes").require()


def test_a_cluster_that_is_not_there(fleet: Fleet):
    result = run(fleet, "import", "eu", "--cluster", "nowhere")
    assert result.exit_code == 2
    assert "Vultr has no cluster 'nowhere'; there are: prod-newark (" in result.stderr


def test_without_credentials(fleet: Fleet):
    result = run(fleet, "import", "eu", "--cluster", LABEL, VULTR_API_KEY=None)
    assert result.exit_code == 2
    assert "No credential for vultr: set VULTR_API_KEY" in result.stderr


def test_a_new_stack_needs_to_know_which_cluster(fleet: Fleet):
    result = run(fleet, "import", "eu")
    assert result.exit_code == 2
    assert "say which cluster it is, --cluster ID_OR_LABEL" in result.stderr


def test_a_cluster_without_a_managed_firewall_is_not_taken_over(fleet: Fleet):
    pool = {"label": "web", "plan": "vc2-2c-4gb", "node_quantity": 1, "tag": "tf-vke-default"}
    made = fleet.vultr(
        "POST",
        "/v2/kubernetes/clusters",
        {"label": "open", "region": "ewr", "version": "v1.35.5+1", "node_pools": [pool]},
    )["vke_cluster"]
    path = f"/v2/kubernetes/clusters/{made['id']}"
    deadline = time.monotonic() + 120
    while fleet.vultr("GET", path)["vke_cluster"]["status"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    result = run(fleet, "import", "eu", "--cluster", "open")
    fleet.vultr("DELETE", path)
    assert result.exit_code == 1
    assert "was made without a managed firewall" in result.stderr


def test_the_edge_takes_its_worker_routes_and_hosts_over(fleet: Fleet):
    """And says what stands in the way of those that it can't."""
    route = {"pattern": "example.com/*", "script": None}
    fleet.cloudflare("POST", f"/zones/{ZONE}/workers/routes", route)
    record = {"type": "A", "name": "api.example.com", "content": "192.0.2.7", "proxied": True}
    fleet.cloudflare("POST", f"/zones/{ZONE}/dns_records", {**record, "ttl": 1})
    result = run(fleet, "import", "edge", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [e["type"].rpartition(":")[2] for e in found["resources"] if "id" in e] == [
        "WorkersRoute"
    ]
    assert any(r.startswith("api.example.com is A 192.0.2.7 now.") for r in found["remarks"])
    assert "edge-script: not there yet; `pulumi up` makes it" in found["remarks"]
