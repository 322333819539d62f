"""What is deployed is what is read, is typed, and is small."""

import shutil
import subprocess

import pytest

from tests.components.edge.worker.edge_rig import HERE, ROOT, WORKER, WORKERD


def run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_workerd_is_installed() -> None:
    assert WORKERD.exists(), f"{WORKERD} is missing: run make setup"


def test_worker_is_in_step_with_its_modules() -> None:
    run("node", "components/edge/worker/join.mjs", "--check")


def test_worker_out_of_step_is_told(tmp_path) -> None:
    copy = tmp_path / "edge_worker"
    shutil.copytree(WORKER.parent, copy)
    (copy / "pages.js").open("a").write("const late = 1;\n")
    result = subprocess.run(
        ["node", copy / "join.mjs", "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "out of step" in result.stderr


def test_types() -> None:
    tsc = ROOT / "node_modules" / ".bin" / "tsc"
    assert tsc.exists(), f"{tsc} is missing: run make setup"
    run(str(tsc), "--noEmit", "-p", "components/edge/worker")


@pytest.mark.parametrize("tables", ["routing", "outliers"])
def test_tables_without_a_runtime(tables: str) -> None:
    run("node", "--test", str(HERE / f"{tables}.test.mjs"))


def test_no_runtime_dependency() -> None:
    imports = [line for line in WORKER.read_text().splitlines() if line.startswith("import")]
    assert imports == []


@pytest.mark.parametrize("limit", [100_000])
def test_size(limit: int) -> None:
    assert WORKER.stat().st_size < limit
