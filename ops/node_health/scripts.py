"""The checks' scripts, and what they print."""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from components.json_object import Json, is_object
from ops.live.asking import Unasked
from ops.node_health.verdict import Check

_FOLDER = Path(__file__).parent / "checks"


def script(check: Check, variables: Mapping[str, str] | None = None) -> str:
    """What runs on a node, with these variables set in it."""
    first, rest = (_FOLDER / f"{check}.sh").read_text().split("\n", 1)
    said = "".join(f"{name}={quote(value)}\n" for name, value in sorted((variables or {}).items()))
    return f"{first}\n{said}{rest}"


def here(check: Check, variables: Mapping[str, str] | None = None, seconds: float = 400) -> Json:
    """Run a check on this machine, as a process of it."""
    ran = subprocess.run(
        ["/bin/sh", "-s"],
        input=script(check, variables),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    printed = lines(ran.stdout)
    if isinstance(printed, Unasked) or not printed:
        why = (ran.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        return {"check": check, "failed": why}
    return printed[0]


def together(checks: Iterable[Check], variables: Mapping[str, str]) -> str:
    """Several checks, one after the other, each in a shell of its own."""
    return "".join(f"(\n{script(check, variables)}\n)\n" for check in checks)


def lines(text: str) -> Sequence[Json] | Unasked:
    """The lines that checks printed; what isn't one of theirs is why they couldn't."""
    found: list[Json] = []
    for line in text.splitlines():
        try:
            read: object = json.loads(line)
        except ValueError:
            return Unasked(line.strip() or "it printed nothing")
        if not is_object(read) or "check" not in read:
            return Unasked(line)
        found.append({**read})
    return found or Unasked("it printed nothing")
