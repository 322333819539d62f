"""A report as text."""

import textwrap
from collections.abc import Iterable

from ops.doctor.finding import RUNGS, Blind, Finding, Note
from ops.doctor.ladder import Report

WIDTH = 76


def text(report: Report) -> str:
    """The ladder in a glance, then what was found, what couldn't be asked, and what wasn't."""
    count = {rung: sum(f.rung == rung for f in report.findings) for rung in RUNGS}
    lines: list[str] = []
    for rung in RUNGS:
        if count[rung]:
            lines.append(f"✗ {rung:<15} {count[rung]} found")
        elif rung in report.well:
            lines.append(f"✓ {rung}")
        elif rung in report.left:
            lines.append(f"· {rung:<15} not looked at: --all")
        elif report.blind and _blinds(rung, report):
            lines.append(f"? {rung:<15} couldn't be asked in full")
    for finding in report.findings:
        lines += ["", *told(finding)]
    if report.blind:
        lines += ["", "Couldn't be asked:"]
        lines += [line for each in _grouped(report.blind) for line in _wrapped("  ", each)]
    if report.notes:
        lines += ["", "Not looked at, or worth knowing:"]
        lines += [line for each in _notes(report.notes) for line in _wrapped("  ", each)]
    if not report.findings and not report.blind:
        lines += ["", "Nothing found."]
    return "\n".join(lines)


def told(finding: Finding) -> list[str]:
    """A finding in words. The command stays in one piece, to be copied."""
    lines = [f"{finding.stack}: {finding.rung}: {finding.fault}"]
    if finding.subject != finding.stack:
        lines[0] += f" ({finding.subject})"
    for name, what in (("asked", finding.asked), ("came", finding.came), ("means", finding.means)):
        lines += _wrapped(f"  {name:<6} ", what)
    return [*lines, f"  {'do':<6} {finding.do}"]


def _wrapped(first: str, what: str) -> list[str]:
    return textwrap.wrap(
        what,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _grouped(blind: Iterable[Blind]) -> Iterable[str]:
    """By system: what one vendor doesn't answer, it answers for no stack."""
    stacks: dict[str, list[Blind]] = {}
    for each in blind:
        stacks.setdefault(each.system, []).append(each)
    for system, several in stacks.items():
        causes = {
            each.cause: [b.stack for b in several if b.cause == each.cause] for each in several
        }
        for cause, whose in causes.items():
            yield f"{', '.join(whose)}: {system}: {cause}"


def _notes(notes: Iterable[Note]) -> Iterable[str]:
    stacks: dict[str, list[str]] = {}
    for note in notes:
        stacks.setdefault(note.text, []).append(note.stack)
    return [f"{', '.join(dict.fromkeys(whose))}: {text}" for text, whose in stacks.items()]


def _blinds(rung: str, report: Report) -> bool:
    return rung not in (*report.well, *report.left, *report.off)
