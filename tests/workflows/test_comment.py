"""A pull request's two comments: never stale, folded, and never without what Pulumi says last."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.projects import ROOT, git
from tests.workflows.parts import Runner, shell

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VARIABLES = {
    "PULL_REQUEST": "7",
    "COMMIT": COMMIT,
    "RUN": "https://github.com/somebody/fleet/actions/runs/42",
    "STACKS": json.dumps([{"stack": "us", "kind": "region"}, {"stack": "edge", "kind": "edge"}]),
}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / ".github", checkout / ".github")
    (checkout / "parts").mkdir()
    return Runner(tmp_path / "runner", checkout)


def previewed(runner: Runner, stack: str, text: str, code: int = 0) -> None:
    (runner.checkout / "parts" / f"{stack}.txt").write_text(text)
    (runner.checkout / "parts" / f"{stack}.code").write_text(f"{code}\n")


def comments(runner: Runner, **variables: str) -> tuple[str, str]:
    """The two comments' texts."""
    done = runner.run(shell("preview", "comment", "Comment"), {**VARIABLES, **variables})
    assert done.returncode == 0, done.stderr
    first, *bodies = re.split(r"^<!-- edgefleet:", runner.file("gh.log"), flags=re.M)
    assert "issues/7/comments" in first
    assert [body.partition(" ")[0] for body in bodies] == ["render", "preview"]
    return bodies[0], bodies[1]


def test_they_say_the_commit_and_the_run(runner: Runner):
    (runner.checkout / "parts" / "render.md").write_text("### What this changes\n")
    previewed(runner, "us", "Resources:\n    46 unchanged\n")
    previewed(runner, "edge", "error: Pulumi.edge.yaml: wrong\n", 255)
    rendered, preview = comments(runner)
    link = "For commit `0123456789ab`, by [this run]("
    assert link + VARIABLES["RUN"] in rendered
    assert link + VARIABLES["RUN"] in preview
    assert "### What this changes" in rendered
    assert preview.count("<details><summary>") == 2
    assert "<details><summary>`us`</summary>" in preview
    assert "<details><summary>❌ `edge`: FAILED</summary>" in preview
    assert "46 unchanged" in preview
    assert "Pulumi.edge.yaml: wrong" in preview


def test_they_say_what_is_missing(runner: Runner):
    """A job that was broken off, refused by a reviewer, or whose machine was lost."""
    previewed(runner, "us", "46 unchanged\n")
    rendered, preview = comments(runner)
    assert "This can't be rendered" in rendered
    assert "**`edge`: no preview**: its job didn't come to its end." in preview


def test_they_say_that_no_stack_could_be_listed(runner: Runner):
    _, preview = comments(runner, STACKS="")
    assert "No stack could be listed" in preview


def test_a_later_push_writes_into_the_same_comments(runner: Runner):
    comments(runner, GH_COMMENTS="4711\n4712")
    log = runner.file("gh.log")
    assert log.count("--method PATCH repos/somebody/fleet/issues/comments/4711 --field") == 2
    assert "POST" not in log


def test_the_middle_is_cut_and_the_end_never(runner: Runner):
    long = "".join(f"  + line {number} of a preview, with ü\n" for number in range(20_000))
    previewed(runner, "us", long + "Resources:\n    1 errored\n", 255)
    previewed(runner, "edge", "Resources:\n    9 unchanged\n")
    _, preview = comments(runner)
    assert len(preview) < 65_000
    assert "+ line 0 of a preview" in preview
    assert "    1 errored\n" in preview
    assert "    9 unchanged\n" in preview
    (said,) = (line for line in preview.splitlines() if "are left out here" in line)
    size = len(long.encode()) + len("Resources:\n    1 errored\n")
    assert f" of {size} bytes" in said
    # What edge doesn't need, us has.
    assert len(preview) > 55_000


@pytest.mark.parametrize("size", [0, 10, 1_000, 1_001, 5_000])
def test_what_is_short_enough_stays(tmp_path: Path, size: int):
    (tmp_path / "text").write_text("x" * size)
    done = subprocess.run(
        [ROOT / ".github" / "cut.sh", tmp_path / "text", "1000"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    if size <= 1_000:
        assert done.stdout == "x" * size
    else:
        assert done.stdout.count("x") == 1_000
        assert f"... {size - 1000} of {size} bytes are left out here" in done.stdout


def test_of_a_fork_only_what_is_no_program_is_taken(tmp_path: Path):
    base, theirs = tmp_path / "base", tmp_path / "base" / "theirs"
    for folder, word in ((base, "base"), (theirs, "fork")):
        for name in ("Pulumi.yaml", "Pulumi.us.yaml", "infra/pins/images.lock.json", "ops/cli.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(word)
    (base / "Pulumi.gone.yaml").write_text("base")
    (theirs / "Pulumi.new.yaml").write_text("fork")
    (theirs / "sitecustomize.py").write_text("fork")
    os.symlink("/etc/passwd", theirs / "Pulumi.link.yaml")
    for folder in (theirs, base):
        git(folder, "init", "-q")
        git(folder, "add", ".", *([":!theirs"] if folder is base else []))
        git(folder, "commit", "-qm", "x")
    subprocess.run([ROOT / ".github" / "fork_files.sh", "theirs"], cwd=base, check=True)
    there = {
        str(path.relative_to(base)): path.read_text()
        for path in base.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
    assert there == {
        "Pulumi.yaml": "fork",
        "Pulumi.us.yaml": "fork",
        "Pulumi.new.yaml": "fork",
        "infra/pins/images.lock.json": "fork",
        "ops/cli.py": "base",
    }
    # Only files that git has make the fleet.
    assert "Pulumi.new.yaml" in git(base, "ls-files")
