"""Values as a reviewer reads them: cut where they differ, long texts by line, no hashes."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from ops.render.diff import ABSENT, Field

_WIDTH = 100
_BEFORE = 30
"""Characters shown ahead of where two long values begin to differ."""
_LIST = 4
"""A string with more commas than this is a list that somebody joined."""
_HASH = re.compile(r"[0-9a-f]{16}|[0-9a-f]{40}|[0-9a-f]{64}")


def is_hash(each: Field) -> bool:
    """Whether a field only tells that something else changed."""
    return all(isinstance(side, str) and _HASH.fullmatch(side) for side in (each.old, each.new))


def sides(each: Field) -> Iterator[str]:
    """A field as lines of a patch."""
    if lines := _within(each):
        yield f"  {each.path}:"
        yield from lines
        return
    old, new = _pair(each)
    for sign, value, shown in (("-", each.old, old), ("+", each.new, new)):
        if value is not ABSENT:
            yield f"{sign}   {each.path}: {shown}"


def changed(each: Field, width: int = 1000) -> Iterator[str]:
    """A field as lines for a terminal: both values in one line where that has `width` columns."""
    if lines := _within(each):
        yield f"{each.path}:"
        yield from (f"  {line}" for line in lines)
        return
    old, new = _pair(each)
    if each.old is ABSENT:
        yield f"+ {each.path}: {new}"
    elif each.new is ABSENT:
        yield f"- {each.path}: {old}"
    elif len(line := f"{each.path}: {old} → {new}") <= width:
        yield line
    else:
        yield f"{each.path}:"
        yield f"  {old}"
        yield f"  → {new}"


def short(value: Any) -> str:
    """A value alone, from its beginning."""
    if isinstance(value, str) and "\n" in value:
        lines = value.splitlines()
        return f"{_clip(lines[0])} … ({len(lines)} lines)"
    return _clip(_plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _pair(each: Field) -> tuple[str, str]:
    if ABSENT in (each.old, each.new):
        return short(each.old) if each.new is ABSENT else "", (
            short(each.new) if each.old is ABSENT else ""
        )
    return _window(_plain(each.old), _plain(each.new))


def _window(old: str, new: str) -> tuple[str, str]:
    """Both, cut to where they begin to differ."""
    if max(len(old), len(new)) <= _WIDTH:
        return old, new
    first = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    # From the beginning, which often names what it is about, where that shows the difference.
    start = 0 if first <= _WIDTH - _BEFORE else first - _BEFORE
    return _from(old, start), _from(new, start)


def _from(text: str, start: int) -> str:
    return f"…{_clip(text[start:])}" if start else _clip(text)


def _clip(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _within(each: Field) -> list[str]:
    """A long text's changed lines, or a joined list's changed items."""
    old, new = each.old, each.new
    if not isinstance(old, str) or not isinstance(new, str):
        return []
    if "\n" in old or "\n" in new:
        return list(_lines(old.splitlines(), new.splitlines()))
    if min(old.count(","), new.count(",")) > _LIST:
        before, after = ([item.strip() for item in side.split(",")] for side in (old, new))
        return [f"- {i}" for i in before if i not in after] + [
            f"+ {i}" for i in after if i not in before
        ]
    return []


def _lines(old: list[str], new: list[str]) -> Iterator[str]:
    """The lines that differ, each with one beside it; a line that changed is cut where it did."""
    steps = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for number, (step, i1, i2, j1, j2) in enumerate(steps):
        if step == "equal":
            # What stands right before the next change, and right after the one before.
            near = [i1] * (number > 0) + [i2 - 1] * (number + 1 < len(steps))
            yield from (f" {_clip(old[i])}" for i in dict.fromkeys(near))
            continue
        gone, come = old[i1:i2], new[j1:j2]
        windows = [_window(a, b) for a, b in zip(gone, come, strict=False)]
        alike = len(windows)
        yield from (f"-{line}" for line in [w[0] for w in windows] + [*map(_clip, gone[alike:])])
        yield from (f"+{line}" for line in [w[1] for w in windows] + [*map(_clip, come[alike:])])
