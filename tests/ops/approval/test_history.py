"""Which commit a stack was last brought up from, by entries as Pulumi prints them."""

import json
from typing import Any

import pytest

from ops.approval.history import (
    Earlier,
    HistoryError,
    Since,
    brought_up,
    earlier,
    parse,
    since,
)


def entry(commit: str | None, result: str = "succeeded", kind: str = "update", dirty: bool = False):
    git = {"git.head": commit, "git.dirty": str(dirty).lower()} if commit else {}
    return {"kind": kind, "result": result, "environment": {"exec.kind": "cli", **git}}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], Since(None)),
        ([entry("c"), entry("b")], Since("c")),
        # A failed run: the state may have half of it.
        ([entry("c", "failed"), entry("b")], Since("b", ("c",), True)),
        (
            [entry("d", "failed"), entry("c", "failed"), entry("c", "in-progress"), entry("b")],
            Since("b", ("d", "c"), True),
        ),
        # Files that no commit has, another branch, no git: not what somebody approved here.
        ([entry("c", dirty=True), entry("b")], Since("b")),
        ([entry("elsewhere"), entry("b")], Since("b")),
        ([entry(None), entry("b")], Since("b")),
        ([entry("elsewhere", "failed"), entry("b")], Since("b", (), True)),
        # What isn't a run of the program.
        ([entry("c", kind="refresh"), entry("b")], Since("b")),
        ([entry("c", kind="preview"), entry("b")], Since("b")),
        ([entry("c", kind="resource-import"), entry("b")], Since("b", (), True)),
        # Nothing is left of what was before.
        ([entry("c", kind="destroy"), entry("b")], Since(None)),
        ([entry("c", "failed", "destroy"), entry("b")], Since("b", (), True)),
        ([entry("d", "failed"), entry("c", kind="destroy"), entry("b")], Since(None, ("d",), True)),
    ],
)
def test_the_last_commit_that_was_brought_up(history: list[dict[str, Any]], expected: Since):
    assert since(history, lambda commit: commit != "elsewhere") == expected
    assert since(parse(json.dumps(history)), lambda commit: commit != "elsewhere") == expected


@pytest.mark.parametrize("text", ["", "{}", "[1]", "error: no stack named 'us' found"])
def test_what_is_no_history_is_refused(text: str):
    with pytest.raises(HistoryError, match="no JSON of"):
        parse(text)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([entry("c"), entry("b")], Earlier(True, "b")),
        ([entry("c"), entry("c", "failed"), entry("c"), entry("b")], Earlier(True, "b")),
        ([entry("c", "failed"), entry("b")], Earlier(True, "b")),
        # What failed before it isn't how it was to be.
        ([entry("c"), entry("b", "failed"), entry("a")], Earlier(True, "a")),
        # Gone back already, or a way back that was begun.
        ([entry("b"), entry("c"), entry("b")], Earlier(False, "b")),
        ([entry("b", "failed"), entry("c"), entry("b")], Earlier(True, "b")),
        ([entry("b")], Earlier(False, "b")),
        ([entry("c"), entry("c", kind="refresh"), entry("b")], Earlier(True, "b")),
        # What no commit has.
        ([entry("c"), entry("b", dirty=True), entry("b")], Earlier(True)),
        ([entry("c"), entry(None)], Earlier(True)),
        ([entry("b", dirty=True)], Earlier(False)),
        # Nothing was there before.
        ([entry("c")], Earlier(True, new=True)),
        ([entry("c"), entry("b", kind="destroy"), entry("b")], Earlier(True, new=True)),
        ([], Earlier(False, new=True)),
    ],
)
def test_how_a_stack_was_before_a_commit(history: list[dict[str, Any]], expected: Earlier):
    assert earlier(history, "c", dirty=False) == expected


def test_changed_files_of_a_commit_are_others_than_the_commit():
    history = [entry("c", dirty=True), entry("c"), entry("b")]
    assert earlier(history, "c", dirty=True) == Earlier(True, "c")
    assert earlier(history, "c", dirty=False) == Earlier(False)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([entry("c"), entry("b")], True),
        ([entry("c", "failed"), entry("b")], True),
        ([entry("c", kind="refresh"), entry("b")], False),
        ([entry("b"), entry("c")], False),
        ([entry("c", dirty=True)], False),
        ([], False),
    ],
)
def test_whether_the_last_run_was_from_these_files(history: list[dict[str, Any]], expected: bool):
    assert brought_up(history, "c", dirty=False) is expected
