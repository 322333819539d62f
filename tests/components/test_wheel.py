"""The library as others install it: one wheel, whose import name is `edgefleet`."""

import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.projects import ROOT
from tests.wheel import installed

LIBRARY = ROOT / "components"
PROJECT = tomllib.loads((LIBRARY / "pyproject.toml").read_text())
USE = """
import importlib.util
from pathlib import Path

import edgefleet
from edgefleet.edge.deployment import WORKER
from edgefleet.firewall import cloudflare_ranges, node

here = Path(edgefleet.__file__).parent
for name in edgefleet.__all__:
    assert getattr(edgefleet, name).__module__.startswith("edgefleet."), name
assert cloudflare_ranges.load().cidrs
assert WORKER.is_relative_to(here) and WORKER.exists(), WORKER
assert (node._FOLDER / "node_sync.sh").exists() and (node._FOLDER / "node_loop.sh").exists()
assert (here / "py.typed").exists()
for name in ("components", "infra", "ops", "sandbox", "tests"):
    assert importlib.util.find_spec(name) is None, name
print(here)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("wheel"))


def test_it_is_edgefleet_with_all_that_it_needs_and_nothing_else(
    python: Path, tmp_path: Path
) -> None:
    command = [str(python), "-I", "-c", USE]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).is_relative_to(python.parents[1])


def test_each_of_its_folders_is_in_it() -> None:
    folders = {
        ".".join(["edgefleet", *path.parent.relative_to(LIBRARY).parts])
        for path in LIBRARY.rglob("__init__.py")
    }
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"])


def test_what_the_fleet_is_locked_to_lies_within_what_it_asks_for() -> None:
    asked = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    locked = {each: version(each.name) for each in asked}
    assert {each: has for each, has in locked.items() if has not in each.specifier} == {}
