"""Whose turn it is, what the doctor may find, and what is said where it stops: pure."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.doctor.finding import Blind, Finding
from ops.doctor.ladder import Report
from ops.guided.engine import Stopped
from ops.roll import run
from ops.roll.asking import Previewed
from ops.roll.plan import Turn, despite, document, in_order, known_before, left, new, text

WAVES = {"canary": ["us"], "rest": ["apac", "eu"], "edge": ["edge"]}
US = Turn("us", "canary", edge="edge", changes=("us-ingress",))
EU = Turn("eu", "rest", edge="edge", changes=("eu-ingress",))
EDGE = Turn("edge", "edge", changes=("edge-script",))
TURNS = [US, Turn("apac", "rest", edge="edge"), EU, EDGE]


def finding(stack: str, fault: str, came: str = "came") -> Finding:
    return Finding("node", fault, stack, stack, "asked", came, "means", "do")


def report(*findings: Finding, blind: tuple[Blind, ...] = ()) -> Report:
    return Report(findings, blind, (), (), ())


@pytest.mark.parametrize(
    ("names", "back", "order"),
    [
        ((), False, ["us", "apac", "eu", "edge"]),
        ((), True, ["edge", "eu", "apac", "us"]),
        (("edge", "us"), False, ["us", "edge"]),
    ],
)
def test_the_canary_the_other_regions_the_edge_and_back(
    names: tuple[str, ...], back: bool, order: list[str]
):
    found = in_order(WAVES, names, back=back)
    assert [name for name, _ in found] == order
    assert dict(found)["us"] == "canary"


def test_the_plan_says_what_is_left_and_what_is_done():
    told = text(TURNS, "Forth:")
    assert " 1. us    the canary: 1 change: us-ingress\n" in told
    assert " ✓  apac  nothing to do\n" in told
    assert " 3. edge  1 change: edge-script\n" in told
    assert "It stops at the first that fails." in told
    warned = replace(US, warnings=("makes its 3 nodes anew",))
    assert "      makes its 3 nodes anew" in text([warned], "")
    assert text([TURNS[1]], "Forth:") == "Forth:\n\n ✓  apac  nothing to do"
    gone = replace(US, commit="0123456789abcdef")
    assert "us  back to 0123456789ab: 1 change: us-ingress" in text([gone], "")
    assert document(TURNS, back=False)["turns"][1] == {
        "stack": "apac",
        "wave": "rest",
        "done": True,
        "looked_at": [],
        "changes": [],
        "commit": None,
        "refused": None,
        "stays": None,
        "warnings": [],
    }


def test_what_was_there_before_is_let_pass_and_nothing_else():
    before = report(finding("us", "disk-full"), blind=(Blind("Vultr", "eu", "401"),))
    known = known_before(before, TURNS, ())
    assert new([finding("us", "disk-full", "another node, too")], known, ()) == []
    assert new(["eu: Vultr: 500"], known, ()) == []
    fresh = finding("us", "ingress-missing")
    assert new([fresh, finding("eu", "disk-full")], known, {("eu", "disk-full")}) == [fresh]
    assert new(["us: Vultr: 401"], known, ()) == ["us: Vultr: 401"]


def test_what_an_earlier_run_may_have_brought_is_not():
    before = report(finding("us", "disk-full"), finding("eu", "disk-full"))
    turns = [replace(US, changes=(), ours=True), EU]
    assert known_before(before, turns, ()) == {("eu", "disk-full", "eu")}
    assert len(known_before(before, turns, {("us", "disk-full")})) == 2


@pytest.mark.parametrize("said", ["us", "us:", ":disk-full", "us:a, eu"])
def test_a_fault_is_named_with_its_stack(said: str):
    assert despite("us:a, eu:b") == {("us", "a"), ("eu", "b")}
    with pytest.raises(ValueError, match="say STACK:FAULT"):
        despite(said)


def test_where_it_stops_it_says_what_is_done_and_what_is_not():
    assert left(TURNS, 2) == (
        "done: us, apac\nfailed: eu, which may be half done\nnot begun: edge\n"
        "To return what is done: fleet roll --back"
    )
    back = [replace(turn, commit="b") for turn in TURNS[::-1]]
    assert left(back, 0) == "failed: edge, which may be half done\nnot begun: eu, us"


# --- carried out ------------------------------------------------------------------------------


class Clouds:
    """What the engine and the doctor say; `done` are the stacks that were brought up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.refused: dict[str, str] = {}
        self.found: dict[str, tuple[Finding, ...]] = {}
        self.empty: set[str] = set()
        monkeypatch.setattr(run, "up", self.up)
        monkeypatch.setattr(run, "examine", self.examine)
        monkeypatch.setattr(run, "previewed", self.previewed)
        monkeypatch.setattr(run, "wait_until_well", self.wait)

    def previewed(self, _folder: Path, stack: str) -> Previewed:
        step: Any = object()
        return Previewed(() if stack in self.empty else (step,))

    def up(self, _folder: Path, stack: str, _minutes: float, _say: Any) -> None:
        if stack in self.refused:
            raise Stopped(self.refused[stack])
        self.done.append(stack)

    def examine(self, _folder: Path, names: Any, *, symptoms: bool = False) -> Report:
        return report(*(f for n in names for f in self.found.get(n, ()) if self._is(f)))

    def _is(self, found: Finding) -> bool:
        return found.came == "before" or found.stack in self.done

    def wait(self, ask: Any, _say: Any) -> None:
        if found := ask():
            raise Stopped(f"still finds: {found[0].fault}")

    def turns(self) -> list[Turn]:
        """As they would be planned now."""
        return [replace(t, changes=(), ours=True) if t.stack in self.done else t for t in TURNS]

    def folder(self, turn: Turn) -> Path:
        return Path()

    def refusal(self, turn: Turn, would: Previewed) -> str:
        return self.refused.get(f"approved {turn.stack}", "")


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch) -> Clouds:
    return Clouds(monkeypatch)


def roll(clouds: Clouds, let: str = "") -> list[str]:
    told: list[str] = []
    run.carry_out(Path(), clouds, clouds.turns(), despite(let), told.append)
    return told


def test_one_after_the_other(clouds: Clouds):
    clouds.found["eu"] = (finding("eu", "disk-full", "before"),)
    told = roll(clouds)
    assert clouds.done == ["us", "eu", "edge"]
    assert [line for line in told if line[0] != " "] == ["1/3 us", "2/3 eu", "3/3 edge"]
    assert "    fleet doctor us edge" in told


def test_it_stops_where_the_doctor_finds_something_new_and_does_again(clouds: Clouds):
    clouds.found["us"] = (finding("us", "ingress-missing"),)
    for _ in range(2):
        with pytest.raises(Stopped, match="us: still finds: ingress-missing") as stopped:
            roll(clouds)
        assert "not begun: eu, edge" in str(stopped.value)
        assert clouds.done == ["us"]
    clouds.found.clear()
    roll(clouds)
    assert clouds.done == ["us", "eu", "edge"]


def test_somebody_may_go_on_despite_a_fault(clouds: Clouds):
    clouds.found["us"] = (finding("us", "disk-full"),)
    roll(clouds, "us:disk-full")
    assert clouds.done == ["us", "eu", "edge"]


@pytest.mark.parametrize("where", ["eu", "approved eu"])
def test_it_stops_where_the_engine_fails_or_somebody_came_between(clouds: Clouds, where: str):
    clouds.refused[where] = "NOT APPROVED"
    with pytest.raises(Stopped, match="eu: NOT APPROVED"):
        roll(clouds)
    assert clouds.done == ["us"]
    clouds.refused.clear()
    roll(clouds)
    assert clouds.done == ["us", "eu", "edge"]


def test_what_has_become_done_meanwhile_is_only_looked_at(clouds: Clouds):
    clouds.empty = {"eu"}
    roll(clouds)
    assert clouds.done == ["us", "edge"]
