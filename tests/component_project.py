"""A Pulumi project of one component in one cluster, run by the real engine."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.projects import ROOT
from tests.warm import starts


class EngineProject:
    """A project in `folder` with stack dev, whose state lies in `home`. `environment` goes on top
    of the machine's."""

    def __init__(self, folder: Path, home: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        (home / "state").mkdir()
        self.environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{home}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(home / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            **environment,
        }
        self.pulumi("stack", "init", "dev")

    def pulumi(self, *command: str, given: str | None = None, fails: bool = False) -> str:
        """Run it, with `given` on its standard input; what it printed."""
        ran = subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=180,
        )
        output = ran.stdout + ran.stderr
        assert (ran.returncode != 0) == fails, output
        return output


class ComponentProject(EngineProject):
    """`program` finds args.json, which `up` writes, and kubeconfig beside it."""

    def __init__(self, folder: Path, program: str, kubeconfig: str, **environment: str) -> None:
        (folder / "__main__.py").write_text(program)
        runtime = {"name": "python", "options": {"virtualenv": "venv"}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "one", "runtime": runtime}))
        (folder / "components").symlink_to(ROOT / "components")
        (folder / "kubeconfig").write_text(kubeconfig)
        super().__init__(folder, folder, {**starts.pulumi(folder), **environment})

    def say(self, **args: Any) -> None:
        (self.folder / "args.json").write_text(json.dumps(args))

    def up(self, **args: Any) -> str:
        self.say(**args)
        return self.pulumi("up", "-y", "--skip-preview", "-s", "dev")

    def destroy(self) -> str:
        return self.pulumi("destroy", "-y", "--skip-preview", "-s", "dev")
