"""Child processes that don't outlive their parent.

On Linux the kernel ends a child when its parent dies (``PR_SET_PDEATHSIG``), SIGKILL included.
Elsewhere the next start ends what is left: each child's pid and start time are on file, and a pid
that has been given to another program is left alone.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

_POLL_SECONDS = 0.02
_BOUND_EXEC = Path(__file__).with_name("bound_exec.py")


class ProcessFailed(Exception):
    """A child that ended, or didn't become ready, when it should have."""


class Child:
    """A running child: ``pid``, ``log`` and how to end it."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path, pid_file: Path):
        self.name = name
        self.log = log
        self._popen = popen
        self._pid_file = pid_file

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float, *, what: str) -> None:
        """Poll ``ready`` until it is true.

        Raises ProcessFailed, with the end of the log, when the child ends or time runs out.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self.exit_code()
            if code is not None:
                raise ProcessFailed(f"{self.name} ended with exit code {code}; {self._log_end()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{self.name}: {what} not reached within {seconds:g} s; {self._log_end()}"
                )
            time.sleep(_POLL_SECONDS)

    def stop(self, grace: float = 5) -> None:
        """End the child: SIGTERM, and SIGKILL after ``grace`` seconds."""
        self._popen.terminate()
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._pid_file.unlink(missing_ok=True)

    def _log_end(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-6:]
        except FileNotFoundError:
            lines = []
        return f"its log {self.log} ends:\n" + "\n".join(lines)


class Processes:
    """Starts children, with pid files in ``folder``/run and logs in ``folder``/logs."""

    def __init__(self, folder: Path) -> None:
        self._run = folder / "run"
        self._logs = folder / "logs"
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        # PDEATHSIG counts the thread that forked as the parent, so one thread starts them all.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
        self._children: list[Child] = []
        self._lock = threading.Lock()

    def end_leftovers(self) -> list[str]:
        """End children of an earlier run that still live; their names."""
        ended = []
        for file in sorted(self._run.glob("*.pid")):
            process = recorded_process(file)
            if process is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    process.wait(5)
                ended.append(file.stem)
            file.unlink(missing_ok=True)
        return ended

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Child:
        """Start ``command``; its output goes to a log named after ``name``."""
        return self._starter.submit(self._start, name, command, env).result()

    def running(self) -> list[Child]:
        """Children that haven't ended."""
        with self._lock:
            return [child for child in self._children if child.exit_code() is None]

    def stop_all(self) -> None:
        """End every child, the latest first."""
        for child in reversed(self.running()):
            child.stop()
        self._starter.shutdown(wait=False)

    def _start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None) -> Child:
        log = self._logs / f"{name}.log"
        # The wrapper stays until the program replaces it: no Python runs between fork and exec.
        wrapper = [sys.executable, "-I", "-S", str(_BOUND_EXEC), str(os.getpid())]
        with log.open("ab") as out:
            popen = subprocess.Popen(
                [*wrapper, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,
            )
        pid_file = self._run / f"{name}.pid"
        write_pid_file(pid_file, popen.pid)
        child = Child(name, popen, log, pid_file)
        with self._lock:
            self._children.append(child)
        return child


def write_pid_file(file: Path, pid: int) -> None:
    """Write ``pid`` and, on a second line, when that process started (seconds since 1970)."""
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid).create_time()
        file.write_text(f"{pid}\n{started}\n")


def recorded_process(file: Path) -> psutil.Process | None:
    """The process that a pid file speaks of; None when that one has ended."""
    try:
        pid, started = file.read_text().split()
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < 0.5
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def free_port(preferred: int | None = None) -> int:
    """``preferred`` if nothing listens there, else any free port of 127.0.0.1."""
    if preferred:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", preferred))
                return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
