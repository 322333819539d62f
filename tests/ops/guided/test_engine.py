"""`pulumi up` as a step runs it, with a `pulumi` that says what the test wants."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.cli import application
from ops.guided.engine import Stopped, cause, up
from ops.upgrade.world import drains


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folder: `up` there is what the script does; it keeps its state in files there."""
    script = f"""#!/bin/sh
case $1 in
  whoami) echo '{{"url": "file://{tmp_path}"}}' ;;
  cancel) rm {tmp_path}/.pulumi/locks/o/p/us/*.json ;;
  up) . {tmp_path}/up ;;
  stack) cat {tmp_path}/state ;;
  refresh) echo "$*" >>{tmp_path}/refreshed ;;
esac
"""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi").write_text(script)
    (tmp_path / "state").write_text("{}")
    (tmp_path / "bin" / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def held(folder: Path, **lock: object) -> Path:
    path = folder / ".pulumi" / "locks" / "o" / "p" / "us" / "1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"username": "ann", "timestamp": "now", **lock}))
    return path


def test_what_it_prints_is_told_as_it_comes_and_its_first_error_is_the_cause(pulumi: Path):
    (pulumi / "up").write_text("echo one; echo 'error: too few nodes'; exit 255")
    said: list[str] = []
    with pytest.raises(Stopped, match="`pulumi up -s us` failed: too few nodes"):
        up(pulumi, "us", 1, said.append)
    assert said == ["    one", "    error: too few nodes"]


def test_an_engine_that_says_nothing_is_ended_and_its_last_word_told(pulumi: Path):
    (pulumi / "up").write_text(
        "echo waiting for nodes; exec python3 -c 'import time; time.sleep(60)'"
    )
    with pytest.raises(Stopped, match=r"nothing for 0\.02 minutes.*waiting for nodes"):
        up(pulumi, "us", 0.02, lambda _: None)


def test_the_lock_of_an_engine_that_was_killed_is_taken_away(pulumi: Path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = held(pulumi, pid=ended.pid, hostname=socket.gethostname())
    (pulumi / "up").write_text("true")
    said: list[str] = []
    up(pulumi, "us", 1, said.append)
    assert not lock.exists()
    assert "which was killed: pulumi cancel" in said[0]


def test_a_lock_of_another_machine_is_left_to_a_person(pulumi: Path):
    lock = held(pulumi, pid=1, hostname="elsewhere.example")
    with pytest.raises(Stopped, match=r"ann@elsewhere\.example.*pulumi cancel -s us"):
        up(pulumi, "us", 1, lambda _: None)
    assert lock.exists()


def test_what_a_killed_engine_had_begun_to_make_is_let_go_once_an_up_has_ended(pulumi: Path):
    root, record = "urn:pulumi:us::p::pulumi:pulumi:Stack::p-us", "urn:pulumi:us::p::X::us-dns-1-a"
    begun = [{"type": "creating", "resource": {"urn": record}}]
    made = {"resources": [{"urn": root, "type": "pulumi:pulumi:Stack"}]}
    (pulumi / "state").write_text(json.dumps({"deployment": {**made, "pending_operations": begun}}))
    (pulumi / "up").write_text("exit 1")
    with pytest.raises(Stopped):
        up(pulumi, "us", 1, lambda _: None)
    assert not (pulumi / "refreshed").exists()
    (pulumi / "up").write_text("true")
    up(pulumi, "us", 1, lambda _: None)
    said = (pulumi / "refreshed").read_text()
    assert f"--clear-pending-creates --target {root} -s us" in said


def test_the_cause_is_what_is_wrong_and_not_that_something_is():
    lines = ["error: update failed", "  error: cluster: 1 of 3 nodes", "Resources:"]
    assert cause(lines) == "cluster: 1 of 3 nodes"
    assert cause(["", "killed", ""]) == "killed"
    assert cause([]) == "it said nothing"


@pytest.mark.parametrize(
    ("config", "drained"),
    [
        ('{"regions": [{"name": "us", "drain": true}, {"name": "eu", "drain": false}]}', True),
        ('{"regions": [{"name": "us", "drain": false}]}', False),
        ('{"regions": [{"name": "eu", "drain": true}]}', False),
        ("", False),
        ("[1", False),
    ],
)
def test_what_a_table_says_of_a_region(config: str, drained: bool):
    assert drains(config, "us") is drained


@pytest.mark.parametrize("version", ["1.36", "v1.36.2", "latest"])
def test_a_version_that_is_none_is_refused_at_once(version: str):
    ran = CliRunner().invoke(application("upgrade"), ["upgrade", "us", "--to", version])
    assert ran.exit_code == 2
    assert f"--to {version}: is no version of VKE's, like v1.36.2+1" in ran.stderr


def test_a_stack_that_is_none_is_named():
    ran = CliRunner().invoke(application("upgrade"), ["upgrade", "uss", "--to", "v1.36.2+1"])
    assert ran.exit_code == 2
    assert "uss: is no region stack of this fleet; these are: apac, eu, us" in ran.stderr
