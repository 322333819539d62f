"""docs/limits.md: what a killed engine leaves of a state in files, and what mends it."""

import subprocess
import sys
from pathlib import Path

from sandbox.engine.environment import file_backend
from sandbox.toolchain.install import Toolchain, default_cache, install_pulumi
from tests.projects import ROOT

MEND = "find . -name '*.attrs' -empty -delete"


class Backend:
    def __init__(self, folder: Path, url: str) -> None:
        tools = install_pulumi(Toolchain(default_cache()), folder / "bin", Path(sys.executable))
        self.folder = folder / "state"
        self.folder.mkdir()
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        self.environment = {
            "HOME": str(folder),
            "PATH": f"{tools}:/usr/bin:/bin",
            "PULUMI_BACKEND_URL": url,
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def pulumi(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *command, "--non-interactive"],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )


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
