"""The library's example of one cluster, with the wheel, on the sandbox's vendors."""

from pathlib import Path

import pytest

from tests.fleet.fleet import COLD, ZONE, Fleet
from tests.wheel import example, installed

HOST = "shop.example.com"


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory):
    """A sandbox without a fleet."""
    made = Fleet.make(tmp_path_factory.mktemp("one"))
    yield made
    made.stop()


def test_one_cluster_comes_up_answers_and_goes(fleet: Fleet, tmp_path: Path):
    (tmp_path / "wheel").mkdir()
    project = example("python-one-cluster", tmp_path, installed(tmp_path / "wheel"))
    one = Fleet(project, fleet.directory)
    # As if PYTHONPATH weren't set: this checkout's modules aren't found.
    one.environment = {**fleet.environment, **COLD, "PYTHONPATH": ""}
    one.pulumi("one", "stack", "init").require()
    one.pulumi("one", "config", "set", "hostname", HOST).require()
    one.pulumi("one", "config", "set", "zoneId", ZONE).require()
    one.pulumi("one", "preview").require()
    one.pulumi("one", "up", "-y", "--skip-preview").require()
    nodes = one.outputs("one")["nodes"]
    assert len(nodes) == 2
    addresses = {node[family] for node in nodes for family in ("ipv4", "ipv6")}
    assert {*fleet.records(HOST).values()} == addresses
    one.pulumi("one", "preview", "--expect-no-changes").require()
    one.pulumi("one", "destroy", "-y", "--skip-preview").require()
    assert fleet.records(HOST) == {}
