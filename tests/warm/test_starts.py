"""A Python that is forked does what one that is started does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.projects import ROOT
from tests.warm import starts
from tests.warm.client import SWITCH

TOLD = """
import json, os, sys
json.dump([sys.argv[1:], os.getcwd(), os.environ["SAID"], __name__, __file__, sys.stdin.read(),
           {}.__class__.__name__], sys.stdout)
sys.stderr.write(str("pulumi" in sys.modules))
import beside
sys.exit(int(sys.argv[1]))
"""
HASH = "import sys; sys.stdout.write(str(hash('edgefleet')))"
WAITS = """
import atexit, pathlib, sys, time
def ended(): pathlib.Path("ended").touch()
atexit.register(ended)
sys.stdout.write("waits\\n")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of an environment of its own, whose servers are ready."""
    folder = tmp_path_factory.mktemp("warm") / ".venv"
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as changed:
        changed.setenv(SWITCH, "1")
        starts.environment(folder, ROOT / ".venv")
    eventually(lambda: all(Path(each).exists() for each in starts.servers()))
    return folder / "bin" / "python"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def script(folder: Path, text: str) -> str:
    (folder / "beside.py").write_text("")
    (folder / "script.py").write_text(text)
    return str(folder / "script.py")


def ran(python: Path, folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [python, *arguments],
        cwd=folder,
        env={**os.environ, SWITCH: "1", "SAID": "so", **variables},
        input="asked",
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("code", ["0", "3"])
def test_it_ends_and_prints_as_a_started_one_and_has_loaded_the_sdk(
    python: Path, tmp_path: Path, code: str
) -> None:
    command = ("-u", script(tmp_path, TOLD), code, "b c")
    warm = ran(python, tmp_path, *command)
    cold = ran(python, tmp_path, *command, **{SWITCH: "0"})
    assert warm[:2] == cold[:2]
    assert warm[0] == int(code)
    assert (warm[2], cold[2]) == ("True", "False")


def test_a_module_too(python: Path, tmp_path: Path) -> None:
    script(tmp_path, TOLD)
    assert ran(python, tmp_path, "-u", "-m", "script", "0")[0::2] == (0, "True")


def test_what_raises_is_told(python: Path, tmp_path: Path) -> None:
    code, _, told = ran(python, tmp_path, "-u", script(tmp_path, "raise ValueError('no')"))
    assert code == 1
    assert told.endswith("ValueError: no\n")


def test_anything_else_is_a_started_one(python: Path, tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write(str('pulumi' in sys.modules))"
    assert ran(python, tmp_path, "-c", code)[1] == "False"


def test_the_order_of_sets_differs_between_the_servers(python: Path, tmp_path: Path) -> None:
    """By chance, each time."""
    command, seen = ("-u", script(tmp_path, HASH)), set[str]()
    eventually(lambda: seen.add(ran(python, tmp_path, *command)[1]) or len(seen) == starts.SERVERS)


def waiting(python: Path, folder: Path) -> tuple["subprocess.Popen[str]", psutil.Process]:
    """A client, and what works for it."""
    before = {each.pid for server in servers() for each in server.children()}
    process = subprocess.Popen(
        [python, "-u", script(folder, WAITS)],
        cwd=folder,
        env={**os.environ, SWITCH: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "waits\n"
    (work,) = [c for server in servers() for c in server.children() if c.pid not in before]
    return process, work


def servers() -> list[psutil.Process]:
    name = str(Path(starts.__file__).with_name("server.py"))
    return [each for each in psutil.Process().children() if name in each.cmdline()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_the_work(python: Path, tmp_path: Path, number: signal.Signals) -> None:
    process, work = waiting(python, tmp_path)
    process.send_signal(number)
    assert process.wait() == -number
    eventually(lambda: not work.is_running())
    assert not (tmp_path / "ended").exists()


def test_an_interrupt_is_met_by_the_program(python: Path, tmp_path: Path) -> None:
    process, _ = waiting(python, tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 1
    assert (tmp_path / "ended").exists()


def test_the_servers_end_with_who_started_them(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from tests.warm import starts\n"
        f"starts.environment(Path({str(tmp_path)!r}) / 'v', Path({str(ROOT)!r}) / '.venv')\n"
        "print(flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, SWITCH: "1"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    started = psutil.Process(process.pid).children()
    assert len(started) == starts.SERVERS
    process.kill()
    process.wait()
    eventually(lambda: not any(each.is_running() for each in started))
