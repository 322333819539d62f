"""Pulumi's own command line on a backend of files, with nothing in it."""

import subprocess
import sys
from pathlib import Path

from sandbox.toolchain.install import Toolchain, default_cache, install_pulumi


class Backend:
    """The project `shop`, without a program."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        tools = install_pulumi(Toolchain(default_cache()), folder / "bin", Path(sys.executable))
        self.folder = folder / "state"
        self.folder.mkdir()
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        self.environment = {
            "HOME": str(folder),
            "PATH": f"{tools}:/usr/bin:/bin",
            "PULUMI_BACKEND_URL": url or f"file://{self.folder}",
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
