"""Which commit a stack was last brought up from, by Pulumi's own history of it.

`pulumi stack history --json` prints the newest first. An update that ran in a git checkout says its
commit (`environment`: `git.head`) and whether files stood there that the commit hasn't
(`git.dirty`); tried with 3.246.0 and a state in files.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ops.command import CommandError

_BRINGS_UP = ("update",)
_TAKES_OVER = ("resource-import", "import")


class HistoryError(CommandError):
    """No history of a stack; the text is for a person."""


@dataclass(frozen=True)
class Since:
    """What a deployment is held against.

    `base` is the last commit of this branch that the stack was brought up from, None where there is
    none; `tried` are those since then whose run failed, newest first; `unfinished` says that the
    state may hold half of something.
    """

    base: str | None
    tried: tuple[str, ...] = ()
    unfinished: bool = False


def parse(text: str) -> Sequence[Mapping[str, Any]]:
    """The entries that `pulumi stack history --json` printed. Raises HistoryError."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        head = (text.strip().splitlines() or ["empty"])[0]
        raise HistoryError(f"no JSON of `pulumi stack history --json`: {head}")
    return cast("Sequence[Mapping[str, Any]]", found)


def since(history: Sequence[Mapping[str, Any]], on_branch: Callable[[str], bool]) -> Since:
    """Go back to the last run that brought the stack up from a commit of this branch.

    Args:
        history: the newest first.
        on_branch: whether a commit is the one that is brought up now, or before it: what was
            brought up from elsewhere wasn't approved here.
    """
    tried: list[str] = []
    unfinished = False
    for entry in history:
        kind, result = entry.get("kind"), entry.get("result")
        if kind == "destroy" and result == "succeeded":
            break
        if kind in _TAKES_OVER or result != "succeeded":
            unfinished = True
        commit = _commit(entry)
        if kind not in _BRINGS_UP or commit is None or not on_branch(commit):
            continue
        if result == "succeeded":
            return Since(commit, tuple(tried), unfinished)
        if commit not in tried:
            tried.append(commit)
    return Since(None, tuple(tried), unfinished)


@dataclass(frozen=True)
class Earlier:
    """How a stack was before some files were brought up. `touched` says whether they were at all;
    `commit` is the one that it was brought up from before, None where it can't be known; `new`:
    there was nothing before."""

    touched: bool
    commit: str | None = None
    new: bool = False


def earlier(history: Sequence[Mapping[str, Any]], commit: str, dirty: bool) -> Earlier:
    """Go back behind the runs from these files: of a commit, or with changes that it hasn't.

    A run that failed doesn't count: what was before it is how the stack was, or was to be.
    """
    touched = False
    for entry in history:
        if entry.get("kind") == "destroy" and entry.get("result") == "succeeded":
            break
        if entry.get("kind") not in _BRINGS_UP:
            continue
        environment = entry.get("environment") or {}
        changed = environment.get("git.dirty") == "true"
        if (environment.get("git.head"), changed) == (commit, dirty):
            touched = True
        elif entry.get("result") == "succeeded":
            return Earlier(touched, _commit(entry))
    return Earlier(touched, new=True)


def brought_up(history: Sequence[Mapping[str, Any]], commit: str, dirty: bool) -> bool:
    """Whether the last run that changed something of the stack was one from these files."""
    for entry in history:
        if entry.get("kind") in _BRINGS_UP:
            environment = entry.get("environment") or {}
            changed = environment.get("git.dirty") == "true"
            return (environment.get("git.head"), changed) == (commit, dirty)
    return False


def _commit(entry: Mapping[str, Any]) -> str | None:
    """The commit whose files a run had, and no others."""
    environment = entry.get("environment") or {}
    return None if environment.get("git.dirty") == "true" else environment.get("git.head")
