"""docs/runbook.md, walked: its blocks of commands, each with all that it prints.

What differs from fleet to fleet (ids, addresses, days, names of pods) stands for itself; `…` stands
for anything.
"""

import re
import shlex
from collections.abc import Callable
from itertools import groupby

from tests.fleet.fleet import Ran
from tests.projects import ROOT

_STANDS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"\bedge-[0-9a-f]{12}\b", "NODE"),
    (r"2001:19f0[0-9a-f:]*", "IPV6"),
    (r"\b45\.76\.\d+\.\d+\b", "IPV4"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"/rules/\d+", "/rules/N"),
    (r"\b(calico-node|nginx-ingress|edgefleet-node-firewall)-[a-z0-9]{5}\b", r"\1-POD"),
    (r"\b[0-9a-f]{12,}…", "HASH"),
    (r"\b\d+ days\b", "N days"),
    (r"#[0-9a-f]{6}\b", "#HASH"),
)


def blocks() -> dict[str, list[str]]:
    """What each command prints, by heading and command: all blocks of the page that have one."""
    found: dict[str, list[str]] = {}
    text = (ROOT / "docs" / "runbook.md").read_text()
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        command, _, printed = block.partition("\n")
        found.setdefault(command.removeprefix("$ fleet "), []).append(printed)
    return found


def walk(run: Callable[..., Ran], command: str) -> Ran:
    """Run a command of the page; it has to print what stands there, and to find something."""
    (printed,) = blocks()[command]
    ran = run(*shlex.split(command))
    assert ran.code == 1, ran.output
    assert re.fullmatch(_pattern(printed), _plain(ran.output)), (
        f"{command}\n--- docs/runbook.md has\n{printed}\n--- printed was\n{ran.output}"
    )
    return ran


def _plain(text: str) -> str:
    """Without what differs from run to run, and however it is wrapped."""
    for differs, stands in _STANDS:
        text = re.sub(differs, stands, text)
    lines: list[str] = []
    # Resources by the name of their machines: another order for each fleet.
    for listed, group in groupby(text.splitlines(), lambda line: line.startswith("- `")):
        rows = [*group]
        lines += sorted(rows) if listed else rows
    return " ".join(" ".join(lines).split())


def _pattern(printed: str) -> str:
    parts = [re.escape(_plain(part)) for part in re.split(r"^…$", printed, flags=re.M)]
    return r"[\s\S]*".join(parts)
