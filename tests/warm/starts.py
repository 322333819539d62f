"""Python processes that are forked instead of started, for the tests that run engines.

An engine's command starts four Pythons: the language host twice, the program, the dynamic
providers. All that these did was, by three quarters, loading the same third-party modules anew. So
a fleet's `.venv/bin/python` is a small client (`client.py`) of a process that has loaded them
(`server.py`), and forks. What the project has itself is loaded in each fork from the fleet's own
files; arguments, environment, folder, streams, signals and exit codes are as ever. There are two
such processes, each with a hash seed of its own, so that what depends on the order of a set still
differs from one command to the next. EDGEFLEET_WARM=0 does without, for all of a run or for one
command; the benches always do.
"""

import atexit
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from sandbox.toolchain.install import Toolchain, default_cache, install_pulumi
from tests.warm.client import SWITCH

HERE = Path(__file__).parent
SERVERS = 2


def wanted() -> bool:
    """Whether tests/conftest.py has switched it on, and nobody off."""
    return os.environ.get(SWITCH) == "1"


@cache
def servers() -> tuple[str, ...]:
    """Their sockets. They end with this process, whatever ends it."""
    folder = tempfile.TemporaryDirectory(prefix="edgefleet-warm-")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    sockets = [f"{folder.name}/{number}" for number in range(SERVERS)]
    started = [
        subprocess.Popen(
            [sys.executable, "-P", str(HERE / "server.py"), each],
            stdin=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        for each in sockets
    ]

    def end() -> None:
        for each in started:
            each.communicate()
        folder.cleanup()

    atexit.register(end)
    return tuple(sockets)


def environment(folder: Path, real: Path) -> None:
    """Make a virtual environment that has what `real` has, and where wanted, starts Python so."""
    if not wanted():
        folder.symlink_to(real)
        return
    (folder / "bin").mkdir(parents=True)
    for each in (*real.iterdir(), *(real / "bin").iterdir()):
        if each.name not in ("bin", "python"):
            (folder / each.relative_to(real)).symlink_to(each)
    client = folder / "bin" / "python"
    python = getattr(sys, "_base_executable", sys.executable)
    client.write_text(
        f"#!{python} -IS\n"
        f"import sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        f"import client\n"
        f"client.main({servers()!r}, {str(real / 'bin' / 'python')!r})\n"
    )
    client.chmod(0o755)


def host(folder: Path, python: Path) -> None:
    """Have the language host that a sandbox put into `folder`, if it did, run by this Python."""
    script = folder / "pulumi-language-python"
    if script.exists() and wanted():
        partial = script.with_suffix(".warm")
        partial.write_text(script.read_text().replace(f"'{sys.executable}'", f"'{python}'"))
        partial.chmod(0o755)
        partial.replace(script)


def pulumi(folder: Path) -> dict[str, str]:
    """What has a shell find a `pulumi` whose Pythons start so, and these; in `folder` they are,
    the virtual environment as `venv`."""
    python = folder / "venv" / "bin" / "python"
    environment(folder / "venv", Path(sys.prefix))
    tools = install_pulumi(Toolchain(default_cache()), folder / "bin", Path(sys.executable))
    host(folder / "bin", python)
    path = (str(tools), str(python.parent), os.environ["PATH"])
    return {"PATH": os.pathsep.join(path), "PULUMI_PYTHON_CMD": str(python)}
