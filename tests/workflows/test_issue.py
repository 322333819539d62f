"""The one issue about the fleet: opened, written anew, and closed when nothing is found."""

import shutil
from pathlib import Path

import pytest

from tests.projects import ROOT
from tests.workflows.parts import Runner, shell

VARIABLES = {
    "COMMIT": "0123456789abcdef0123456789abcdef01234567",
    "RUN": "https://github.com/somebody/fleet/actions/runs/42",
}
OPEN = "--method POST repos/somebody/fleet/issues --field title="
AGAIN = "--method PATCH repos/somebody/fleet/issues/7 --field body=@"
CLOSE = "--method PATCH repos/somebody/fleet/issues/7 --field state=closed"


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / ".github", checkout / ".github")
    (checkout / "found").mkdir()
    return Runner(tmp_path / "runner", checkout)


def looked(runner: Runner, **codes: int) -> None:
    """What each look said, by `look.sh`, as the workflow calls it."""
    for name, code in codes.items():
        script = f".github/look.sh {name} sh -c 'echo {name} says; echo this >&2; exit {code}'"
        assert runner.run(script).returncode == 0


def issue(runner: Runner, number: str = "") -> str:
    """What `gh` was called with."""
    done = runner.run(shell("watch", "issue", "Issue"), {**VARIABLES, "GH_ISSUES": number})
    assert done.returncode == 0, done.stderr
    return runner.file("gh.log")


def test_what_is_found_opens_one(runner: Runner):
    looked(runner, drift=1, doctor=0, expiries=0, ranges=0)
    log = issue(runner)
    assert OPEN in log
    assert "label create fleet-watch --repo somebody/fleet --force" in log
    assert "--field labels[]=fleet-watch" in log
    assert "\n<!-- edgefleet:watch -->\nFor commit `0123456789ab`, by [this run](" in log
    assert "### `fleet drift`\n\ndrift says\nthis\n" in log
    assert "fleet doctor" not in log
    assert "fleet ranges" not in log


def test_it_is_written_anew(runner: Runner):
    looked(runner, drift=0, doctor=1, expiries=1, ranges=0, images=1)
    log = issue(runner, "7\n8")
    assert AGAIN in log
    assert OPEN not in log
    assert "label create" not in log
    assert "### `fleet doctor --all`\n\n~~~~~~~~\ndoctor says\nthis\n~~~~~~~~\n" in log
    assert "### `fleet expiries`\n\n~~~~~~~~\nexpiries says\nthis\n" in log
    assert "### `fleet images lock --check`" in log


def test_it_is_closed_when_nothing_is_found(runner: Runner):
    looked(runner, drift=0, doctor=0, expiries=0, ranges=0)
    log = issue(runner, "7")
    assert CLOSE in log
    assert "Nothing is found any more. For commit `0123456789ab`" in log
    assert OPEN not in log
    assert AGAIN not in log


def test_where_nothing_is_found_and_none_is_open_nothing_is_written(runner: Runner):
    looked(runner, drift=0, doctor=0, expiries=0, ranges=0)
    assert "--method" not in issue(runner)


@pytest.mark.parametrize("number", ["", "7"])
def test_who_could_not_look_closes_nothing(runner: Runner, number: str):
    looked(runner, drift=2, ranges=0)
    log = issue(runner, number)
    assert (AGAIN if number else OPEN) in log
    assert "state=closed" not in log
    assert "### `fleet drift`: it could not look, or not everywhere" in log
    assert "### `fleet doctor --all`: no answer" in log


def test_a_look_that_was_lost_closes_nothing(runner: Runner):
    (runner.checkout / "found").rmdir()
    log = issue(runner, "7")
    assert "state=closed" not in log
    assert log.count(": no answer") == 4


def test_it_fits(runner: Runner):
    for name in ("drift", "doctor", "expiries", "ranges", "images"):
        looked(runner, **{name: 1})
        (runner.checkout / "found" / f"{name}.txt").write_text("x" * 100_000)
    log = issue(runner)
    assert 60_000 < len(log) < 65_000
    assert log.count("bytes are left out here") == 5
