"""The workflows' files, and a machine that their shell parts run on as they stand."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.projects import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), yaml.BaseLoader)


def workflow(name: str) -> dict[str, Any]:
    return load(ROOT / ".github" / "workflows" / f"{name}.yml")


def jobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each job: workflow/job, the workflow, the job."""
    for path in WORKFLOWS:
        found = load(path)
        for name, job in found["jobs"].items():
            yield f"{path.stem}/{name}", found, job


def steps(name: str, job: str) -> list[dict[str, Any]]:
    return workflow(name)["jobs"][job]["steps"]


def shell(name: str, job: str, step: str) -> str:
    (found,) = (s for s in steps(name, job) if s.get("name") == step)
    return found["run"]


class Runner:
    """What a step finds on GitHub's machine: files for its outputs, and `gh`, which is recorded."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.checkout = checkout
        self._folder = folder
        folder.mkdir()
        (folder / "temp").mkdir()
        for name in ("output", "env", "summary", "gh.log"):
            (folder / name).touch()
        fake = folder / "bin" / "gh"
        fake.parent.mkdir()
        # What is given as a body is kept, by its key: render, preview.
        fake.write_text(
            '#!/usr/bin/env bash\necho "$*" >>"$GH_LOG"\n'
            'for each in "$@"; do case $each in body=@*) cat "${each#body=@}" >>"$GH_LOG";; esac\n'
            'done\n[ "$1" != pr ] || [ "$2" != list ] || echo "[]"\n'
            'case "$*" in *--paginate*) echo "$GH_COMMENTS";; *issues?state*) echo "$GH_ISSUES";; '
            "esac\n"
        )
        fake.chmod(0o755)

    def run(
        self, script: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        path = os.environ["PATH"]
        found = dict(line.split("=", 1) for line in self.file("env").splitlines())
        environment = {**os.environ, **(variables or {}), **found}
        path = environment.get("PATH", path)
        return subprocess.run(
            # As GitHub runs a step that names no shell.
            ["bash", "-e", "-c", script],
            cwd=self.checkout,
            env={
                **environment,
                # The environment is the repository's; on GitHub it is the checkout's own.
                "PYTHONPATH": str(self.checkout),
                "PATH": f"{self._folder / 'bin'}{os.pathsep}{path}",
                "GITHUB_OUTPUT": str(self._folder / "output"),
                "GITHUB_ENV": str(self._folder / "env"),
                "GITHUB_STEP_SUMMARY": str(self._folder / "summary"),
                "GITHUB_REPOSITORY": "somebody/fleet",
                "RUNNER_TEMP": str(self._folder / "temp"),
                "GH_LOG": str(self._folder / "gh.log"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def file(self, name: str) -> str:
        return (self._folder / name).read_text()

    def outputs(self) -> dict[str, Any]:
        lines = self.file("output").splitlines()
        return {k: json.loads(v) for k, v in (line.split("=", 1) for line in lines)}
