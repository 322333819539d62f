"""What the fleet costs on a sandbox of its own: bringing it up, and previewing it.

Takes about four minutes. The project is a copy, so that all figures are of one state of it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from bench.previews import previews
from bench.report import entry
from sandbox import lifecycle
from sandbox.daemon import PID_FILE
from sandbox.processes import recorded_process
from tests.fleet.fleet import Fleet
from tests.projects import ROOT

COLD_SECONDS = 120
REPEATED_SECONDS = 45
MEMORY_MB = 4000
DEMO_TIMEOUT = 240


def run() -> list[dict[str, Any]]:
    """Figures in seconds and MB (millions of bytes)."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        # Also makes what a first start makes once and for all, so that the demo is a warm one.
        fleet = Fleet.make(Path(folder))
        try:
            lifecycle.reset(fleet.directory, _quiet)
            return [*demo(fleet), *previews(fleet, Path(folder))]
        finally:
            fleet.stop()


# --- make demo --------------------------------------------------------------------------------


def demo(fleet: Fleet) -> list[dict[str, Any]]:
    """`make demo` from nothing up, and again."""
    for name in ("ops", "sandbox"):
        shutil.copytree(ROOT / name, fleet.project / name, ignore=shutil.ignore_patterns("__pyc*"))
    with Memory(fleet.directory) as memory:
        cold = _make_demo(fleet)
    again = _make_demo(fleet)
    fleet.reload()
    entries = [
        entry("make demo from nothing up, of its limit", cold, COLD_SECONDS, "s"),
        entry("make demo on running stacks, of its limit", again, REPEATED_SECONDS, "s"),
        entry("peak memory of the sandbox, RSS, of its limit", memory.rss, MEMORY_MB, "MB"),
    ]
    if memory.pss:
        name = "peak memory of make demo, engines and programs too, PSS, of its limit"
        entries.append(entry(name, memory.pss, MEMORY_MB, "MB"))
    return entries


def _make_demo(fleet: Fleet) -> float:
    """Seconds that the two commands of `make demo` take when everything is installed."""
    commands = [["-m", "sandbox.toolchain"], ["-c", "from ops.cli import main; main()", "demo"]]
    environment = {**os.environ, "EDGEFLEET_SANDBOX_DIR": str(fleet.directory)}
    begin = time.perf_counter()
    for command in commands:
        ended = subprocess.run(
            [sys.executable, *command],
            cwd=fleet.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEMO_TIMEOUT,
        )
        if ended.returncode:
            raise RuntimeError(f"make demo failed:\n{ended.stdout}")
    return time.perf_counter() - begin


class Memory:
    """The most memory, in MB, while the context lasts.

    `rss` is the sandbox's as `fleet sandbox status` adds it up; `pss` that of all processes that
    `make demo` started, 0 where the kernel doesn't tell.
    """

    def __init__(self, directory: Path) -> None:
        self.rss = 0.0
        self.pss = 0.0
        self._directory = directory
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._done.wait(0.5):
            status = lifecycle.status(self._directory)
            self.rss = max(self.rss, status.get("memory_mb", 0))
            self.pss = max(self.pss, sum(map(proportional, self._processes())))

    def _processes(self) -> list[psutil.Process]:
        # The daemon may be no child any more: `fleet demo`, which started it, ends before it does.
        found = {process.pid: process for process in _descendants(psutil.Process())}
        if daemon := recorded_process(self._directory / PID_FILE):
            found |= {process.pid: process for process in [daemon, *_descendants(daemon)]}
        return list(found.values())


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def proportional(process: psutil.Process) -> float:
    """PSS in MB, 0 for a process that is gone, or where the kernel doesn't tell."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    kilobytes = (line.split()[1] for line in text.splitlines() if line.startswith("Pss:"))
    return int(next(kilobytes, "0")) * 1024 / 1e6


def _quiet(line: str) -> None:
    pass
