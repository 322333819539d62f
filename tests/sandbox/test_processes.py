"""Children that end with their parent, whatever ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.processes import (
    Child,
    Processes,
    ProcessFailed,
    free_port,
    recorded_process,
    write_pid_file,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.stop_all()


def test_output_goes_to_the_log(processes: Processes, tmp_path: Path) -> None:
    child = processes.start("talker", [sys.executable, "-c", "print('hello from the child')"])
    eventually(lambda: child.exit_code() == 0)
    assert (tmp_path / "logs" / "talker.log").read_text() == "hello from the child\n"


def test_the_environment_is_added_to(processes: Processes, tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], 'PATH' in os.environ)"
    child = processes.start("env", [sys.executable, "-c", code], {"COLOUR": "green"})
    eventually(lambda: child.exit_code() == 0)
    assert (tmp_path / "logs" / "env.log").read_text() == "green True\n"


def test_a_child_that_ignores_sigterm_is_killed(processes: Processes) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(600)"
    )
    child = processes.start("stubborn", [sys.executable, "-c", code])
    child.wait_until(lambda: "deaf" in child.log.read_text(), 10, what="its handler")
    child.stop(grace=0.2)
    assert child.exit_code() == -signal.SIGKILL


def test_waiting_for_a_child_that_ends_shows_the_end_of_its_log(processes: Processes) -> None:
    child = processes.start("broken", [sys.executable, "-c", "raise SystemExit('port 1 is taken')"])
    with pytest.raises(ProcessFailed, match=r"broken ended with exit code 1.*\n.*port 1 is taken"):
        child.wait_until(lambda: False, 10, what="readiness")


def test_waiting_has_an_end(processes: Processes) -> None:
    child = processes.start("slow", SLEEP)
    with pytest.raises(ProcessFailed, match=r"slow: readiness not reached within 0\.1 s"):
        child.wait_until(lambda: False, 0.1, what="readiness")


def test_running_and_stop_all(processes: Processes) -> None:
    children = [processes.start(f"child-{n}", SLEEP) for n in range(2)]
    assert processes.running() == children
    processes.stop_all()
    assert processes.running() == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG, which is Linux's")
def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from sandbox.processes import Processes; "
        "p = Processes(Path(sys.argv[1])); "
        f"print(p.start('child', {SLEEP!r}).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert psutil.pid_exists(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not psutil.pid_exists(child))


def test_leftovers_of_an_earlier_run_are_ended(processes: Processes, tmp_path: Path) -> None:
    child = processes.start("leftover", SLEEP)
    assert Processes(tmp_path).end_leftovers() == ["leftover"]
    assert not psutil.pid_exists(child.pid)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_pid_that_now_belongs_to_another_is_left_alone(
    processes: Processes, tmp_path: Path
) -> None:
    child: Child = processes.start("innocent", SLEEP)
    (tmp_path / "run" / "innocent.pid").unlink()
    (tmp_path / "run" / "gone.pid").write_text(f"{child.pid}\n1000000000.0\n")
    assert Processes(tmp_path).end_leftovers() == []
    assert child.exit_code() is None


def test_a_pid_file_names_its_process_until_that_ends(tmp_path: Path) -> None:
    file = tmp_path / "x.pid"
    process = subprocess.Popen(SLEEP)
    write_pid_file(file, process.pid)
    found = recorded_process(file)
    assert found is not None
    assert found.pid == process.pid
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert recorded_process(file) is None, "a zombie has ended"
    process.wait()
    assert recorded_process(file) is None


def test_a_preferred_port_is_kept_unless_taken() -> None:
    port = free_port()
    assert free_port(port) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert free_port(port) != port
