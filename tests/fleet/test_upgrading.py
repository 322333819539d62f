"""`fleet upgrade` on the sandbox, killed in the middle and run again: always are there records.
Visitors never go there while none leads to a node that lives."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.fleet.by_hand import ACCOUNT
from tests.fleet.fleet import Fleet, Ran, kill_when
from tests.projects import ROOT, git

HOST = "us.example.com"
TO = "v1.36.2+1"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """us, eu to carry its visitors, and edge are the whole fleet, and up."""
    made = Fleet.make(tmp_path_factory.mktemp("upgrading"))
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


def begin(fleet: Fleet, *options: str) -> "subprocess.Popen[str]":
    """The command, as somebody types it in the project."""
    command = [sys.executable, "-P", "-c", "from ops.cli import main; main()", "upgrade", "us"]
    return subprocess.Popen(
        [*command, "--to", TO, *options],
        cwd=fleet.project,
        env={**fleet.environment, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(fleet: Fleet, *options: str) -> Ran:
    process = begin(fleet, *options)
    output, _ = process.communicate(timeout=600)
    return Ran(process.returncode, output)


@dataclass
class Asked:
    """What was seen: how many records the region had, ten times a second; and how often none led
    to a node that lived while the Worker sent visitors there."""

    records: list[int] = field(default_factory=list[int])
    unserved: int = 0


@contextmanager
def asked(fleet: Fleet) -> Iterator[Asked]:
    over, seen = threading.Event(), Asked()

    def ask() -> None:
        while not over.wait(0.1):
            records = {*fleet.records(HOST).values()}
            seen.records.append(len(records))
            # Nodes are three more requests.
            if len(seen.records) % 5 == 0:
                led = records & {*fleet.addresses("us")}
                seen.unserved += not led and not spared(fleet)

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    try:
        yield seen
    finally:
        over.set()
        asker.join(10)


def spared(fleet: Fleet) -> bool:
    """Whether the Worker at Cloudflare sends nobody to us."""
    path = f"/accounts/{ACCOUNT}/workers/scripts/edgefleet/settings"
    bindings = fleet.cloudflare("GET", path)["result"]["bindings"]
    (config,) = (each["json"] for each in bindings if each["name"] == "CONFIG")
    table = json.loads(config) if isinstance(config, str) else config
    return {row["name"]: row["drain"] for row in table["regions"]}["us"]


def test_an_upgrade_that_is_killed_goes_on_and_no_visitor_meets_it(fleet: Fleet):
    file = fleet.project / "Pulumi.us.yaml"
    before, old = file.read_text(), {node["id"] for node in fleet.nodes("us")}
    with asked(fleet) as seen:
        told = kill_when(begin(fleet, "--yes"), ["us-dns-", "-a created"])
        assert spared(fleet)
        assert "edgefleet:drain: true  # fleet upgrade\n" in file.read_text()
        again = run(fleet, "--yes").require().output
    assert "  1. drain us" in told
    assert "✓ 1. drain us" in again
    assert "✓ 2. fleet doctor" in again
    assert "which was killed: pulumi cancel" in again
    assert "us has v1.36.2+1." in again
    assert not old & {node["id"] for node in fleet.nodes("us")}
    assert sorted(fleet.records(HOST).values()) == fleet.addresses("us")
    assert not spared(fleet)
    assert file.read_text() == before.replace("v1.35.5+1", TO)
    assert len(seen.records) > 50
    assert min(seen.records) > 0
    assert seen.unserved == 0
    # Which asks for a preview.
    over = run(fleet, "--dry-run").require().output
    assert "✓ 3. upgrade" in over
    assert "✓ 5. undrain" in over
