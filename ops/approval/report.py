"""A verdict as a person reads it, and as a program does."""

from collections.abc import Sequence
from typing import Any

from ops.approval.comparison import Verdict
from ops.approval.history import Since
from ops.approval.steps import Planned, kind_and_name


def text(stack: str, against: Since, verdict: Verdict, agreed: bool) -> str:
    """The verdict in sentences."""
    lines = [f"{stack}: held against {_said(against)}."]
    if verdict.approved:
        lines.append(f"{_count(verdict.approved, 'change')} as the files say.")
    if verdict.follows:
        names = ", ".join(kind_and_name(step.planned.urn)[1] for step in verdict.follows)
        lines.append(f"Follows the nodes and the way into the cluster, which no file says: {names}")
    if verdict.settled:
        lines.append(f"The files say it, and it is so already: {_names(verdict.settled)}")
    if not verdict.unapproved:
        done = "Nothing else would be done." if verdict.approved else "Nothing would be done."
        return "\n".join([*lines, done, ""])
    lines += ["", f"NOT APPROVED, {_count(len(verdict.unapproved), 'change')}:"]
    lines += [f"  - {sentence}" for _, sentence in verdict.unapproved]
    code = f"{stack}:{verdict.digest}"
    if agreed:
        return "\n".join([*lines, "", f"Agreed to, by {code}: it may be carried out.", ""])
    return "\n".join(
        [
            *lines,
            "",
            "Nothing was changed. To go on, one of:",
            "  - undo it where it was done, and run this again;",
            "  - write it into the files, in a pull request: then it is approved there;",
            f"  - look at each of them, and run this again with --agreed {code} (the workflow "
            "`deploy`, started by hand, asks for it as `agreed`). It agrees to just these changes.",
            "",
        ]
    )


def plain(stack: str, against: Since, verdict: Verdict, agreed: bool) -> dict[str, Any]:
    """For JSON."""
    return {
        "stack": stack,
        "base": against.base,
        "tried": list(against.tried),
        "unfinished": against.unfinished,
        "approved": verdict.approved,
        "unapproved": [
            {
                **step.planned._asdict(),
                "differs": list(step.differs),
                "replaces": list(step.replaces),
                "why": sentence,
            }
            for step, sentence in verdict.unapproved
        ],
        "follows": [step.planned._asdict() for step in verdict.follows],
        "settled": [planned._asdict() for planned in verdict.settled],
        "digest": verdict.digest if verdict.unapproved else None,
        "agreed": agreed,
    }


def _said(against: Since) -> str:
    base = (
        f"what the files changed since {against.base[:12]}, the last commit it was brought up from"
        if against.base
        else "all that the files say, as no commit of this branch was brought up before"
    )
    tried = ", ".join(commit[:12] for commit in against.tried)
    return f"{base}, and since {tried}, where a run failed" if tried else base


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number > 1 else ''}"


def _names(planned: Sequence[Planned]) -> str:
    return ", ".join(sorted({kind_and_name(each.urn)[1] for each in planned}))
