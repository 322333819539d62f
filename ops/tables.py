"""Tables that fit the terminal they are printed on."""

import shutil
import sys
from collections.abc import Sequence
from itertools import zip_longest

Row = tuple[str, ...]


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none, so that what a
    program reads is the same everywhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(rows: Sequence[Row], width: int | None = None, optional: Sequence[str] = ()) -> str:
    """Rows, the headings first, in columns as wide as what stands in them.

    Where that is more than `width`, lists within cells go over several lines; if that isn't enough,
    `optional` columns are left out, the first first, and a last line names them.
    """
    left_out: list[str] = []
    if width is not None and _wide(rows) > width:
        rows = [line for row in rows for line in _broken(row)]
        for heading in optional:
            if _wide(rows) <= width:
                break
            at = rows[0].index(heading)
            rows = [(*row[:at], *row[at + 1 :]) for row in rows]
            left_out.append(heading)
    widths = _widths(rows)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if left_out:
        lines += ["", f"Not shown, for want of room: {', '.join(left_out)}."]
    return "\n".join(lines)


def _broken(row: Row) -> list[Row]:
    """A row as several, one for each item of its longest list."""
    cells = [cell.replace(", ", ",\n").split("\n") for cell in row]
    return list(zip_longest(*cells, fillvalue=""))


def _widths(rows: Sequence[Row]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _wide(rows: Sequence[Row]) -> int:
    widths = _widths(rows)
    return sum(widths) + 2 * (len(widths) - 1)
