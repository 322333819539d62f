"""Programs run by the real engine through our language host, where the CLI was built here."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sandbox.engine.python_environment import required_plugins
from sandbox.engine.python_host import executor_arguments
from tests.projects import ROOT
from tests.sandbox.engine.cli_project import Project, cli

DYNAMIC = """
    import pulumi
    import kiln

    pot = kiln.Pot("pot", {"size": pulumi.Config().require("size")})
    pulumi.export("size", pot.size)
    pulumi.log.info("argv and folder are right" if __name__ == "__main__" else "wrong")
"""
PROVIDER = """
    import pulumi
    from pulumi.dynamic import (
        CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult,
    )

    class Provider(ResourceProvider):
        def create(self, props):
            return CreateResult("pot-1", {"size": props["size"]})
        def diff(self, id, olds, news):
            return DiffResult(changes=olds["size"] != news["size"])
        def update(self, id, olds, news):
            return UpdateResult({"size": news["size"]})
        def read(self, id, props):
            return ReadResult(id, {"size": props["size"]})

    class Pot(Resource, name="Pot"):
        size: pulumi.Output[str]
        def __init__(self, name, props):
            super().__init__(Provider(), name, props)
"""


def python(virtualenv: str) -> str:
    runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {virtualenv}}}}}"
    return f"name: shop\nruntime: {runtime}\n"


@pytest.fixture(scope="module")
def pulumi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cli(tmp_path_factory.mktemp("pulumi"))


@pytest.fixture
def project(tmp_path: Path, pulumi: Path) -> Project:
    return Project(tmp_path, pulumi, python(os.path.relpath(sys.prefix, tmp_path / "project")))


def test_dynamic_resource_from_preview_to_destroy(project: Project) -> None:
    project.write("__main__.py", DYNAMIC)
    project.write("kiln.py", PROVIDER)
    done = project.run("preview", "-s", "dev")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+ 2 to create" in done.stdout
    assert "argv and folder are right" in done.stdout
    assert "from $PATH" not in done.stdout + done.stderr

    done = project.run("up", "-s", "dev", "--yes", "--skip-preview")
    assert "+ 2 created" in done.stdout, done.stdout + done.stderr
    done = project.run("preview", "-s", "dev", "--expect-no-changes", "--refresh")
    assert done.returncode == 0, done.stdout + done.stderr
    done = project.run("stack", "output", "size", "-s", "dev")
    assert done.stdout.strip() == "small"

    done = project.run("up", "-s", "dev", "--yes", "--skip-preview", "-c", "shop:size=large")
    assert "~ 1 updated" in done.stdout, done.stdout + done.stderr
    done = project.run("destroy", "-s", "dev", "--yes", "--skip-preview")
    assert "- 2 deleted" in done.stdout, done.stdout + done.stderr


def test_an_exception_shows_the_programs_traceback_once(project: Project) -> None:
    project.write("__main__.py", "def bake():\n    raise ValueError('oven is cold')\n\nbake()\n")
    done = project.run("preview", "-s", "dev")
    assert done.returncode != 0
    shown = done.stdout + done.stderr
    assert "ValueError: oven is cold" in shown
    assert "in bake" in shown
    assert "language_host.py" not in shown
    assert "non-zero exit code" not in shown


def test_an_exit_code_is_named(project: Project) -> None:
    project.write("__main__.py", "print('partly done')\nraise SystemExit(3)\n")
    done = project.run("preview", "-s", "dev")
    assert done.returncode != 0
    assert "Program exited with non-zero exit code: 3" in done.stdout + done.stderr
    assert "partly done" in done.stdout + done.stderr


def test_a_missing_virtualenv_is_named(project: Project) -> None:
    project.write("__main__.py", "")
    project.write("Pulumi.yaml", python("nowhere"))
    done = project.run("preview", "-s", "dev")
    assert done.returncode != 0
    shown = done.stdout + done.stderr
    assert "The 'virtualenv' option in Pulumi.yaml is set to 'nowhere'" in shown
    assert f"{project.folder / 'nowhere'}' doesn't exist" in shown


def test_another_toolchain_is_refused(project: Project) -> None:
    project.write("__main__.py", "")
    project.write("Pulumi.yaml", "name: shop\nruntime: {name: python, options: {toolchain: uv}}\n")
    done = project.run("preview", "-s", "dev")
    assert "this language host knows pip only" in done.stdout + done.stderr


def test_a_killed_engine_takes_the_program_along(project: Project) -> None:
    project.write(
        "__main__.py",
        "import os, pathlib, time\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "time.sleep(600)\n",
    )
    pulumi = shutil.which("pulumi", path=project.env["PATH"])
    assert pulumi
    engine = subprocess.Popen(
        [pulumi, "preview", "-s", "dev", "--non-interactive"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pid_file = project.folder / "pid"
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()):
        assert time.monotonic() < deadline, "the program never started"
        time.sleep(0.05)
    program = psutil.Process(int(pid_file.read_text()))
    engine.kill()
    engine.wait()
    program.wait(10)


def test_about_and_plugins(project: Project) -> None:
    project.write("__main__.py", "")
    done = project.run("about", "-s", "dev")
    assert "executable='" in done.stdout, done.stdout + done.stderr
    assert "kubernetes  4.34.2" in done.stdout
    assert "vultr       2.27.1" in done.stdout


def test_plugins_come_from_their_packages(tmp_path: Path) -> None:
    for package, content in {
        "pulumi_versioned": '{"resource": true, "name": "versioned", "version": "1.2.3"}',
        "pulumi_unversioned": '{"resource": true, "server": "github://x/y/z"}',
        "pulumi_component": '{"resource": false}',
    }.items():
        (tmp_path / package).mkdir()
        (tmp_path / package / "pulumi-plugin.json").write_text(content)
    (tmp_path / "pulumi_unversioned-4.5.6.dist-info").mkdir()
    assert required_plugins([tmp_path]) == [
        {
            "name": "unversioned",
            "kind": "resource",
            "version": "v4.5.6",
            "server": "github://x/y/z",
        },
        {"name": "versioned", "kind": "resource", "version": "v1.2.3", "server": ""},
    ]


def test_arguments_of_the_executor() -> None:
    request = SimpleNamespace(
        monitor_address="127.0.0.1:1",
        project="shop",
        stack="dev",
        pwd="/shop",
        dryRun=False,
        parallel=16,
        organization="organization",
        info=SimpleNamespace(root_directory="/shop", entry_point="."),
        args=["--flag"],
    )
    given = executor_arguments(request, "127.0.0.1:2")
    named = dict(zip(given[:-2:2], given[1:-2:2], strict=True))
    assert named == {
        "--monitor": "127.0.0.1:1",
        "--engine": "127.0.0.1:2",
        "--project": "shop",
        "--root_directory": "/shop",
        "--stack": "dev",
        "--pwd": "/shop",
        "--dry_run": "false",
        "--parallel": "16",
        "--organization": "organization",
    }
    assert given[-2:] == [".", "--flag"]


@pytest.mark.parametrize(("script", "loads"), [("start_language_host", 0), ("language_host", 1)])
def test_a_start_loads_the_protocol_and_not_the_sdk(script: str, loads: int) -> None:
    path = ROOT / "sandbox" / "engine" / f"{script}.py"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-P", path, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert loaded.count("pulumi.runtime.proto.language_pb2") == 1
    assert loaded.count("pulumi.resource") == loads
