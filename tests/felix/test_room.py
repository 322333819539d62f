"""felix's room: all of it goes with whoever made it, and the machine stays as it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.felix import node
from sandbox.processes import Processes, ProcessFailed
from sandbox.toolchain import felix
from sandbox.toolchain.install import default_cache
from tests.felix.world import until
from tests.packets.netns import Namespace

pytestmark = pytest.mark.usefixtures("runs_felix")

_MADE = """
import sys, time
from pathlib import Path
from sandbox.felix.node import FelixNode
from sandbox.processes import Processes
from tests.packets.netns import Namespace
built, folder = map(Path, sys.argv[1:])
network = Namespace()
made = FelixNode(built, Processes(folder), "n1", network.pid, folder / "no-kubeconfig")
made.start({"FELIX_BPFENABLED": "true"})
child = made.run("sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!")
while not made.log: time.sleep(0.1)
print(made.cgroup, child.strip(), network.pid, flush=True)
time.sleep(300)
"""


def of_the_machine() -> list[str]:
    """What a felix that got out of its room would change."""
    commands = ("ip -br link", "iptables-save -t filter", "ip6tables-save -t filter", "ip rule")
    shown = [subprocess.run(c.split(), capture_output=True, text=True).stdout for c in commands]
    keys = ("kernel/unprivileged_bpf_disabled", "net/core/bpf_jit_harden", "net/ipv4/ip_forward")
    settings = [Path("/proc/sys", key).read_text() for key in keys]
    rules = [line for text in shown for line in text.splitlines() if not line.startswith("#")]
    mounts = Path("/proc/mounts").read_text()
    return [*rules, *settings, mounts]


def test_a_kill_leaves_nothing(tmp_path: Path) -> None:
    before = of_the_machine()
    built = felix.BUILD.built(default_cache())
    command = [sys.executable, "-c", _MADE, str(built), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout
        cgroup, *pids = made.stdout.readline().split()
        assert Path(cgroup, "cgroup.procs").read_text().split()
        assert of_the_machine() == before
        os.kill(made.pid, signal.SIGKILL)
    until(lambda: not Path(cgroup).exists(), f"{cgroup} goes")
    until(lambda: not any(Path("/proc", pid).exists() for pid in pids), "all its processes end")
    assert of_the_machine() == before


def test_what_a_kill_of_all_has_left_goes_with_the_next_start(tmp_path: Path) -> None:
    top = node.cgroups()
    assert top
    left = top / "edgefleet-felix-999999999-n1-1"
    left.mkdir()
    built = felix.BUILD.built(default_cache())
    assert built
    with Namespace() as network:
        made = node.FelixNode(built, Processes(tmp_path), "n1", network.pid, tmp_path / "none")
        assert not left.exists()
        assert made.cgroup.exists()
        assert made.run("cat", "/proc/self/cgroup").splitlines()[-1] == "0::/"
        with pytest.raises(ProcessFailed, match="Read-only file system"):
            made.run("sh", "-c", "echo 1 >/proc/sys/kernel/unprivileged_bpf_disabled")
        made.close()
        assert not made.cgroup.exists()


def test_a_network_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    built = felix.BUILD.built(default_cache())
    assert built
    with pytest.raises(ProcessFailed, match="no room for felix on n1: nsenter"):
        node.FelixNode(built, Processes(tmp_path), "n1", 999999999, tmp_path / "none")
