"""The real programs of the sandbox: found on PATH, downloaded, or built once from source.

``python -m sandbox.toolchain`` makes those that a sandbox needs, ``python -m sandbox.toolchain
felix frr-k8s helm …`` those of these names: tests run them, who installs a chart, and programs in
other languages than Python.
Everything lies in one cache folder keyed by version (placing.py).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from sandbox.toolchain import felix, frr_k8s, go_build, metallb, nodejs_sdk, traefik
from sandbox.toolchain.downloads import DownloadFailed, fetch
from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.placing import ToolchainError, placed
from sandbox.toolchain.tools import ARCH, OS, PULUMI, SPECIAL, TOOLS, Tool

_HOST = Path(__file__).parents[1] / "engine" / "start_language_host.py"


def default_cache() -> Path:
    """``$EDGEFLEET_CACHE``, else ``~/.cache/edgefleet``."""
    return Path(os.environ.get("EDGEFLEET_CACHE") or Path.home() / ".cache" / "edgefleet")


def to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Toolchain:
    """Finds or makes the programs, in the folder ``cache``.

    ``path`` is searched first, except for folders under ``ignore`` (a sandbox's own).
    """

    def __init__(
        self,
        cache: Path,
        *,
        path: str | None = None,
        ignore: Sequence[Path] = (),
        say: Callable[[str], None] = to_stderr,
        tools: Sequence[Tool] = (*TOOLS, *SPECIAL),
    ) -> None:
        search = os.environ.get("PATH", "") if path is None else path
        if assets := os.environ.get("KUBEBUILDER_ASSETS"):
            search = assets + os.pathsep + search
        self._cache = cache
        self._ignore = (cache, *ignore)
        self._path = os.pathsep.join(p for p in search.split(os.pathsep) if p and not self._own(p))
        self._say = say
        self._tools = {file: tool for tool in tools for file in tool.files}

    def binary(self, file: str) -> Path:
        """Path of a program, for example ``kube-apiserver``; made first if it has to be.

        Raises ToolchainError.
        """
        tool = self._tools[file]
        return self._on_path(tool, file) or self._made(tool) / file

    def _own(self, folder: str) -> bool:
        return any(Path(folder).is_relative_to(own) for own in self._ignore)

    def _on_path(self, tool: Tool, file: str) -> Path | None:
        found = shutil.which(file, path=self._path)
        if found is None:
            return None
        done = subprocess.run(
            [found, *tool.version_args], capture_output=True, text=True, check=False
        )
        first = (done.stdout.strip().splitlines() or [""])[0]
        if not re.search(tool.accepts, first):
            return None
        host = Path(found).resolve().parent / "pulumi-language-python"
        if file == "pulumi" and not (host.exists() or self._which("pulumi-language-python")):
            return None
        return Path(found)

    def _which(self, file: str) -> str | None:
        return shutil.which(file, path=self._path)

    def _made(self, tool: Tool) -> Path:
        def make(result: Path, work: Path) -> None:
            if not self._download(tool, result):
                self._build(tool, work, result)

        folder = f"{tool.name}-{tool.version}-{OS}-{ARCH}"
        return placed(self._cache, f"{tool.name} {tool.version}", folder, make, self._say)

    def _download(self, tool: Tool, result: Path) -> bool:
        if not tool.releases:
            return False
        self._say(f"downloading {tool.name} {tool.version}; once")
        try:
            for release in tool.releases:
                fetch(release, result)
        except DownloadFailed as error:
            self._say(f"no download of {tool.name} from here ({_brief(error)})")
            for leftover in result.iterdir():
                leftover.unlink()
            return False
        return True

    def _build(self, tool: Tool, work: Path, result: Path) -> None:
        minutes = f"{tool.minutes:g} minute{'s' if tool.minutes > 1 else ''}"
        self._say(
            f"building {', '.join(tool.files)} {tool.version} from source, about {minutes}; once"
        )
        log = self._cache / "logs" / f"{tool.name}-{tool.version}.log"
        try:
            with FileLock(self._cache / "go.lock"):
                go = go_build.find_go(self._cache, self._say)
            go_build.build(tool.program, tool.files, go, work, result, log, self._say)
            if tool.name == "pulumi":
                self._add_language_files(go, work, result)
        except (BuildFailed, subprocess.CalledProcessError) as error:
            raise ToolchainError(
                f"can't make {tool.name} {tool.version}: not on PATH in a version that fits, "
                f"no download from here, and {error}"
            ) from error

    def _add_language_files(self, go: Path, work: Path, result: Path) -> None:
        module = go_build.module_folder("github.com/pulumi/pulumi/sdk/v3", f"v{PULUMI}", go, work)
        for source in (
            "python/cmd/pulumi-language-python-exec",
            "python/dist/pulumi-resource-pulumi-python",
        ):
            target = result / Path(source).name
            target.write_bytes((module / source).read_bytes())
            target.chmod(0o755)


def _brief(error: Exception) -> str:
    text = str(error)
    return text if len(text) < 160 else text[:157] + "…"


def install_pulumi(toolchain: Toolchain, folder: Path, python: Path) -> Path:
    """Folder to put in front of PATH so that ``pulumi`` runs programs.

    A CLI that came with its language hosts stays where it is. For one built from source, ``folder``
    gets the binary (a hard link: the engine looks for plugins next to its own file) and language
    hosts run by ``python``: Python's, Node.js', and YAML's, which is built when it is first needed.
    """
    pulumi = toolchain.binary("pulumi")
    host = pulumi.resolve().parent / "pulumi-language-python"
    if host.exists() or pulumi.parent.joinpath("pulumi-language-python").exists():
        return pulumi.parent
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pulumi", "pulumi-language-python-exec", "pulumi-resource-pulumi-python"):
        _link(pulumi.parent / name, folder / name)
    executor = folder / "pulumi-language-python-exec"
    for language, more in {
        "nodejs": "",
        "python": f" --exec {_quoted(executor)}",
        "yaml": "",
    }.items():
        command = f"{_quoted(python)} -P {_quoted(_HOST)} --language {language}{more}"
        _place(folder / f"pulumi-language-{language}", f'#!/bin/sh\nexec {command} "$@"\n')
    return folder


def _place(target: Path, script: str) -> None:
    if target.exists() and target.read_text() == script:
        return
    partial = target.with_suffix(".new")
    partial.write_text(script)
    partial.chmod(0o755)
    partial.rename(target)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def _link(source: Path, target: Path) -> None:
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    partial = target.with_name(target.name + ".new")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(source)
    except OSError:
        shutil.copy2(source, partial)
    partial.rename(target)


def main(wanted: Sequence[str] = ()) -> int:
    """Make what a sandbox needs, or what `wanted` names; the exit code."""
    toolchain = Toolchain(default_cache())
    special = {tool.name: tool for tool in SPECIAL}
    recipes = (felix, frr_k8s, metallb, nodejs_sdk, traefik)
    builds = {each.BUILD.name: each.BUILD for each in recipes}
    if unknown := sorted(set(wanted) - {*builds, *special}):
        names = ", ".join(sorted({*builds, *special}))
        to_stderr(f"error: nothing is called {' '.join(unknown)}: say {names}, or nothing")
        return 2
    try:
        for name in [name for name in wanted if name in builds]:
            to_stderr(f"{name}: {builds[name].make(default_cache(), to_stderr)}")
        for tool in [special[name] for name in wanted if name in special] if wanted else TOOLS:
            for file in tool.files:
                to_stderr(f"{file}: {toolchain.binary(file)}")
    except ToolchainError as error:
        to_stderr(f"error: {error}")
        return 1
    return 0
