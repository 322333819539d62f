"""Which commit a stack was last brought up from, by entries as Pulumi prints them."""

import json
from typing import Any

import pytest

from ops.approval.history import HistoryError, Since, parse, since


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
