"""What a Node.js project says of itself: runtime options, installed packages, dependencies."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.engine.python_environment import RuntimeProblem

MODULES = "node_modules"


def environment(options: Mapping[str, Any]) -> dict[str, str]:
    """Variables by which the official executor learns the runtime options.

    Raises RuntimeProblem.
    """
    manager = options.get("packagemanager", "auto")
    if manager not in ("auto", "npm"):
        raise RuntimeProblem(
            f"runtime option packagemanager is {manager!r} in Pulumi.yaml, but this language host "
            "knows npm only: install the official CLI, or remove the option"
        )
    typescript = options.get("typescript", True)
    if not isinstance(typescript, bool):
        raise RuntimeProblem(
            f"runtime option typescript is {typescript!r} in Pulumi.yaml: say true or false"
        )
    found = {"PULUMI_NODEJS_TYPESCRIPT": "true"} if typescript else {}
    if path := options.get("tsconfig"):
        found["PULUMI_NODEJS_TSCONFIG_PATH"] = str(path)
    return found


def required_packages(folder: Path) -> list[dict[str, Any]]:
    """Resource plugins that installed packages ask for in their ``package.json``."""
    found = []
    for manifest in _manifests(folder / MODULES):
        content = json.loads(manifest.read_text())
        asked = content.get("pulumi")
        if not isinstance(asked, dict) or not asked.get("resource"):
            continue
        version = asked.get("version") or content.get("version") or ""
        found.append(
            {
                "name": asked.get("name") or content.get("name", "").removeprefix("@pulumi/"),
                "kind": "resource",
                "version": "v" + version.removeprefix("v") if version else "",
                "server": asked.get("server") or "",
            }
        )
    return found


def _manifests(modules: Path) -> Iterator[Path]:
    """Of each package in a ``node_modules``, and in those of the packages."""
    for entry in sorted(modules.glob("*")):
        for package in sorted(entry.glob("*")) if entry.name.startswith("@") else [entry]:
            if (package / "package.json").is_file():
                yield package / "package.json"
                yield from _manifests(package / MODULES)


def dependencies(folder: Path, *, transitive: bool) -> dict[str, str]:
    """Versions of what is installed, by name; without `transitive` what ``package.json`` names."""
    lock = folder / MODULES / ".package-lock.json"
    if not lock.exists():
        return {}
    packages: dict[str, Any] = json.loads(lock.read_text())["packages"]
    manifest = json.loads((folder / "package.json").read_text())
    named = {**manifest.get("dependencies", {}), **manifest.get("devDependencies", {})}
    installed = {
        path.removeprefix(f"{MODULES}/"): package.get("version", "")
        for path, package in packages.items()
        if path.startswith(f"{MODULES}/") and path.count(MODULES) == 1
    }
    return {name: version for name, version in installed.items() if transitive or name in named}
