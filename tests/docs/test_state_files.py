"""docs/limits.md: what a killed engine leaves of a state in files, and what mends it."""

import subprocess
from pathlib import Path

from sandbox.engine.environment import file_backend
from tests.docs.engine import Backend
from tests.projects import ROOT

MEND = "find . -name '*.attrs' -empty -delete"


def test_the_empty_file_beside_the_state(tmp_path: Path) -> None:
    backend = Backend(tmp_path, f"file://{tmp_path}/state")
    assert backend.pulumi("stack", "init", "us").returncode == 0
    [attributes] = backend.folder.glob("**/stacks/shop/us.json.attrs")
    attributes.write_bytes(b"")
    assert "failed to load checkpoint: EOF" in backend.pulumi("cancel", "-s", "us", "-y").stderr
    assert MEND in (ROOT / "docs/limits.md").read_text()
    subprocess.run(MEND, shell=True, cwd=backend.folder, check=True)
    assert backend.pulumi("cancel", "-s", "us", "-y").returncode == 0


def test_a_backend_without_it(tmp_path: Path) -> None:
    backend = Backend(tmp_path, file_backend(tmp_path / "state"))
    assert backend.pulumi("stack", "init", "us").returncode == 0
    assert list(backend.folder.glob("**/stacks/shop/us.json"))
    assert not list(backend.folder.glob("**/*.attrs"))
