"""Helm charts without internet: from the Go module that the chart's own project publishes.

A chart's repository is a web server; the Go module proxy has the same files, under a checksum, as
long as the project keeps its chart in its module. The catalogue says which (tried: the folders
hold the charts' dependencies too, so that nothing is fetched when they are rendered).
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sandbox.toolchain import go_build
from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.placing import ToolchainError, placed


@dataclass(frozen=True)
class Chart:
    """A chart of a repository, and the folder of a Go module of the same version that has it."""

    repository: str
    name: str
    version: str
    module: str
    folder: str


CATALOGUE = (
    # Its dependencies are inside: charts/crds, charts/frr-k8s-0.0.27.tgz.
    Chart(
        repository="https://metallb.github.io/metallb",
        name="metallb",
        version="0.16.2",
        module="go.universe.tf/metallb",
        folder="charts/metallb",
    ),
    # No dependencies.
    Chart(
        repository="https://helm.cilium.io",
        name="cilium",
        version="1.20.2",
        module="github.com/cilium/cilium",
        folder="install/kubernetes/cilium",
    ),
)


class NoChart(Exception):
    """A chart that the catalogue doesn't have, worded for the user."""


def find(repository: str, name: str, version: str) -> Chart:
    """The catalogue's chart; an empty `version` takes the only one. Raises NoChart."""
    for chart in CATALOGUE:
        same = (chart.repository, chart.name) == (repository.rstrip("/"), name)
        if same and version.removeprefix("v") in ("", chart.version):
            return chart
    have = ", ".join(f"{c.name} {c.version} of {c.repository}" for c in CATALOGUE)
    raise NoChart(
        f"chart {name!r}, version {version or 'newest'}, of {repository or 'no repository'} can't "
        f"be had without internet: sandbox/toolchain/charts.py has {have}"
    )


def unpacked(chart: Chart, cache: Path, say: Callable[[str], None]) -> Path:
    """The chart's folder in the cache; fetched once. Raises ToolchainError."""

    def fetch(result: Path, work: Path) -> None:
        say(f"fetching the chart {chart.name} {chart.version} from its Go module; once")
        work.mkdir(parents=True)
        (work / "go.mod").write_text("module work\n")
        try:
            with FileLock(cache / "go.lock"):
                go = go_build.find_go(cache, say)
            module = go_build.module_folder(chart.module, f"v{chart.version}", go, work)
            shutil.copytree(
                module / chart.folder,
                result,
                copy_function=shutil.copyfile,
                dirs_exist_ok=True,
            )
            # The module cache is read-only, and copytree copies folders' rights.
            for folder in (result, *(path for path in result.rglob("*") if path.is_dir())):
                folder.chmod(0o755)
        except (BuildFailed, OSError) as error:
            raise ToolchainError(f"can't fetch the chart {chart.name}: {error}") from error

    name = f"chart-{chart.name} {chart.version}"
    return placed(cache, name, f"chart-{chart.name}-{chart.version}", fetch, say)
