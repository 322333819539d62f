"""`fleet reconcile`, with an engine that only says what it was asked."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli import application
from ops.reconcile.engine import up
from tests.ops.reconcile.test_plan import CLOCK, KNOWN, POOL, RECYCLED, RENEWAL, preview
from tests.projects import copy_project, git

NODE = ["192.0.2.9", "2001:db8::9"]


class Engine:
    """A `pulumi` that answers previews from files, by stack, and writes down what it is called."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder, self.project = folder, project
        program = folder / "bin" / "pulumi"
        program.parent.mkdir(parents=True)
        program.write_text(
            f'#!/usr/bin/env bash\necho "$*" >>{folder}/log\n'
            f"stack=$(sed 's/.*-s \\([a-z-]*\\) .*/\\1/' <<<\"$*\")\n"
            f'[ "$1" != up ] || {{ cat {folder}/up.txt; exit "$(cat {folder}/up.code)"; }}\n'
            f'cat "{folder}/$stack.json" || {{ echo "error: no stack named" >&2; exit 255; }}\n'
        )
        program.chmod(0o755)
        (folder / "log").touch()
        self.brings_up("", 0)

    def previews(self, stack: str, document: dict[str, Any]) -> None:
        (self.folder / f"{stack}.json").write_text(json.dumps(document))

    def brings_up(self, said: str, code: int) -> None:
        (self.folder / "up.txt").write_text(said)
        (self.folder / "up.code").write_text(str(code))

    @property
    def ups(self) -> list[str]:
        return [x for x in (self.folder / "log").read_text().splitlines() if x.startswith("up ")]

    def run(self, *command: str) -> Result:
        arguments = ["reconcile", *command, "--dir", str(self.project)]
        return CliRunner().invoke(application("reconcile"), arguments)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    project = copy_project(tmp_path / "project")
    (project / "Pulumi.apac.yaml").unlink()
    git(project, "init", "-q")
    git(project, "add", ".")
    made = Engine(tmp_path / "engine", project)
    monkeypatch.setenv("PATH", f"{made.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return made


def test_a_line_for_each_region_and_just_these_urns_are_brought_up(engine: Engine):
    engine.previews("us", preview(*RECYCLED, known=KNOWN))
    engine.previews("eu", preview(known=KNOWN))
    ran = engine.run()
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.splitlines() == [
        "eu: nothing to do",
        "us: 1 node came (192.0.2.9), 1 node went (192.0.2.1): 2 records made, 2 records deleted",
    ]
    (asked,) = engine.ups
    assert asked.count("--target ") == 4
    assert all(f"--target {step['urn']} " in asked for step in RECYCLED)


def test_what_else_would_change_is_refused(engine: Engine):
    engine.previews("us", preview(*RECYCLED, {"op": "update", "urn": POOL}, known=KNOWN))
    ran = engine.run("us")
    assert ran.exit_code == 1
    assert ran.stdout.startswith("us: REFUSED, nothing was changed: more than records of nodes")
    assert engine.ups == []


def test_a_due_certificate_is_told_and_renewed_on_request(engine: Engine):
    engine.previews("us", preview(*RENEWAL, known=KNOWN))
    ran = engine.run("us")
    said = "us: nothing to do; its certificate is due: --certificates renews it\n"
    assert (ran.exit_code, ran.stdout, engine.ups) == (0, said, [])
    ran = engine.run("us", "--certificates")
    assert (ran.exit_code, ran.stdout) == (0, "us: its certificate was renewed\n")
    assert f"--target {CLOCK} " in engine.ups[0]
    assert json.loads(engine.run("us", "--json").stdout)[0]["certificate"] == "due"


def test_json_says_whose_addresses(engine: Engine):
    engine.previews("us", preview(*RECYCLED[:2], known=KNOWN))
    (found,) = json.loads(engine.run("us", "--json").stdout)
    assert found["result"] == "settled"
    assert found["came"] == [{"node": "new", "addresses": NODE}]
    assert found["went"] == found["moved"] == []


def test_one_that_cannot_be_looked_at_leaves_the_others_alone(engine: Engine):
    engine.previews("us", preview(*RECYCLED, known=KNOWN))
    ran = engine.run()
    assert ran.exit_code == 2
    assert ran.stdout.splitlines()[0] == "eu: FAILED: `pulumi preview`: no stack named"
    assert "us: 1 node came" in ran.stdout


def test_an_up_that_fails_says_why(engine: Engine):
    engine.previews("us", preview(*RECYCLED, known=KNOWN))
    engine.brings_up("error: Cloudflare refused the token (403)\nerror: update failed\n", 255)
    ran = engine.run("us")
    said = "us: FAILED: `pulumi up`: Cloudflare refused the token (403)\n"
    assert (ran.exit_code, ran.stdout) == (2, said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "'nobody': is no stack of this fleet: edge, eu, us"),
        ("edge", "edge: an edge stack has no nodes; say a region's stack"),
    ],
)
def test_a_stack_without_nodes_is_said_to_be_one(engine: Engine, name: str, said: str):
    ran = engine.run(name)
    assert (ran.exit_code, ran.stderr) == (2, f"error: {said}\n")


def test_without_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Exception, match="there is no `pulumi` on PATH"):
        up(tmp_path, "us", [])
