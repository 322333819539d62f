"""`fleet upgrade`, `fleet replace-pool` and `fleet roll` on the sandbox, killed in the middle and
run again. Always are there records, and visitors never go where none leads to a node that lives."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import yaml

from tests.fleet.by_hand import ACCOUNT
from tests.fleet.fleet import COLD, Fleet, Ran, kill_when, lines
from tests.projects import ROOT, git

HOST = "us.example.com"
OLD, TO = "v1.35.5+1", "v1.36.2+1"
UPGRADE = ("upgrade", "us", "--to", TO)
INGRESS = "/apis/apps/v1/namespaces/nginx-ingress/daemonsets/nginx-ingress"
IMAGE = "nginx/nginx-ingress:5.7.0"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """us, eu to carry its visitors, and edge are the whole fleet, and up."""
    made = Fleet.make(tmp_path_factory.mktemp("guided"))
    try:
        git(made.project, "rm", "-q", "Pulumi.apac.yaml")
        for name, nodes in (("us", 2), ("eu", 1)):
            path = made.project / f"Pulumi.{name}.yaml"
            path.write_text(path.read_text().replace("nodes: 3}", f"nodes: {nodes}}}  # kept"))
        git(made.project, "commit", "-qam", "a fleet of two regions")
        for ran in made.up("us", "eu"):
            ran.require()
        made.up("edge")[0].require()
        made.vultr("PUT", "/_sandbox/settings", {"upgrade_node_seconds": 4})
        yield made
    finally:
        made.stop()


def begin(fleet: Fleet, *command: str, **variables: str) -> "subprocess.Popen[str]":
    """The command, as somebody types it in the project."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from ops.cli import main; main()", *command],
        cwd=fleet.project,
        env={**fleet.environment, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(fleet: Fleet, *command: str) -> Ran:
    process = begin(fleet, *command)
    output, _ = process.communicate(timeout=600)
    return Ran(process.returncode, output)


@dataclass
class Asked:
    """What was seen: how many records the region had, ten times a second; how often none led to a
    node that lived while the Worker sent visitors there; and how often one led to a node that was
    gone."""

    records: list[int] = field(default_factory=list[int])
    unserved: int = 0
    dead: int = 0


@contextmanager
def asked(fleet: Fleet, *stacks: str) -> Iterator[Asked]:
    over, seen = threading.Event(), Asked()

    def ask() -> None:
        while not over.wait(0.1):
            # Nodes are three more requests.
            whole = len(seen.records) % 5 == 0
            before = {*fleet.addresses(*stacks)} if whole else set[str]()
            records = {*fleet.records(HOST).values()}
            seen.records.append(len(records))
            if whole:
                # One that came meanwhile is in the second answer only.
                living = before | {*fleet.addresses(*stacks)}
                seen.unserved += not (records & living) and not spared(fleet)
                seen.dead += bool(records - living)

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    try:
        yield seen
    finally:
        over.set()
        asker.join(10)
    assert len(seen.records) > 50
    assert min(seen.records) > 0
    assert seen.unserved == 0


def spared(fleet: Fleet) -> bool:
    """Whether the Worker at Cloudflare sends nobody to us."""
    path = f"/accounts/{ACCOUNT}/workers/scripts/edgefleet/settings"
    bindings = fleet.cloudflare("GET", path)["result"]["bindings"]
    (config,) = (each["json"] for each in bindings if each["name"] == "CONFIG")
    table = json.loads(config) if isinstance(config, str) else config
    return {row["name"]: row["drain"] for row in table["regions"]}["us"]


def published(fleet: Fleet, *stacks: str) -> bool:
    """Whether the live nodes have records, and nobody else."""
    return sorted(fleet.records(HOST).values()) == fleet.addresses(*stacks)


def test_an_upgrade_that_is_killed_goes_on_and_no_visitor_meets_it(fleet: Fleet):
    file = fleet.project / "Pulumi.us.yaml"
    before, old = file.read_text(), {node["id"] for node in fleet.nodes("us")}
    with asked(fleet, "us"):
        told = kill_when(begin(fleet, *UPGRADE, "--yes", **COLD), ["us-dns-", "-a created"])
        assert spared(fleet)
        assert "edgefleet:drain: true  # fleet upgrade\n" in file.read_text()
        again = run(fleet, *UPGRADE, "--yes").require().output
    assert "  1. drain us" in told
    assert "✓ 1. drain us" in again
    assert "✓ 2. fleet doctor" in again
    assert "which was killed: pulumi cancel" in again
    assert "us has v1.36.2+1." in again
    assert not old & {node["id"] for node in fleet.nodes("us")}
    assert published(fleet, "us")
    assert not spared(fleet)
    assert file.read_text() == before.replace(OLD, TO)
    # Which asks for a preview.
    over = run(fleet, *UPGRADE, "--dry-run").require().output
    assert "✓ 3. upgrade" in over
    assert "✓ 5. undrain" in over


def sizes(fleet: Fleet) -> dict[str, int]:
    return {p["label"]: len(p["nodes"]) for p in fleet.cluster("us")["node_pools"]}


def test_a_pool_is_replaced_and_then_the_one_that_took_its_place(fleet: Fleet):
    file = fleet.project / "Pulumi.us.yaml"
    first = ("replace-pool", "us", "edge", "--plan", "vc2-4c-8gb", "--yes")
    with asked(fleet, "us") as seen:
        kill_when(begin(fleet, *first, **COLD), ["us-dns-", "-a created"])
        assert "# fleet replace-pool: edge by edge-2\n" in file.read_text()
        told = kill_when(begin(fleet, *first, **COLD), ["us-pool-edge-settings updating"])
        assert "  1. add pool edge-2" in told
        again = run(fleet, *first).require().output
    assert "✓ 3. drain pool edge" in again
    assert sizes(fleet) == {"edge": 1, "edge-2": 2}
    assert published(fleet, "us")
    assert "nodes: 1}  # kept\n      - {label: edge-2, plan: vc2-4c-8gb, nodes: 2}\n" in (
        file.read_text()
    )
    assert "replace-pool" not in file.read_text()
    assert not [
        node
        for node in fleet.kubernetes("us", "/api/v1/nodes")["items"]
        if node["spec"].get("unschedulable")
    ]
    second = ("replace-pool", "us", "edge-2", "--plan", "vc2-2c-4gb", "--nodes", "1", "--yes")
    with asked(fleet, "us") as seen:
        told = kill_when(begin(fleet, *second, **COLD), ["us-pool-edge-2-drain deleting"])
        assert "✓" not in told
        again = run(fleet, *second).require().output
    assert seen.dead == 0
    assert "✓ 1. add pool edge-3" in again
    assert sizes(fleet) == {"edge": 1, "edge-3": 1}
    assert published(fleet, "us")
    assert "      - {label: edge-3, plan: vc2-2c-4gb, nodes: 1}\n" in file.read_text()
    assert "edge-2" not in file.read_text()
    fleet.preview("us", "--expect-no-changes", "--refresh").require()


def test_a_twin_carries_the_region_while_it_is_upgraded(fleet: Fleet):
    document = yaml.safe_load((fleet.project / "Pulumi.eu.yaml").read_text())
    document["config"] |= {"edgefleet:region": "us"}
    # Vultr upgrades no cluster of one node.
    (pool,) = document["config"]["edgefleet:cluster"]["pools"]
    pool["nodes"] = 2
    document["config"]["edgefleet:cluster"] |= {"version": OLD, "location": "ewr"}
    file = fleet.project / "Pulumi.us-2.yaml"
    file.write_text(yaml.safe_dump(document))
    git(fleet.project, "add", file.name)
    fleet.reload()
    fleet.up("us-2")[0].require()
    assert published(fleet, "us", "us-2")
    command = ("upgrade", "us-2", "--to", TO, "--yes")
    with asked(fleet, "us", "us-2"):
        told = kill_when(begin(fleet, *command, **COLD), ["us-2-version updating"])
        assert "us carry us.example.com" in told
        assert published(fleet, "us")
        again = run(fleet, *command).require().output
    assert "✓ 1. drain us-2" in again
    assert not spared(fleet)
    assert published(fleet, "us", "us-2")
    assert "drain" not in file.read_text()


def test_a_change_is_rolled_and_returned(fleet: Fleet):
    """What was upgraded above was brought up from files that no commit had."""
    git(fleet.project, "commit", "-qam", "as it is")
    for stack in ("us", "eu"):
        path = fleet.project / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text())
        document["config"] |= {"edgefleet:ingress": {"image": IMAGE}}
        path.write_text(yaml.safe_dump(document))
    git(fleet.project, "commit", "-qam", "another nginx")
    dry = run(fleet, "roll", "--dry-run").require().output
    assert " 1. eu    the canary: 1 change: eu-ingress-controller" in dry
    assert " ✓  us-2  nothing to do\n" in dry

    process, output, rule = begin(fleet, "roll", "--yes", **COLD), "", ""
    group = f"/v2/firewalls/{fleet.cluster('eu')['firewall_group_id']}/rules"
    for line in lines(process):
        output += line
        if line.startswith("1/2 eu"):
            opened = {"ip_type": "v4", "protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 0}
            made = fleet.vultr("POST", group, {**opened, "port": "443"})
            rule = str(made["firewall_rule"]["id"])
        if "waiting: eu: web-open" in line:
            fleet.vultr("DELETE", f"{group}/{rule}")
        if "us-ingress-controller updat" in line:
            break
    assert "waiting: eu: web-open" in output
    process.kill()
    process.wait()
    again = run(fleet, "roll", "--yes").require().output
    assert " ✓  eu    nothing to do, but to look\n" in again
    assert images(fleet) == {"eu": IMAGE, "us": IMAGE}

    unknown = run(fleet, "roll", "--back", "--yes")
    assert unknown.code == 1
    assert "can't be known: it was brought up from files that no commit has" in unknown.output
    told = run(fleet, "roll", "--back", "--to", "HEAD~1", "--yes").require().output
    assert told.index(" us ") < told.index(" eu ")
    assert IMAGE not in images(fleet).values()
    # It stands in Pulumi's history as what it is: that commit, and nothing besides.
    newest = json.loads(fleet.pulumi("us", "stack", "history", "--json").require().output)[0]
    said = newest["environment"]
    assert (said["git.head"], said["git.dirty"]) == (
        git(fleet.project, "rev-parse", "HEAD~1").strip(),
        "false",
    )


def images(fleet: Fleet) -> dict[str, str]:
    """What the ingress runs, by stack."""
    found = {stack: fleet.kubernetes(stack, INGRESS) for stack in ("eu", "us")}
    return {s: o["spec"]["template"]["spec"]["containers"][0]["image"] for s, o in found.items()}
