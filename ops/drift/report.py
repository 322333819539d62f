"""Drift as a text that a chat message or an issue can carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ops.doctor.finding import Blind, Finding
from ops.drift.preview import Change
from ops.live.asking import Unasked

FOREIGN = ("record-dead", "web-open", "open-to-everybody")
"""Findings about what the state doesn't know: the engine can't see these."""
_MOST = 20
"""Changes of a stack that are named; a message has an end."""


@dataclass(frozen=True)
class Drift:
    """`changes` by stack: what the engine found, or why it couldn't look. `foreign` is there, and
    nothing here made it; `blind` are systems that couldn't be asked for such."""

    changes: Mapping[str, tuple[Change, ...] | Unasked]
    foreign: tuple[Finding, ...] = ()
    blind: tuple[Blind, ...] = field(default=())

    @property
    def found(self) -> bool:
        """Whether anything differs."""
        return bool(self.foreign) or any(
            each for each in self.changes.values() if not isinstance(each, Unasked)
        )

    @property
    def unasked(self) -> bool:
        """Whether somebody couldn't be asked."""
        return bool(self.blind) or any(isinstance(e, Unasked) for e in self.changes.values())


def text(drift: Drift) -> str:
    """Markdown that reads as plain text, too."""
    lines: list[str] = []
    for stack, changes in drift.changes.items():
        foreign = [finding for finding in drift.foreign if finding.stack == stack]
        lines += [*_stack(stack, changes, foreign), ""]
    if drift.blind:
        lines.append("Couldn't be asked for what nothing here made:")
        lines += [f"- {each.stack}: {each.system}: {each.cause}" for each in drift.blind]
    return "\n".join(lines).rstrip()


def _stack(
    stack: str, changes: tuple[Change, ...] | Unasked, foreign: Sequence[Finding]
) -> list[str]:
    if isinstance(changes, Unasked):
        lines = [f"**{stack}**: couldn't look: {changes.cause}"]
    elif changes:
        count = "1 resource isn't" if len(changes) == 1 else f"{len(changes)} resources aren't"
        lines = [f"**{stack}**: {count} as the code says"]
        lines += [f"- `{c.name}` ({_kind(c.type)}) {c.says}" for c in changes[:_MOST]]
        if len(changes) > _MOST:
            lines.append(f"- and {len(changes) - _MOST} more")
        lines += ["", f"`pulumi up --refresh -s {stack}` makes them so."]
    else:
        lines = [f"**{stack}**: as the code says"]
    if foreign:
        lines += ["", "There, and made by nobody here:"]
        lines += [f"- {f.subject}: {f.came}\n  do: {f.do}" for f in foreign]
    return lines


def _kind(token: str) -> str:
    """`DnsRecord` of `cloudflare:index/dnsRecord:DnsRecord`."""
    return token.rpartition(":")[2]
