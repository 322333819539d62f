"""Network namespaces whose processes end with this one, whatever ends it.

Each has a PID and a mount namespace too. Nothing has a name in the machine's /run/netns, nothing is
written outside of tmpfs, and no rule, address or sysctl of the machine's own network is touched.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from sandbox.processes import Child, Processes

# program: Debian package. Asked for on a machine before anything starts.
TOOLS = {
    "busybox": "busybox", "curl": "curl", "ip": "iproute2", "ip6tables": "iptables",
    "iptables": "iptables", "nginx": "nginx-light", "node": "nodejs", "nsenter": "util-linux",
    "ufw": "ufw", "unshare": "util-linux",
}  # fmt: skip
_START_SECONDS = 30
_READY_SECONDS = 120
_POLL_SECONDS = 0.05


class TwinError(Exception):
    """The twin can't be made, or what was asked of it can't be done; worded for a person."""


def missing() -> str | None:
    """Why namespaces with these programs can't be made on this machine; None where they can."""
    if sys.platform != "linux":
        return "needs Linux: nodes are network namespaces"
    if os.geteuid() != 0:
        return "needs root: nodes are network namespaces"
    if absent := sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)}):
        return f"needs the Debian packages {' '.join(absent)}"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun, for a wire that is slow"
    trial = subprocess.run(
        [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "sh",
            "-c",
            "iptables -S && ip6tables -S",
        ],
        capture_output=True,
        text=True,
    )
    return f"no namespaces with iptables here: {trial.stderr.strip()}" if trial.returncode else None


class Namespace:
    """A machine: a network, a mount and a PID namespace. `setup` is a shell script that runs in it
    first. Raises ProcessFailed."""

    def __init__(self, processes: Processes, name: str, setup: str = "") -> None:
        self.name = name
        self._processes = processes
        self._programs: dict[str, Child] = {}
        # The log may have an earlier machine of this name.
        ready = f"made {uuid.uuid4()}"
        script = (
            f"set -e\nmount --make-rprivate /\nip link set lo up\n{setup}\n"
            f"echo {ready}\nwhile :; do sleep 3600 & wait; done"
        )
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        self._holder = processes.start(name, [*unshare, "--mount-proc", "sh", "-c", script])
        log = self._holder.log
        self._holder.wait_until(lambda: ready in log.read_text(), _START_SECONDS, what="setup")
        (init,) = psutil.Process(self._holder.pid).children()
        self.pid = init.pid
        self._check()

    def _check(self) -> None:
        """That whoever enters by PID 1 from in here comes out here, and not on the machine."""
        for kind in ("net", "mnt"):
            inner = self.run("readlink", f"/proc/1/ns/{kind}").strip()
            if inner == os.readlink(f"/proc/self/ns/{kind}") or not inner:
                raise TwinError(f"{self.name}: PID 1 is the machine's own; nothing was changed")

    @property
    def root(self) -> Path:
        """Its file system, seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    def command(self, *command: str, files: bool = True) -> list[str]:
        """`command` as it is run in here; with the machine's own files unless `files`."""
        mounts = ["-m"] if files else []
        return ["nsenter", "-t", str(self.pid), *mounts, "-n", "-p", "--", *command]

    def run(self, *command: str, stdin: str = "") -> str:
        """What `command` prints. Raises TwinError where it fails."""
        done = subprocess.run(self.command(*command), input=stdin, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise TwinError(f"{self.name}: {' '.join(command)[:200]}: {said}")
        return done.stdout

    def start(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        files: bool = False,
    ) -> Child:
        """A program that runs on, as `name`; with the machine's own files unless `files`."""
        full = self.command(*command, files=files)
        child = self._processes.start(f"{self.name}.{name}", full, env)
        self._programs[name] = child
        return child

    def processes_of(self, name: str) -> list[psutil.Process]:
        """A program's own processes, without nsenter's."""
        child = self._programs.get(name)
        if child is None or child.exit_code() is not None:
            return []
        return psutil.Process(child.pid).children(recursive=True)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to every process of a program."""
        for process in self.processes_of(name):
            _send(process, number)

    def send_first(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program's first process."""
        for process in self.processes_of(name)[:1]:
            _send(process, number)

    def end(self, name: str, grace: float = 0) -> None:
        """End a program: SIGTERM, and SIGKILL after `grace` seconds; at once where that is 0."""
        child = self._programs.pop(name, None)
        if child is None:
            return
        if child.exit_code() is None:
            processes = psutil.Process(child.pid).children(recursive=True)
            if grace:
                for process in processes[:1]:
                    _send(process, signal.SIGTERM)
                _, processes = psutil.wait_procs(processes, grace)
            for process in processes:
                _send(process, signal.SIGKILL)
        child.stop(1)

    def kill(self) -> None:
        """At once, with all that runs in here: the kernel ends a PID namespace with its first."""
        _send(psutil.Process(self.pid), signal.SIGKILL)
        self._holder.stop(1)
        for child in self._programs.values():
            child.stop(1)
        self._programs.clear()


def _send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; nobody there any more is no error."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def wait(condition: Callable[[], object], what: str, seconds: float = _READY_SECONDS) -> None:
    """Poll until it is true. Raises TwinError, which says `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TwinError(f"{what} after {seconds:g} s")
        time.sleep(_POLL_SECONDS)
