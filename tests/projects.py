"""Projects made for one test: the repository's own files in a folder, with changes."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.fleet.inventory import EdgeStack, RegionStack
from infra.fleet.reading import load

ROOT = Path(__file__).resolve().parents[1]

CLUSTER: dict[str, Any] = {
    "location": "ewr",
    "version": "v1.35.5+1",
    "pools": [{"label": "edge", "plan": "vc2-2c-4gb", "nodes": 3}],
}


def copy_project(target: Path) -> Path:
    """The repository's Pulumi.yaml and stack files in `target`, outside any git checkout."""
    target.mkdir(parents=True, exist_ok=True)
    for path in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(path, target / path.name)
    return target


def write_stack(project: Path, stack: str, config: Mapping[str, Any]) -> Path:
    """Write a stack file; keys get this project's namespace."""
    path = project / f"Pulumi.{stack}.yaml"
    path.write_text(yaml.safe_dump({"config": {f"edgefleet:{k}": v for k, v in config.items()}}))
    return path


def region(name: str = "us", **changes: Any) -> dict[str, Any]:
    """A region stack's configuration; `changes` go into its cluster."""
    return {"region": name, "cluster": {**CLUSTER, **changes}}


def region_stack(project: Path, name: str = "us") -> RegionStack:
    """A region stack, as the project's files have it."""
    stack = load(project, current=name).stacks[name]
    assert isinstance(stack, RegionStack)
    return stack


def edge_stack(project: Path, name: str = "edge") -> EdgeStack:
    """An edge stack, as the project's files have it."""
    stack = load(project, current=name).stacks[name]
    assert isinstance(stack, EdgeStack)
    return stack


def git(project: Path, *command: str) -> str:
    """Run git in `project`, as nobody in particular."""
    return subprocess.run(
        ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", *command],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
