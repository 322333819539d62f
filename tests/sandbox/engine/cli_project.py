"""A project that the real CLI runs with the sandbox's language hosts, and no sandbox."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from sandbox.toolchain.install import Toolchain, default_cache, install_pulumi


def cli(folder: Path) -> Path:
    """Where the CLI and the language hosts lie; those of ours in `folder`."""
    return install_pulumi(Toolchain(default_cache()), folder, Path(sys.executable))


def _folder_of(program: str) -> str:
    found = shutil.which(program)
    assert found, f"no {program} on PATH"
    return os.path.dirname(found)


class Project:
    """A Pulumi project with a file backend, run by the real CLI."""

    def __init__(self, folder: Path, pulumi: Path, manifest: str) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.env = {
            "EDGEFLEET_CACHE": str(default_cache()),
            "HOME": str(folder),
            "PATH": f"{pulumi}:{_folder_of('node')}:/usr/bin:/bin",
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        (folder / "state").mkdir()
        self.write("Pulumi.yaml", manifest)
        self.write("Pulumi.dev.yaml", "config: {shop:size: small}")
        done = self.run("stack", "init", "dev")
        assert done.returncode == 0, done.stderr

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(textwrap.dedent(text))

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *args, "--non-interactive", "--color=never"]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            executable=shutil.which("pulumi", path=self.env["PATH"]),
            capture_output=True,
            text=True,
            check=False,
        )
