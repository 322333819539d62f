"""What ends, as a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ops.doctor.finding import Blind
from ops.expiries.endings import Ending, Told
from ops.tables import table


def text(told: Sequence[Told], now: datetime, within: int, width: int | None = None) -> str:
    """A row for each; then what to do about those that end `within` days."""
    endings = [each for each in told if isinstance(each, Ending)]
    rows = [("", "ENDS", "LEFT", "STACK", "WHAT")]
    rows += [
        (
            "!" if due(each, now, within) else "",
            f"{each.ends:%Y-%m-%d}" if each.ends else "",
            _left(each.days(now)),
            each.stack,
            each.what,
        )
        for each in endings
    ]
    lines = [table(rows, width)]
    soon = [each for each in endings if due(each, now, within)]
    lines += ["", *(f"{each.stack}: {each.what}\n  do  {each.do}" for each in soon)]
    blind = [each for each in told if isinstance(each, Blind)]
    if blind:
        lines += ["", "Couldn't be asked:"]
        lines += [f"  {each.stack}: {each.system}: {each.cause}" for each in blind]
    if not soon and not blind:
        lines.append(f"Nothing ends within {_days(within)}.")
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def plain(told: Sequence[Told], now: datetime, within: int) -> dict[str, Any]:
    """The same for a program."""
    return {
        "within": within,
        "endings": [
            {
                "stack": each.stack,
                "what": each.what,
                "ends": each.ends.isoformat() if each.ends else None,
                "due": due(each, now, within),
                "do": each.do,
            }
            for each in told
            if isinstance(each, Ending)
        ],
        "blind": [vars(each) for each in told if isinstance(each, Blind)],
    }


def due(ending: Ending, now: datetime, within: int) -> bool:
    """Whether it ends within so many days, or has ended."""
    days = ending.days(now)
    return days is not None and int(days) <= within


def _left(days: float | None) -> str:
    if days is None:
        return ""
    return "ended" if days < 0 else _days(int(days))


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
