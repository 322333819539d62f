"""Starting, stopping and asking about a sandbox, from any process."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from sandbox.daemon import PID_FILE
from sandbox.engine import environment, plugins, stacks
from sandbox.engine.environment import PROVIDERS, Running
from sandbox.processes import Processes, recorded_process
from sandbox.toolchain.install import Toolchain, ToolchainError, default_cache
from sandbox.toolchain.tools import TOOLS

_START_SECONDS = 300
_STOP_SECONDS = 30
_POLL_SECONDS = 0.05
_LOCK = "lock"
_LOG = Path("logs") / "daemon.log"

Say = Callable[[str], None]


class SandboxError(Exception):
    """What keeps a command from being carried out, worded for the user."""


def default_directory(project_dir: Path) -> Path:
    """``$EDGEFLEET_SANDBOX_DIR``, else ``.sandbox`` in the project."""
    return Path(os.environ.get("EDGEFLEET_SANDBOX_DIR") or project_dir / ".sandbox").resolve()


def running(directory: Path) -> Running | None:
    """The sandbox in ``directory`` if it runs and is ready."""
    process = recorded_process(directory / PID_FILE)
    try:
        found = Running.load(directory)
    except FileNotFoundError:
        return None
    return found if process is not None and process.pid == found.pid else None


def start(directory: Path, project_dir: Path, real: Sequence[str], say: Say) -> Running:
    """Start the sandbox, or join the one that runs; stacks for every stack file are made.

    Raises SandboxError.
    """
    if real:
        folder = plugins.folder_in(directory, os.environ)
        try:
            plugins.require(real, folder, os.environ.get("PATH", ""))
        except plugins.PluginError as error:
            raise SandboxError(f"--real {error}") from error
    with _locked(directory, say):
        found = running(directory)
        if found is None:
            # One whose `start` was interrupted may be on its way still.
            process = recorded_process(directory / PID_FILE)
            offset = 0
            if process is None:
                process, offset = _start_daemon(directory, project_dir, real, say)
            found = _ready(directory, process, offset, say)
        elif real and sorted(real) != found.real:
            now = ", ".join(found.real) or "none"
            raise SandboxError(
                f"a sandbox runs already, with real providers: {now}; "
                "run `fleet sandbox stop` first to change that"
            )
        else:
            say("the sandbox runs already")
        made = ensure_stacks(directory, project_dir, stacks.stack_names(project_dir))
        if made:
            say(f"made stacks: {', '.join(made)}")
    return found


def ensure_stacks(directory: Path, project_dir: Path, names: Sequence[str]) -> list[str]:
    """Make the stacks that don't exist yet, leaving stack files alone; their names.

    Raises SandboxError when no sandbox runs or there is no project.
    """
    found = _require(directory)
    try:
        return stacks.ensure_stacks(
            environment.backend(directory), project_dir, names, found.secrets_url
        )
    except stacks.ProjectError as error:
        raise SandboxError(str(error)) from error


def stop(directory: Path, say: Say) -> bool:
    """Stop the sandbox; its state stays. False when none runs. Raises SandboxError."""
    with _locked(directory, say):
        return _stop(directory, say)


def reset(directory: Path, say: Say) -> None:
    """Stop the sandbox and delete its state, that of its Pulumi stacks included.

    Raises SandboxError.
    """
    with _locked(directory, say):
        _stop(directory, say)
        for entry in directory.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    say(f"removed the state in {directory}")


def env(directory: Path, project_dir: Path, path: str) -> dict[str, str]:
    """The variables to export; makes missing stacks too. Raises SandboxError."""
    found = _require(directory)
    if (project_dir / "Pulumi.yaml").exists():
        ensure_stacks(directory, project_dir, stacks.stack_names(project_dir))
    return environment.variables(directory, found, environment.without(path, directory))


def status(directory: Path) -> dict[str, Any]:
    """What runs: ports, clusters, memory (resident, MB), what is real and what is emulated."""
    found = running(directory)
    if found is None:
        return {"running": False, "directory": str(directory)}
    processes = _memory(directory, found.pid)
    clusters = _read_json(directory / "clusters.json", [])
    for cluster in clusters:
        cluster["memory_mb"] = sum(
            mb for name, mb in processes.items() if name.startswith(cluster["id"])
        )
    emulated = ["Vultr API", "Cloudflare API", "kubelets (kwok)"]
    emulated += [f"{name} provider" for name in PROVIDERS if name not in found.real]
    actual = ["Pulumi engine and CLI", "etcd", "kube-apiserver", "kube-controller-manager"]
    actual += ["kube-scheduler", *(f"{name} provider" for name in found.real)]
    return {
        "running": True,
        "directory": str(directory),
        "pid": found.pid,
        "started": found.started,
        "ports": found.ports,
        "providers": found.plugins,
        "clusters": clusters,
        "memory_mb": sum(processes.values()),
        "real": actual,
        "emulated": emulated,
    }


@contextlib.contextmanager
def _locked(directory: Path, say: Say) -> Iterator[None]:
    lock = FileLock(directory / _LOCK)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another `fleet sandbox` command")
        lock.acquire()
    except OSError as error:
        raise SandboxError(
            f"the sandbox can't be kept in {directory}: {error.strerror}. "
            "Set EDGEFLEET_SANDBOX_DIR to a folder that you may write"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _require(directory: Path) -> Running:
    found = running(directory)
    if found is None:
        raise SandboxError("no sandbox runs here: run `fleet sandbox start`")
    return found


def _start_daemon(
    directory: Path, project_dir: Path, real: Sequence[str], say: Say
) -> tuple[psutil.Process, int]:
    """The process, and where in the log its lines begin."""
    outside = environment.outside(os.environ, directory)
    for name in os.environ.keys() - outside.keys():
        del os.environ[name]  # A proxy that is gone would keep downloads and builds from working.
    toolchain = Toolchain(default_cache(), ignore=[directory], say=say)
    try:
        for tool in TOOLS:
            for file in tool.files:
                toolchain.binary(file)
    except ToolchainError as error:
        raise SandboxError(str(error)) from error
    log = directory / _LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        offset = out.tell()
        daemon = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sandbox.daemon",
                f"--dir={directory}",
                *(f"--real={name}" for name in real),
            ],
            cwd=project_dir,
            env=outside,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return psutil.Process(daemon.pid), offset


def _ready(directory: Path, daemon: psutil.Process, offset: int, say: Say) -> Running:
    follow = _Follow(directory / _LOG, offset, say)
    deadline = time.monotonic() + _START_SECONDS
    while (found := running(directory)) is None:
        follow.show()
        if not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE:
            follow.show()
            raise SandboxError(f"the sandbox didn't start; its log is {directory / _LOG}")
        if time.monotonic() > deadline:
            daemon.terminate()
            raise SandboxError(
                f"not ready within {_START_SECONDS} s; the log is {directory / _LOG}"
            )
        time.sleep(_POLL_SECONDS)
    follow.show()
    return found


class _Follow:
    """Passes on what is added to a log."""

    def __init__(self, log: Path, offset: int, say: Say) -> None:
        self._log = log
        self._offset = offset
        self._say = say

    def show(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self._say(line)


def _stop(directory: Path, say: Say) -> bool:
    process = recorded_process(directory / PID_FILE)
    if process is not None:
        say("stopping")
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()
    Processes(directory).end_leftovers()
    for name in ("sandbox.json", "clusters.json", PID_FILE):
        (directory / name).unlink(missing_ok=True)
    return process is not None


def _memory(directory: Path, daemon_pid: int) -> dict[str, int]:
    """Resident memory in MB by process name."""
    found = {}
    files = {file.stem: file for file in (directory / "run").glob("*.pid")}
    for name, process in {n: recorded_process(f) for n, f in files.items()}.items():
        if process is not None:
            found[name] = _resident(process)
    with contextlib.suppress(psutil.NoSuchProcess):
        found["daemon"] = _resident(psutil.Process(daemon_pid))
    return found


def _resident(process: psutil.Process) -> int:
    try:
        return round(process.memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0


def _read_json(file: Path, default: Any) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return default
