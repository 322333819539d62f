"""The library's example of one cluster, with the wheel, on the sandbox's vendors."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fleet.fleet import COLD, COMMAND_SECONDS, ZONE, Fleet
from tests.projects import ROOT
from tests.wheel import installed

HOST = "shop.example.com"


class Example:
    """A copy of it outside of the checkout, in the sandbox's own backend."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.folder = folder / "one"
        example = ROOT / "examples" / "python-one-cluster"
        shutil.copytree(example, self.folder, ignore=shutil.ignore_patterns("venv"))
        (folder / "wheel").mkdir()
        (self.folder / "venv").symlink_to(installed(folder / "wheel").parents[1])
        self._environment = {**fleet.environment, **COLD}
        self._environment.pop("PYTHONPATH", None)

    def pulumi(self, *command: str) -> str:
        process = subprocess.Popen(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode == 0, output
        return output


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory):
    """A sandbox without a fleet."""
    made = Fleet.make(tmp_path_factory.mktemp("one"))
    yield made
    made.stop()


def test_one_cluster_comes_up_answers_and_goes(fleet: Fleet, tmp_path: Path):
    example = Example(fleet, tmp_path)
    example.pulumi("stack", "init", "one")
    example.pulumi("config", "set", "hostname", HOST)
    example.pulumi("config", "set", "zoneId", ZONE)
    example.pulumi("preview")
    example.pulumi("up", "-y", "--skip-preview")
    nodes = json.loads(example.pulumi("stack", "output", "nodes"))
    assert len(nodes) == 2
    addresses = {node[family] for node in nodes for family in ("ipv4", "ipv6")}
    assert {*fleet.records(HOST).values()} == addresses
    example.pulumi("preview", "--expect-no-changes")
    example.pulumi("destroy", "-y", "--skip-preview")
    assert fleet.records(HOST) == {}
