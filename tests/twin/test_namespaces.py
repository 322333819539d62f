"""Machines and the internet between them, with real packets; and that nothing outlives a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.processes import Processes
from sandbox.twin.internet import Internet
from sandbox.twin.namespaces import Namespace, TwinError

pytestmark = pytest.mark.usefixtures("machine")

ROOT = Path(__file__).resolve().parents[2]
NODE, NODE6 = "45.76.1.10", "2001:19f0:1:a::10"
VISITOR, VISITOR6 = "198.51.100.7", "2001:db8:f::7"
ASK = """
import socket, sys, time
begin = time.monotonic()
try:
    socket.create_connection((sys.argv[2], 99), 1.5, (sys.argv[1], 0))
except OSError as error:
    print(type(error).__name__, time.monotonic() - begin)
"""
# A machine, a program in it, and another that knows nothing of either.
DRIVER = """
import sys, time
from pathlib import Path
from sandbox.processes import Processes
from sandbox.twin.internet import Internet
from sandbox.twin.namespaces import Namespace
processes = Processes(Path(sys.argv[1]))
internet = Internet(processes, 1)
internet.lay_wire(1, 0)
node = Namespace(processes, "node")
internet.connect(node, ["45.76.1.10"], ["45.76.1.10"])
node.start("loop", ["sh", "-c", "while :; do sleep 1000 & wait; done"])
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def internet(tmp_path: Path) -> Iterator[tuple[Internet, Namespace, Namespace]]:
    """With a node and a visitor at it."""
    processes = Processes(tmp_path)
    try:
        made = Internet(processes, seed=1)
        node, visitors = Namespace(processes, "node"), Namespace(processes, "visitors")
        made.connect(node, [NODE, NODE6], [NODE, NODE6])
        made.connect(visitors, [VISITOR, VISITOR6], [VISITOR, VISITOR6])
        yield made, node, visitors
    finally:
        processes.stop_all()


def asked(visitors: Namespace) -> list[tuple[str, float]]:
    """What comes of a connection to a port where nobody listens, by both families, and when."""
    pairs = ((VISITOR, NODE), (VISITOR6, NODE6))
    said = [visitors.run(sys.executable, "-c", ASK, *pair).split() for pair in pairs]
    return [(name, float(seconds)) for name, seconds in said]


def test_a_machine_is_reached_slowly_or_not_at_all_as_long_as_that_lasts(
    internet: tuple[Internet, Namespace, Namespace],
) -> None:
    net, node, visitors = internet
    refused, lost = ["ConnectionRefusedError"] * 2, ["TimeoutError"] * 2
    assert [name for name, _ in asked(visitors)] == refused
    net.cut("cut", [NODE, NODE6])
    assert [name for name, _ in asked(visitors)] == lost
    net.mend("cut")
    net.lay_wire(delay_ms=100, loss_percent=0)
    net.slow("slow", [NODE, NODE6])
    slow = asked(visitors)
    assert [name for name, _ in slow] == refused
    assert min(seconds for _, seconds in slow) >= 0.2, "there and back"
    net.mend("slow")
    assert [name for name, _ in asked(visitors)] == refused
    node.kill()
    assert [name for name, _ in asked(visitors)] == lost, "a dead machine says nothing"


def test_a_private_network_joins_its_own_machines_and_a_cable_can_be_pulled(
    internet: tuple[Internet, Namespace, Namespace],
) -> None:
    net, node, visitors = internet
    ports = [net.join(node, "one", "10.1.96.4"), net.join(visitors, "one", "10.1.96.5")]
    ask = [sys.executable, "-c", ASK, "10.1.96.5", "10.1.96.4"]
    assert visitors.run(*ask).startswith("ConnectionRefusedError")
    # felix takes the index of a cable's other end for one of its node's own interfaces.
    own = {int(line.split(":")[0]) for line in node.run("ip", "-o", "link").splitlines()}
    ends = {int(line.split(":")[0]) for line in net.run("ip", "-o", "link").splitlines()}
    assert {each for each in ends if each > 1000} >= set(range(1001, 1005))
    assert max(own) < 1000
    net.unplug(ports[:1])
    assert not visitors.run(*ask).startswith("ConnectionRefusedError")


def test_what_fails_in_a_machine_is_told_with_its_name(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    node = Namespace(processes, "node")
    try:
        with pytest.raises(TwinError, match=r"^node: cat /nowhere: .*No such file"):
            node.run("cat", "/nowhere")
    finally:
        processes.stop_all()


def state_of_the_machine() -> tuple[str, ...]:
    """Links, routes, rules and firewalls of the machine's own."""
    commands = ("ip -br link", "ip rule", "ip -6 rule", "ip route", "iptables-save", "ip netns")
    done = [subprocess.run(c.split(), capture_output=True, text=True).stdout for c in commands]
    return tuple("".join(x for x in text.splitlines(True) if x[0] != "#") for text in done)


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_nothing_outlives_a_kill(tmp_path: Path) -> None:
    before = state_of_the_machine()
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout
    assert driver.stdout.readline() == "up\n"
    started = psutil.Process(driver.pid).children(recursive=True)
    assert len(started) > 6
    namespaces = {os.readlink(f"/proc/{each.pid}/ns/net") for each in started}
    assert len(namespaces) == 3, "the internet, the node, and the machine's own of what waits"
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    eventually(lambda: not any(map(alive, started)), "what was started runs on")
    assert state_of_the_machine() == before


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
