"""Which Python a project's runtime options choose, and the plugins that its packages ask for."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RuntimeProblem(Exception):
    """A mistake in the project's runtime options, worded for the user."""


class Python:
    """The interpreter that a project's runtime options choose."""

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        toolchain = str(options.get("toolchain") or "pip").lower()
        if toolchain != "pip":
            raise RuntimeProblem(
                f"runtime option toolchain is {toolchain!r} in {root / 'Pulumi.yaml'}, but this "
                "language host knows pip only: install the official CLI, or remove the option"
            )
        self.option = str(options.get("virtualenv") or "")
        self.venv = root / self.option if self.option else None

    def require(self) -> None:
        """Raise RuntimeProblem, as the official host does, unless the environment exists."""
        if self.venv is None or self.executable.exists():
            return
        state = (
            "doesn't appear to be a virtual environment" if self.venv.exists() else "doesn't exist"
        )
        raise RuntimeProblem(
            f"The 'virtualenv' option in Pulumi.yaml is set to {self.option!r}, but "
            f"{str(self.venv)!r} {state}; run `pulumi install` to create it and install "
            "dependencies into it"
        )

    @property
    def executable(self) -> Path:
        if self.venv is not None:
            return self.venv / "bin" / "python"
        command = os.environ.get("PULUMI_PYTHON_CMD")
        for name in [command] if command else ["python3", "python"]:
            if found := shutil.which(name):
                return Path(found)
        raise RuntimeProblem(
            "no python3 or python on PATH: install Python, or set PULUMI_PYTHON_CMD"
        )

    def environment(self) -> dict[str, str]:
        """The host's environment with the virtual environment activated."""
        env = dict(os.environ)
        if self.venv is not None:
            env.pop("PYTHONHOME", None)
            env["VIRTUAL_ENV"] = str(self.venv)
            env["PATH"] = os.pathsep.join(
                part for part in (str(self.venv / "bin"), env.get("PATH", "")) if part
            )
        return env

    def output(self, *args: str) -> str:
        return subprocess.run(
            [str(self.executable), *args],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout

    def site_packages(self) -> list[Path]:
        if self.venv is not None:
            return sorted(self.venv.glob("lib/python*/site-packages"))
        paths = json.loads(self.output("-c", "import json, sys; print(json.dumps(sys.path))"))
        return [Path(path) for path in paths if path]


def required_plugins(site_packages: list[Path]) -> list[dict[str, Any]]:
    """Resource plugins that installed packages ask for in their ``pulumi-plugin.json``.

    A file without a version (ediri-vultr's) takes the version of the Python package.
    """
    plugins = []
    for folder in site_packages:
        for manifest in sorted(folder.glob("*/pulumi-plugin.json")):
            content = json.loads(manifest.read_text())
            if not content.get("resource"):
                continue
            package = manifest.parent.name
            found = content.get("version") or _package_version(folder, package)
            plugins.append(
                {
                    "name": content.get("name") or package.removeprefix("pulumi_"),
                    "kind": "resource",
                    "version": "v" + found.removeprefix("v") if found else "",
                    "server": content.get("server") or "",
                }
            )
    return plugins


def _package_version(folder: Path, package: str) -> str:
    for info in folder.glob(f"{package}-*.dist-info"):
        return info.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    return ""
