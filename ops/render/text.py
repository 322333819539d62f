"""A comparison as it is read at a terminal."""

import re
from collections.abc import Iterator
from textwrap import wrap

import typer

from ops.render.diff import StackDiff
from ops.render.report import (
    SIGN,
    Comparison,
    Kind,
    Line,
    in_order,
    inputs,
    messages,
    once,
    only_hashes,
    replacement,
    same_in,
    summary,
    type_name,
)
from ops.render.values import changed as changed_value
from ops.render.values import is_hash

WIDTH = 100
_HARD = "\N{NO-BREAK SPACE}"
_COLOURS: dict[Kind, str] = {
    "added": "green",
    "removed": "red",
    "changed": "yellow",
    "replaced": "magenta",
    "refused": "bright_red",
    "meaning": "cyan",
}


def text(comparison: Comparison, width: int = WIDTH, *, colour: bool = False) -> str:
    """The comparison in lines of at most `width` columns, as far as values let it."""
    lines = [piece for line in _lines(comparison, width) for piece in _folded(line, width)]
    said = "\n".join(_coloured(line) if colour else line.text for line in lines)
    return said.strip("\n") + "\n"


def _coloured(line: Line) -> str:
    colour = _COLOURS.get(line.kind)
    return typer.style(line.text, fg=colour) if colour else line.text


def _folded(line: Line, width: int) -> Iterator[Line]:
    if line.value or len(line.text) <= width:
        yield line
        return
    start = len(line.text) - len(line.text.lstrip())
    # A command stays in one piece.
    unbroken = re.sub("`[^`]*`", lambda command: command[0].replace(" ", _HARD), line.text)
    for piece in wrap(
        unbroken.lstrip(),
        width,
        initial_indent=" " * start,
        subsequent_indent=" " * (start + 4),
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield Line(piece.replace(_HARD, " "), line.kind)


def _lines(comparison: Comparison, width: int) -> Iterator[Line]:
    yield from (Line(f"note: {note}") for note in comparison.notes)
    lines = {diff.stack: list(_stack(diff, width)) for diff in comparison.stacks}
    said = {
        diff.stack: "\n".join([diff.status, *(line.text for line in lines[diff.stack])])
        for diff in comparison.stacks
    }
    for diff, alike in once(comparison, said):
        heading = f"{SIGN[diff.status]} {diff.stack}: {summary(diff)}{same_in(alike)}"
        yield Line("")
        yield Line(heading, _kind(diff))
        yield from lines[diff.stack]
    if sentences := comparison.sentences():
        yield Line("")
        for sentence, stacks in sentences.items():
            yield Line(f"» {', '.join(stacks)}: {sentence}", "meaning")
    if same := comparison.same():
        yield Line("")
        yield Line(f"no change: {', '.join(same)}")
    if comparison.cost.differs:
        yield Line("")
        yield Line(f"nodes cost {comparison.cost.text()}")


def _kind(diff: StackDiff) -> Kind:
    if diff.refused:
        return "refused"
    if diff.replaced:
        return "replaced"
    kinds: dict[str, Kind] = {"added": "added", "changed": "changed"}
    # A stack whose file goes stays: nothing of it is red.
    return kinds.get(diff.status, "")


def _stack(diff: StackDiff, width: int) -> Iterator[Line]:
    yield from (Line(f"  ! refused: {sentence}", "refused") for sentence in diff.refused)
    if diff.status == "removed":
        return
    changes = in_order(diff)
    for changed in changes.own:
        kind: Kind = "replaced" if changed.replaced else "changed"
        sign = "±" if changed.replaced else "~"
        name = f"{changed.name}  {type_name(changed.type)}{only_hashes(changed)}"
        yield Line(f"  {sign} {name}", kind)
        yield from (Line(f"      {line}", kind) for line in replacement(changed))
        for each in changed.fields:
            if not is_hash(each):
                values = changed_value(each, width - 6)
                yield from (Line(f"      {line}", value=True) for line in values)
    for reason, names in changes.replaced.items():
        yield Line(f"  ± REPLACED with it ({reason}): {', '.join(names)}", "replaced")
    for source, names in changes.following.items():
        yield Line(f"  ~ follows {source}: {', '.join(names)}", "changed")
    for resource in diff.added:
        yield Line(f"  + {resource.name}  {type_name(resource.type)}", "added")
        if diff.status != "added":
            yield from (Line(f"      {line}", value=True) for line in inputs(resource))
    if diff.status == "added":
        yield Line(f"  `fleet render {diff.stack}` shows what these are made of")
    for resource in diff.removed:
        yield Line(f"  - {resource.name}  {type_name(resource.type)}", "removed")
    yield from (Line(f"  {line}") for line in messages(diff))
