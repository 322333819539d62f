"""The DaemonSet's container: busybox, these capabilities and no more, and the loop."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from components.firewall.node import CAPABILITIES, config_data
from tests.packets.netns import Node, Packet
from tests.packets.worlds import ADMIN, OUTSIDER, SMALLEST, World, eventually, table_of

STRANGER = Packet(OUTSIDER, 443)


class Pod:
    """What the DaemonSet starts, but for the container runtime: busybox as the image's programs."""

    def __init__(self, folder: Path, node: Node, table: str, mode: str = "enforce") -> None:
        self.node = node
        self.files, self.status, programs = folder / "files", folder / "status", folder / "bin"
        for made in (self.files, self.status, programs):
            made.mkdir()
        subprocess.run(["busybox", "--install", "-s", str(programs)], check=True)
        for name, text in config_data(table).items():
            (self.files / name).write_text(text)
        self.command = [
            str(programs / "sh"), str(self.files / "loop.sh"), mode, "1", str(node.pid),
            str(self.files), str(self.status),
        ]  # fmt: skip
        self.environment = {"PATH": str(programs)}

    def start(self, capabilities: tuple[str, ...] = CAPABILITIES) -> "subprocess.Popen[str]":
        bounds = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
        setpriv = ["--no-new-privs", "--inh-caps=-all", f"--bounding-set={bounds}"]
        process = subprocess.Popen(
            [shutil.which("setpriv") or "", *setpriv, *self.command],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.node.children.append(process)
        return process

    @property
    def state(self) -> str:
        try:
            return (self.status / "state").read_text()
        except FileNotFoundError:
            return ""


def end(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=60)[0]


def test_the_pod_s_capabilities_are_enough_and_the_loop_keeps_at_it(
    bare: World, tmp_path: Path
) -> None:
    node, outside = bare
    pod = Pod(tmp_path, node, table_of(*SMALLEST))
    process = pod.start()
    eventually(lambda: pod.state.startswith("state=matches "), "the node was never closed")
    assert outside.passes([STRANGER]) == {STRANGER: False}

    node.run(*["iptables", "-I", "edgefleet-input", "-p", "tcp", "--dport", "443", "-j", "ACCEPT"])
    eventually(lambda: not outside.passes([STRANGER])[STRANGER], "the hole was never shut")

    output = end(process)
    assert process.returncode == 0
    assert "write our block in before.rules\n" in output
    assert output.count("state=matches mode=enforce changes=0") <= 2, "it repeats itself"


@pytest.mark.parametrize("dropped", [name for name in CAPABILITIES if name != "NET_RAW"])
def test_no_capability_is_idle(bare: World, tmp_path: Path, dropped: str) -> None:
    """NET_RAW is for iptables' older back end, where a node still uses it."""
    node, _ = bare
    pod = Pod(tmp_path, node, table_of(*SMALLEST))
    process = pod.start(tuple(name for name in CAPABILITIES if name != dropped))
    eventually(lambda: pod.state != "", "the loop says nothing")
    assert not pod.state.startswith("state=matches")
    end(process)


def test_a_node_without_ufw_is_a_state_not_a_crash(bare: World, tmp_path: Path) -> None:
    node, _ = bare
    node.run("mount", "--bind", "/dev/null", "/usr/sbin/ufw")
    pod = Pod(tmp_path, node, table_of(*SMALLEST))
    process = pod.start()
    eventually(lambda: pod.state != "", "the loop says nothing")
    assert 'state=unsupported mode=enforce changes=0 reason="no ufw on this node' in pod.state
    first = os.stat(pod.status / "state").st_mtime_ns
    eventually(
        lambda: os.stat(pod.status / "state").st_mtime_ns != first, "the loop has stopped trying"
    )
    assert process.poll() is None
    end(process)


def test_a_signal_lets_the_run_finish(bare: World, tmp_path: Path) -> None:
    node, outside = bare
    pod = Pod(tmp_path, node, table_of(*SMALLEST))
    process = pod.start()
    before = node.root / "etc/ufw/before.rules"
    eventually(lambda: "edgefleet" in before.read_text(), "the run never began")
    end(process)
    assert pod.state.startswith("state=matches ")
    ssh = Packet(ADMIN, 22)
    assert outside.passes([STRANGER, ssh]) == {STRANGER: False, ssh: True}
