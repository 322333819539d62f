"""`fleet approved`: which commit it takes, what it says, and its exit codes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.approval import holding
from ops.cli import application
from ops.render.offline import render_project
from ops.render.revisions import Fleet
from tests.projects import copy_project, git, region, write_stack

RECORDED = Path(__file__).parent / "recorded"
ENTRY = {"kind": "update", "result": "succeeded"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits: us as it was brought up, and with another image."""
    project = copy_project(tmp_path_factory.mktemp("approved") / "project")
    write_stack(project, "us", region())
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-qm", "as it was brought up")
    image = {**region(), "ingress": {"image": "nginx/nginx-ingress:5.7.0"}}
    write_stack(project, "us", image)
    git(project, "commit", "-qam", "another image")
    return project


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, checkout: Path, tmp_path: Path) -> None:
    """Renders us alone, with this program."""

    def revision(project: Path, ref: str) -> Fleet:
        there = tmp_path / f"at-{ref}"
        git(project, "worktree", "add", "-q", "--detach", str(there), ref)
        try:
            return Fleet(render_project(there, ["us"]))
        finally:
            git(project, "worktree", "remove", "--force", str(there))

    monkeypatch.setattr(holding, "render_revision", revision)
    monkeypatch.setattr(
        holding, "render_folder", lambda project, _: render_project(project, ["us"])
    )


def commit(checkout: Path, ref: str) -> str:
    return git(checkout, "rev-parse", ref).strip()


def history(folder: Path, *entries: dict[str, Any]) -> str:
    path = folder / "history.json"
    path.write_text(json.dumps(entries))
    return str(path)


def up(checkout: Path, ref: str, **more: Any) -> dict[str, Any]:
    git_said = {"git.head": commit(checkout, ref), "git.dirty": "false"}
    return {**ENTRY, "environment": git_said, **more}


def run(checkout: Path, preview: str, *options: str) -> tuple[int, str, str]:
    file = RECORDED / f"{preview}.json"
    said = CliRunner().invoke(
        application("approved"),
        ["approved", "us", "--dir", str(checkout), "--preview", str(file), *options],
    )
    return said.exit_code, said.stdout, said.stderr


def test_what_was_approved_since_the_last_up(checkout: Path, tmp_path: Path):
    code, out, _ = run(checkout, "image", "--history", history(tmp_path, up(checkout, "HEAD~1")))
    short = commit(checkout, "HEAD~1")[:12]
    assert code == 0
    assert out == (
        f"us: held against what the files changed since {short}, the last commit it was brought "
        "up from.\n1 change as the files say.\nNothing else would be done.\n"
    )


def test_what_was_not_stops_until_somebody_agrees(checkout: Path):
    since = ("--since", "HEAD")
    code, out, _ = run(checkout, "image", *since)
    assert code == 1
    assert "NOT APPROVED, 1 change:\n  - us-ingress-controller (kubernetes:apps" in out
    document = json.loads(run(checkout, "image", *since, "--json")[1])
    (found,) = document["unapproved"]
    assert (found["operation"], found["replaced"]) == ("update", False)
    assert document["base"] == "HEAD"
    agreed = f"us:{document['digest']}"
    assert f"--agreed {agreed} " in out
    code, out, _ = run(checkout, "image", *since, "--agreed", f"eu:{'0' * 12}, {agreed}")
    assert code == 0
    assert f"Agreed to, by {agreed}" in out
    # Of these changes, and no others.
    assert run(checkout, "administrators", *since, "--agreed", agreed)[0] == 1
    assert run(checkout, "image", *since, "--agreed", f"eu:{document['digest']}")[0] == 1


def test_a_failed_run_counts_beside_the_last_good_one(checkout: Path, tmp_path: Path):
    """HEAD was tried in vain, and HEAD~1 takes it back: what it left may be put back."""
    git(checkout, "checkout", "-q", "--detach")
    git(checkout, "revert", "--no-edit", "HEAD")
    try:
        past = history(tmp_path, up(checkout, "HEAD~1", result="failed"), up(checkout, "HEAD~2"))
        code, out, _ = run(checkout, "image", "--history", past)
        assert code == 0, out
        assert "where a run failed" in out
        past = history(tmp_path, up(checkout, "HEAD~2"))
        assert run(checkout, "image", "--history", past)[0] == 1
    finally:
        git(checkout, "checkout", "-q", "main")


def test_a_first_run_makes_everything(checkout: Path, tmp_path: Path):
    code, out, _ = run(checkout, "nothing", "--history", history(tmp_path))
    assert code == 0
    assert "no commit of this branch was brought up before" in out
    assert run(checkout, "image", "--history", history(tmp_path))[0] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say either --history FILE or --since REF"),
        (["--since", "HEAD", "--history", "x"], "say either --history FILE or --since REF"),
        (["--history", "nowhere.json"], "nowhere.json: No such file"),
    ],
)
def test_what_it_cannot_look_at(checkout: Path, options: list[str], said: str):
    code, _, error = run(checkout, "image", *options)
    assert (code, said in error) == (2, True)


def test_a_preview_that_failed_says_why(checkout: Path, tmp_path: Path):
    failed = {
        "steps": [],
        "changeSummary": {"same": 1},
        "diagnostics": [{"severity": "error", "message": "error: Pulumi.us.yaml: no such key\n"}],
    }
    file = tmp_path / "preview.json"
    file.write_text(json.dumps(failed))
    code, _, error = run(checkout, "image", "--since", "HEAD", "--preview", str(file))
    assert code == 2
    assert "error: the preview failed: Pulumi.us.yaml: no such key" in error


def test_a_shallow_checkout_is_told_so(checkout: Path, tmp_path: Path):
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", str(shallow))
    past = history(tmp_path, up(checkout, "HEAD~1"))
    code, _, error = run(shallow, "image", "--history", past)
    assert code == 2
    assert "isn't in this shallow checkout: `git fetch --unshallow`" in error
    shutil.rmtree(shallow)
