"""Cron expressions as Cloudflare takes them: five fields, and weekdays from 1 (Sunday) to 7.

``L``, ``W`` and ``#`` are Quartz's (developers.cloudflare.com/workers/configuration/cron-triggers).
A weekday 0 is refused (https://github.com/cloudflare/workers-sdk/issues/8923).
"""

import re

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_FIELDS: tuple[tuple[int, int, dict[str, int], str], ...] = (
    (0, 59, {}, ""),
    (0, 23, {}, ""),
    (1, 31, {}, r"L|LW|\d{1,2}W"),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}, ""),
    (1, 7, {name: number for number, name in enumerate(_DAYS, 1)}, r"L|[1-7A-Z]{1,3}(L|#[1-5])"),
)
"""Of each field: its least and greatest number, names, and what else it may be."""


def valid(expression: str) -> bool:
    """Whether Cloudflare takes it."""
    fields = expression.upper().split()
    return len(fields) == len(_FIELDS) and all(
        _valid_part(part, *kind)
        for field, kind in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
    )


def _valid_part(part: str, least: int, greatest: int, names: dict[str, int], also: str) -> bool:
    if also and re.fullmatch(also, part):
        return True
    values, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and 1 <= int(step) <= greatest):
        return False
    if values == "*":
        return True
    first, dash, last = values.partition("-")
    numbers = [
        names.get(v, int(v) if v.isdecimal() else -1) for v in (first, last if dash else first)
    ]
    return all(least <= number <= greatest for number in numbers) and numbers[0] <= numbers[1]
