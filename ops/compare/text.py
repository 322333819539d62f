"""A matrix as text for a terminal, and as one page of HTML."""

import re
from collections.abc import Sequence
from html import escape

from ops.compare.matrix import Difference, Matrix, Row

WIDTH = 60
"""Columns that fit a chat message or half a screen."""
_MARKS = {"same": " ", "meant": "~", "odd": "!", "unseen": "?"}


def text(found: Matrix, width: int = WIDTH) -> str:
    """Rows that are the same everywhere take one line; others a line for each cluster."""
    clusters = "1 cluster" if len(found.stacks) == 1 else f"{len(found.stacks)} clusters"
    lines = [f"{clusters}: {', '.join(found.stacks)}", ""]
    for row in found.rows:
        lines += _row(found.stacks, row, width)
    if found.differences:
        lines += ["", f"{len(found.differences)} found (marked !):"]
        for each in found.differences:
            lines += ["", *difference(each)]
    else:
        mean = "the files mean" if not found.makers else "the files or the clusters' makers mean"
        lines += ["", f"No difference but those that {mean} (~)."]
    if found.makers:
        lines += ["", "Made by different hands, and compared accordingly:"]
        lines += [f"  {stack}: {maker}" for stack, maker in found.makers.items()]
    if found.unseen:
        lines += ["", "Couldn't be asked:", *(f"  {line}" for line in found.unseen)]
    return "\n".join(lines)


def difference(each: Difference) -> list[str]:
    """One that is odd, in words."""
    return [
        f"{each.stack}: {each.trait}: {each.value}",
        f"  right    {each.right}",
        f"  because  {each.why}",
        f"  do       {each.do}",
    ]


def _row(stacks: Sequence[str], row: Row, width: int) -> list[str]:
    name = f"{row.trait:<16} "
    if len({(cell.value, cell.mark) for cell in row.cells}) == 1 and row.cells:
        (cell, *_) = row.cells
        return [_cut(f"{_MARKS[cell.mark]} {name}{_short(cell.value)}", width)]
    lines = [f"  {row.trait}"]
    longest = max(map(len, stacks))
    for stack, cell in zip(stacks, row.cells, strict=True):
        told = f"{_MARKS[cell.mark]}   {stack:<{longest}}  {_short(cell.value)}"
        lines.append(_cut(told, width))
    return lines


def _short(value: str) -> str:
    """An image's digest is long, and its beginning tells it apart."""
    return re.sub(r"(@sha256:[0-9a-f]{8})[0-9a-f]+", r"\1…", value)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #1f2328; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border: 1px solid #d0d7de; padding: .3rem .6rem; text-align: left; vertical-align: top }
th { background: #f6f8fa } td { font-family: ui-monospace, monospace; font-size: 12px }
.odd { background: #ffebe9; outline: 2px solid #cf222e; outline-offset: -2px }
.meant { background: #ddf4ff } .unseen { background: #fff8c5 }
dt { font-weight: 600; margin-top: 1rem } dd { margin: 0 0 0 1rem }
"""


def html(found: Matrix, when: str) -> str:
    """One page that needs nothing else: no script, no picture, nothing from the network."""
    head = "".join(f"<th>{escape(stack)}</th>" for stack in found.stacks)
    rows = "\n".join(
        f"<tr><th>{escape(row.trait)}</th>"
        + "".join(
            f'<td class="{cell.mark}">{escape(_short(cell.value))}</td>' for cell in row.cells
        )
        + "</tr>"
        for row in found.rows
    )
    told = "\n".join(
        f"<dt>{escape(d.stack)}: {escape(d.trait)}: {escape(d.value)}</dt>"
        f"<dd>right: {escape(d.right)}</dd><dd>because {escape(d.why)}</dd>"
        f"<dd>do: <code>{escape(d.do)}</code></dd>"
        for d in found.differences
    )
    unseen = "".join(f"<li>{escape(line)}</li>" for line in found.unseen)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>fleet compare</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_STYLE}</style></head><body>
<h1>fleet compare: {", ".join(map(escape, found.stacks))}</h1>
<p>{len(found.differences)} found.</p>
<p>{escape(when)}. <span class="odd">Odd</span>: not as the file says, or not as the others are.
<span class="meant">Meant</span>: as its file says, or its maker has it.
<span class="unseen">?</span>: not seen.</p>
<table><tr><th></th>{head}</tr>
{rows}
</table>
<dl>
{told}
</dl>
{f"<h2>Couldn't be asked</h2><ul>{unseen}</ul>" if unseen else ""}
</body></html>
"""
