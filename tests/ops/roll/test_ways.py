"""Forth and back, planned from what Pulumi says: a project in git, an engine that is made up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.approval.comparison import Verdict
from ops.approval.steps import Planned, Step
from ops.cli import application
from ops.roll import ways
from ops.roll.asking import Previewed
from ops.roll.checkouts import Checkouts
from ops.roll.plan import Turn
from ops.roll.ways import Back, Forth, refused
from tests.projects import copy_project, git, region, write_stack

URN = "urn:pulumi:us::p::edgefleet:index:X$kubernetes:apps/v1:DaemonSet::us-ingress"
CHANGE = Previewed((Step(Planned(URN, "update")),), ("makes its nodes anew",))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("ways") / "fleet")
    git(folder, "init", "-q")
    for version in ("v1.35.5+1", "v1.36.2+1"):
        write_stack(folder, "us", region(version=version))
        git(folder, "add", ".")
        git(folder, "commit", "-qm", version)
    return folder


class Engine:
    """What it would do by stack, what it did, and what nobody approved."""

    def __init__(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = project
        self.would: dict[str, Previewed] = {}
        self.past: dict[str, list[dict[str, Any]]] = {}
        self.unapproved: list[tuple[Step, str]] = []
        monkeypatch.setattr(ways, "past", lambda _, stack: self.past.get(stack, []))
        monkeypatch.setattr(ways, "all_previewed", self.previewed)
        monkeypatch.setattr(ways.Approval, "held", lambda *_: Verdict(self.unapproved))
        monkeypatch.setattr(ways.Approval, "held_from", lambda *_: Verdict(self.unapproved))

    def previewed(self, folders: Mapping[str, Path]) -> dict[str, Previewed]:
        return {stack: self.would.get(stack, Previewed()) for stack in folders}

    def ran(self, ref: str, result: str = "succeeded", dirty: bool = False) -> dict[str, Any]:
        head = git(self.project, "rev-parse", ref).strip()
        said = {"git.head": head, "git.dirty": str(dirty).lower()}
        return {"kind": "update", "result": result, "environment": said}

    def forth(self, *names: str, agreed: str = "") -> list[Turn]:
        return Forth(self.project, names, "us", agreed).turns()

    def back(self, *names: str, to: str | None = None) -> list[Turn]:
        with Checkouts(self.project) as checkouts:
            return Back(self.project, names, "us", "", checkouts, to).turns()


@pytest.fixture
def engine(project: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(project, monkeypatch)


def of(turns: Sequence[Turn], stack: str) -> Turn:
    return next(turn for turn in turns if turn.stack == stack)


def test_forth_is_what_the_previews_leave(engine: Engine):
    engine.would["us"] = CHANGE
    engine.past["eu"] = [engine.ran("HEAD"), engine.ran("HEAD~1")]
    turns = engine.forth()
    assert [turn.stack for turn in turns] == ["us", "apac", "eu", "edge"]
    us = turns[0]
    assert (us.changes, us.warnings) == (("us-ingress",), ("makes its nodes anew",))
    assert us.looked_at == ("us", "edge")
    assert us.minutes > 60
    assert [turn.stack for turn in turns if turn.ours] == ["eu"]
    assert [turn.stack for turn in turns if not turn.done] == ["us"]


def test_what_cannot_be_previewed_or_nobody_approved_is_refused_before_anything(engine: Engine):
    engine.would["eu"] = Previewed(failed="eu: no stack named 'eu' found")
    assert refused(engine.forth()) == ["eu: no stack named 'eu' found"]
    engine.would["eu"] = CHANGE
    engine.unapproved = [(CHANGE.steps[0], "us-ingress would be changed")]
    (why,) = refused(engine.forth())
    assert "NOT APPROVED, 1 change:\n  - us-ingress would be changed" in why
    assert refused(engine.forth(agreed=f"eu:{Verdict(engine.unapproved).digest}")) == []


def test_back_is_the_commit_before(engine: Engine):
    engine.past = {
        "us": [engine.ran("HEAD"), engine.ran("HEAD~1")],
        # Gone back already; never touched; made by it.
        "eu": [engine.ran("HEAD~1"), engine.ran("HEAD"), engine.ran("HEAD~1")],
        "apac": [engine.ran("HEAD~1")],
        "edge": [engine.ran("HEAD")],
    }
    engine.would["us"] = CHANGE
    turns = engine.back()
    assert [turn.stack for turn in turns] == ["edge", "eu", "apac", "us"]
    assert [turn.stack for turn in turns if not turn.done] == ["us"]
    assert of(turns, "us").commit == git(engine.project, "rev-parse", "HEAD~1").strip()
    assert "there was nothing before" in of(turns, "edge").stays
    assert of(turns, "eu").stays == of(turns, "apac").stays == "stays: it isn't as these files say"


def test_back_takes_along_what_a_killed_run_has_left(engine: Engine):
    """It isn't in the history of a state in files. What else differs is left alone."""
    engine.past["us"] = [engine.ran("HEAD~1")]
    engine.would["us"] = CHANGE
    assert of(engine.back(), "us").changes == ("us-ingress",)
    engine.unapproved = [(CHANGE.steps[0], "somebody changed it")]
    assert of(engine.back(), "us").done
    engine.past["us"].insert(0, engine.ran("HEAD", "failed"))
    (why,) = refused(engine.back())
    assert "somebody changed it" in why


def test_back_to_what_nobody_knows_is_refused_until_somebody_says_it(engine: Engine):
    engine.past["us"] = [engine.ran("HEAD"), engine.ran("HEAD~1", dirty=True)]
    engine.would["us"] = CHANGE
    (why,) = refused(engine.back())
    assert "us: how it was before" in why
    assert "fleet roll --back us --to COMMIT" in why
    turns = engine.back(to="HEAD~1")
    assert of(turns, "us").commit == git(engine.project, "rev-parse", "HEAD~1").strip()
    assert refused(turns) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["uss"],
            "uss: is no stack of this fleet; these are: apac, edge, eu, us; did you mean us?",
        ),
        (["--canary", "edge"], "--canary edge: is no region stack"),
        (["--to", "HEAD"], "--to is of --back"),
        (["--back", "--to", "nowhere"], "nowhere: git knows no such commit"),
        (["--despite", "us"], "--despite 'us': say STACK:FAULT"),
    ],
)
def test_what_was_mistyped_is_said(engine: Engine, options: list[str], said: str):
    command = ["roll", "--dir", str(engine.project), *options]
    ran = CliRunner().invoke(application("roll"), command)
    assert (ran.exit_code, said in ran.stderr) == (2, True), ran.output


def test_nobody_can_be_asked_without_a_terminal_and_a_plan_is_json(engine: Engine):
    engine.would["us"] = CHANGE
    command = ["roll", "--dir", str(engine.project), "--canary", "us", "--json"]
    ran = CliRunner().invoke(application("roll"), command)
    assert ran.exit_code == 2
    assert "say --yes, or --dry-run" in ran.stderr
    assert '"stack": "us"' in ran.stdout
