"""What holds for every command of `fleet`."""

import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from infra.errors import SettingsError
from ops.cli import application
from ops.files import write_atomically
from tests.projects import ROOT, copy_project, git, region, write_stack

APART = ("sandbox", "demo", "twin")
"""They touch nothing but the sandbox; docs/cli.md says what they answer."""


def commands(group: typer.Typer, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [
        (*path, each.name or name(each.callback)) for each in group.registered_commands
    ]
    if group.registered_callback and group.registered_callback.invoke_without_command is True:
        found.append(path)
    for each in group.registered_groups:
        assert each.typer_instance
        found += commands(each.typer_instance, (*path, str(each.name)))
    return [command for command in found if command[0] not in APART]


def name(function: Any) -> str:
    return function.__name__


COMMANDS = set(commands(application()))


def test_all_of_them_are_looked_at():
    assert {("add",), ("ca", "init"), ("images", "lock"), ("ranges",)} <= COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS), ids=" ".join)
def test_a_command_says_its_exit_codes_and_speaks_json(command: tuple[str, ...]):
    shown = CliRunner().invoke(application(), [*command, "--help"], env={"COLUMNS": "200"}).stdout
    assert "Exit code: 0" in shown
    assert "--json" in shown


@pytest.mark.parametrize(
    ("command", "default"),
    [("add", "the stack's name"), ("import", "the stack's name"), ("list", "a drained region")],
)
def test_a_default_in_words_is_shown(command: str, default: str):
    shown = CliRunner().invoke(application(), [command, "--help"], env={"COLUMNS": "200"}).stdout
    assert default in " ".join(shown.split())


def test_progress_is_told_on_a_terminal_alone():
    command = [sys.executable, "-c", "from ops.cli import main; main()", "render", "edge"]
    ours, theirs = pty.openpty()
    on_terminal = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)  # or a read would wait for what never comes
    assert on_terminal.returncode == 0
    assert "rendering " in os.read(ours, 4096).decode()
    os.close(ours)
    piped = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert (piped.stdout, piped.stderr) == (on_terminal.stdout, b"")


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """What `fleet` prints on stderr, where that is a terminal."""
    command = [sys.executable, "-c", "from ops.cli import main; main()", *arguments]
    ours, theirs = pty.openpty()
    environment = {**os.environ, **variables}
    environment.pop("NO_COLOR" if "NO_COLOR" not in variables else "", None)
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    said = os.read(ours, 4096).decode()
    os.close(ours)
    return said


def test_no_colour_where_none_is_wanted():
    mistake = ("list", "--dir", "/nowhere")
    assert on_a_terminal(*mistake).startswith("\x1b[31merror: /nowhere")
    assert on_a_terminal(*mistake, NO_COLOR="1").startswith("error: /nowhere")
    assert "\x1b" in on_a_terminal(*mistake, NO_COLOR="")


def test_the_version():
    done = CliRunner().invoke(application(""), ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"fleet {version('edgefleet-fleet')}\n")


@pytest.mark.parametrize("command", [(), ("list",), ("ca", "init"), ("sandbox",)], ids=" ".join)
def test_help_is_short_too(command: tuple[str, ...]):
    shown = [CliRunner().invoke(application(), [*command, each]) for each in ("-h", "--help")]
    assert shown[0].exit_code == 0
    assert shown[0].stdout == shown[1].stdout


def test_a_folder_that_is_not_there(tmp_path: Path):
    for command in (["list"], ["cost"], ["render"], ["ca", "init"], ["import", "us"]):
        done = CliRunner().invoke(application(), [*command, "--dir", str(tmp_path / "none")])
        assert done.exit_code == 2
        assert "there is no Pulumi.yaml here or above" in done.stderr


def test_a_file_that_cannot_be_written(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"none/x: can't be written: No such file or directory"):
        write_atomically(tmp_path / "none" / "x", "")


def test_a_command_loads_nothing_of_the_others():
    """`fleet list` answers in a third of the time that everything takes to load."""
    program = (
        "import sys, ops.cli\n"
        "ops.cli.application('list')\n"
        "print({name.split('.')[0] for name in sys.modules} & "
        "{'sandbox', 'kubernetes', 'ediri_vultr', 'werkzeug'})"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_commands_that_are_only_listed_are_all_there():
    def listed(called: str | None) -> list[tuple[str | None, str | None]]:
        app = application(called)
        return sorted(
            (each.name, each.short_help)
            for each in (*app.registered_commands, *app.registered_groups)
        )

    assert listed("") == listed(None) == listed("render")
    unknown = CliRunner().invoke(application("rendr"), ["rendr"])
    assert unknown.exit_code == 2
    assert "Did you mean 'render'?" in unknown.stderr


def test_an_interrupt_while_modules_are_loaded_is_no_traceback():
    program = (
        "import sys, ops.cli\n"
        "def interrupted(called): raise KeyboardInterrupt\n"
        "ops.cli.application = interrupted\n"
        "ops.cli.main()"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (130, "")


def test_an_interrupt_of_a_command_is_no_traceback():
    program = (
        "import sys, ops.cli, ops.listing\n"
        "def interrupted(folder): raise KeyboardInterrupt\n"
        "ops.listing.load = interrupted\n"
        "sys.argv = ['fleet', 'list']\n"
        "ops.cli.main()"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (130, "")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["list", "us"], "unexpected extra argument"),
        (["render", "--dif", "main"], "--diff"),
        (["render", "eu", "us2"], "Pulumi.us2.yaml: there is no such file"),
        (["render", "--format", "html"], "'html'"),
        (["add"], "Missing argument"),
        (["import", "us2"], "there is no such file"),
        (["images", "lok"], "Did you mean 'lock'?"),
        (["ranges", "updat"], "Did you mean 'update'?"),
        (["ca", "init", "--stack", "us"], "'us' is not one"),
        (["sandbox", "strat"], "'start'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_line_that_cannot_be_read(
    command: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(copy_project(tmp_path))
    done = CliRunner().invoke(application(command[0]), command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_render_tells_what_the_inventory_warns_of(tmp_path: Path):
    """A stack file that git doesn't track changes nothing; a plan nobody knows may be wrong."""
    project = copy_project(tmp_path)
    git(project, "init", "-q")
    git(project, "add", ".")
    write_stack(project, "dev", region("dev"))
    write_stack(project, "us", region(pools=[{"label": "edge", "plan": "vc9", "nodes": 1}]))
    done = CliRunner().invoke(application("render"), ["render", "us", "--dir", str(project)])
    assert done.exit_code == 0
    assert "warning: Pulumi.dev.yaml is not tracked by git and not part of the fleet" in done.stderr
    assert "edgefleet:cluster.pools[0].plan: 'vc9' is not in the list of " in done.stderr
    assert "warning" not in done.stdout
