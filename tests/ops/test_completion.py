"""What a shell completes, by the shells' own protocols."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.cli import application, called
from tests.projects import ROOT, copy_project, region, write_stack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = copy_project(tmp_path / "project")
    write_stack(project, "us-2", region())
    return project


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    script = tmp_path / "fleet"
    script.write_text(f"#!{sys.executable}\nfrom ops.cli import main\nmain()\n")
    script.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }


def test_bash_completes(project: Path, environment: dict[str, str]):
    """A bash that has taken in what `--show-completion bash` prints, as docs/cli.md says."""
    script = (
        'eval "$(fleet --show-completion bash)"\n'
        'function="$(complete -p fleet | sed "s/.* -F \\([^ ]*\\).*/\\1/")"\n'
        'asked() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); "$function" fleet;\n'
        '  echo "${COMPREPLY[*]}"; }\n'
        "asked fleet re\n"
        'asked fleet render us ""\n'
        "asked fleet render us --di\n"
    )
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "--norc", "-c", script], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "render reconcile replace-pool",
        "apac edge eu us us-2",
        "--dir --diff",
    ]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("fleet render us", {"us", "us-2"}),
        ("fleet import e", {"edge", "eu"}),
        ("fleet add us-3 --like us-", {"us-2"}),
        ("fleet add us-3 --like us --location o", {"ord"}),
        ("fleet list --canary a", {"apac"}),
        ("fleet ca init --stack ed", {"edge"}),
        ("fleet ca ro", {"rotate"}),
        ("fleet sandbox st", {"start", "stop", "status"}),
        ("fleet render --dir /nowhere ", set()),
    ],
)
def test_what_is_completed(
    project: Path, monkeypatch: pytest.MonkeyPatch, typed: str, completed: set[str]
):
    monkeypatch.chdir(project)
    words = typed.split(" ")
    asked = {
        "_FLEET_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    app = application(called(["fleet"], asked))
    done = CliRunner().invoke(app, [], prog_name="fleet", env=asked)
    assert set(done.stdout.split()) == completed


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_ask_otherwise(project: Path, environment: dict[str, str], shell: str):
    asked = {
        "_FLEET_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "fleet render us",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        ["fleet"], cwd=project, env={**environment, **asked}, capture_output=True, text=True
    )
    assert "us-2" in done.stdout
    assert "apac" not in done.stdout


def test_a_completion_loads_the_called_command_alone(project: Path):
    program = (
        "import os, sys, ops.cli\n"
        "os.environ |= {'_FLEET_COMPLETE': 'complete_bash', 'COMP_WORDS': 'fleet\\nlist\\n',"
        " 'COMP_CWORD': '2'}\n"
        "sys.argv = ['fleet']\n"
        "try: ops.cli.main()\n"
        "except SystemExit: pass\n"
        "print({name.split('.')[0] for name in sys.modules} & "
        "{'sandbox', 'kubernetes', 'ediri_vultr', 'werkzeug'})"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "set()"
