"""Stacks of the sandbox's file backend, made without touching the project's stack files."""

import datetime
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from sandbox.toolchain.tools import PULUMI

_STACK_FILE = re.compile(r"Pulumi\.([A-Za-z0-9_.-]{1,100})\.ya?ml")


class ProjectError(Exception):
    """A folder without a Pulumi project, or with one that can't be read."""


def stack_names(project_dir: Path) -> list[str]:
    """Names of the stack files in a project's folder."""
    found = (_STACK_FILE.fullmatch(path.name) for path in project_dir.iterdir())
    return sorted({match[1] for match in found if match})


def ensure_stacks(
    backend: Path, project_dir: Path, names: Iterable[str], secrets_url: str
) -> list[str]:
    """Make those stacks that the file backend in the folder ``backend`` lacks; their names.

    What ``pulumi stack init`` leaves in a file backend is written here (layout version 1,
    checkpoint version 3, CLI v3.246.0), except for the secrets manager: the sandbox's key service
    instead of a passphrase, whose salt would go into the stack file. Raises ProjectError.
    """
    project = _project_name(project_dir)
    meta = backend / ".pulumi" / "meta.yaml"
    folder = backend / ".pulumi" / "stacks" / project
    folder.mkdir(parents=True, exist_ok=True)
    if not meta.exists():
        meta.write_text("version: 1\n")
    made = []
    for name in names:
        file = folder / f"{name}.json"
        if file.exists():
            continue
        partial = folder / f".{name}.new"
        partial.write_text(json.dumps(_empty_stack(project, name, secrets_url)))
        partial.rename(file)
        made.append(name)
    return made


def retarget_stacks(backend: Path, secrets_url: str) -> None:
    """Point every stack at the key service's address, which may be another after a start."""
    for file in backend.glob(".pulumi/stacks/*/*.json"):
        content = json.loads(file.read_text())
        latest = content.get("checkpoint", {}).get("latest") or {}
        provider = latest.get("secrets_providers") or {}
        if provider.get("type") != "service" or provider["state"].get("url") == secrets_url:
            continue
        provider["state"]["url"] = secrets_url
        partial = file.with_name(f".{file.name}.new")
        partial.write_text(json.dumps(content))
        partial.rename(file)


def _project_name(project_dir: Path) -> str:
    file = project_dir / "Pulumi.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProjectError(f"{file} doesn't exist: run this in the project's folder") from error
    except yaml.YAMLError as error:
        raise ProjectError(f"{file} is no YAML: {error}") from error
    name = content.get("name") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise ProjectError(f"{file} has no `name`")
    return name


def _empty_stack(project: str, name: str, secrets_url: str) -> dict[str, Any]:
    version = f"v{PULUMI}"
    return {
        "version": 3,
        "checkpoint": {
            "stack": f"organization/{project}/{name}",
            "latest": {
                "manifest": {
                    "time": datetime.datetime.now(datetime.UTC).isoformat(),
                    "magic": hashlib.sha256(version.encode()).hexdigest(),
                    "version": version,
                },
                "secrets_providers": {
                    "type": "service",
                    "state": {
                        "url": secrets_url,
                        "owner": "organization",
                        "project": project,
                        "stack": name,
                    },
                },
                "metadata": {},
            },
        },
    }
