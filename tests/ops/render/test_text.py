"""Colours by what a line tells of, lines that fit a narrow terminal, a sentence said once."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ops.render import cli
from ops.render.diff import ABSENT, Changed, Field, StackDiff
from ops.render.markdown import COMMENT_LIMIT, markdown
from ops.render.report import Comparison
from ops.render.text import text
from tests.ops.render.meaning.made import resource

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def changed(name: str, *fields: Field, replaced: list[str] | None = None) -> Changed:
    return Changed(f"urn::{name}", CONFIG_MAP, name, list(fields), replaced or [])


TABLE = Field("table", "a\n- b\nc", "a\n- B\nc")
SHOWN = Comparison(
    "main",
    [
        StackDiff(
            "us",
            "changed",
            added=[resource(CONFIG_MAP, "us-new", data={"key": "value"})],
            changed=[
                changed("us-table", TABLE),
                changed("us-other", Field("type", "a", "b"), replaced=["type"]),
            ],
            removed=[resource(CONFIG_MAP, "us-gone")],
            says=["- what the program says"],
        ),
        StackDiff("eu", "changed", refused=["it must not be"]),
        StackDiff("apac", "removed", removed=[resource(CONFIG_MAP, "apac-stays")]),
    ],
    [],
    meaning={"us": ["Something happens"]},
)
EXPECTED = {
    "us-new": "green",
    "us-table": "yellow",
    "us-other": "magenta",
    "REPLACED: type": "magenta",
    "us-gone": "red",
    "it must not be": "bright_red",
    "~ eu": "bright_red",
    "Something happens": "cyan",
    # Values, a message, and a stack of which nothing goes.
    "- b": None,
    "- B": None,
    "data.key": None,
    "says": None,
    "- apac": None,
}


@pytest.mark.parametrize("said", EXPECTED)
def test_a_line_has_the_colour_of_what_it_tells(said: str):
    (line,) = (line for line in text(SHOWN, colour=True).splitlines() if said in line)
    colour = EXPECTED[said]
    plain = re.sub(r"\x1b\[\d*m", "", line)
    assert line == (typer.style(plain, fg=colour) if colour else plain)


def test_without_colours_it_says_the_same():
    assert re.sub(r"\x1b\[\d*m", "", text(SHOWN, colour=True)) == text(SHOWN)
    assert "\x1b" not in text(SHOWN)


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("", True), ("1", False)])
def test_who_wants_no_colours_gets_none(
    no_color: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    nothing: Any = SimpleNamespace(warnings=[])
    monkeypatch.setattr(cli, "project_dir", lambda _: tmp_path)
    monkeypatch.setattr(cli, "load", lambda _: nothing)
    monkeypatch.setattr(cli, "compared", lambda *_: SHOWN)
    app = typer.Typer()
    app.command()(cli.command)
    printed = CliRunner().invoke(app, ["--diff", "main"], color=True)
    assert printed.exit_code == 1, printed.output
    assert "Something happens" in printed.output
    assert ("\x1b[" in printed.output) is coloured


STACKS = [f"region-{number}" for number in range(40)]
SENTENCE = f"{'A word ' * 30}and `pulumi up -s us --diff --refresh` at the end"


@pytest.mark.parametrize("width", [60, 100])
def test_lines_fit(width: int):
    reason = {name: ["its provider p is replaced"] for name in STACKS}
    diff = StackDiff("us", "changed", changed=[changed(n, replaced=r) for n, r in reason.items()])
    alike = [StackDiff(n, "changed", changed=[changed("x", Field("a", 1, 2))]) for n in STACKS]
    same = [StackDiff(f"same-{number}", "same") for number in range(40)]
    shown = Comparison("main", [diff, *alike, *same], [SENTENCE], meaning={"us": [SENTENCE]})
    lines = text(shown, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) > 20
    # A command stays in one piece, to be copied.
    assert sum("`pulumi up -s us --diff --refresh`" in line for line in lines) == 2


def test_both_values_stand_below_each_other_where_a_line_is_too_short():
    field = Field("spec.containers[nginx-ingress].image", "nginx/nginx:5.6.1", "nginx/nginx:5.7.0")
    shown = Comparison("main", [StackDiff("us", "changed", changed=[changed("x", field)])], [])
    assert f"      {field.path}: {field.old} → {field.new}\n" in text(shown, 100)
    long = changed("x", Field("a", "word " * 18, ABSENT))
    unbroken = text(Comparison("main", [StackDiff("us", "changed", changed=[long])], []), 60)
    assert f"      - a: {'word ' * 18}" in unbroken
    assert f"      {field.path}:\n        {field.old}\n        → {field.new}\n" in text(shown, 60)


def test_a_sentence_of_several_stacks_is_said_once():
    same = [changed("x", Field("a", 1, 2))]
    stacks = [StackDiff(name, "changed", changed=same) for name in ("apac", "eu", "us")]
    meaning = {"apac": ["It grows", "More"], "eu": ["It grows"], "us": ["It grows"]}
    shown = Comparison("main", stacks, [], meaning=meaning)
    assert "» apac, eu, us: It grows\n» apac: More\n" in text(shown)
    assert "> 👉 `apac`, `eu`, `us`: It grows.\n\n> 👉 `apac`: More.\n" in markdown(shown)
    assert [each["meaning"] for each in shown.plain()["stacks"]] == [
        ["It grows", "More"],
        ["It grows"],
        ["It grows"],
    ]


def test_sentences_leave_room_for_what_they_are_about():
    many = [f"{number} {'word ' * 100}" for number in range(200)]
    shown = Comparison("main", SHOWN.stacks, [], meaning={"us": many})
    written = markdown(shown)
    assert len(written) < COMMENT_LIMIT
    assert re.search(r"> \d+ more such sentences: run `fleet render --diff`", written)
    assert "us-table" in written


FOLLOW = "us.example.com: {} records follow (A and AAAA for {} nodes) once Vultr has made the nodes"


def test_records_that_only_seem_to_follow_are_not_told():
    old, new = FOLLOW.format(6, 3), FOLLOW.format(10, 5)
    both = StackDiff("us", "changed", said=[old, "before"], says=[new, "now"])
    written = text(Comparison("main", [both], []))
    assert "records follow" not in written
    assert "- says: before\n  + says: now\n" in written
    # A new cluster's do, and those of one that leaves its host name don't any more.
    for diff in (StackDiff("us", "added", says=[new]), StackDiff("us", "changed", said=[old])):
        assert "records follow" in text(Comparison("main", [diff], []))
