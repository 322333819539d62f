"""A difference as a reviewer reads it: text, or Markdown for a pull request's comment."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ops.render.cost import NO_COST, CostChange
from ops.render.diff import Changed, StackDiff
from ops.render.resources import Registered
from ops.render.values import changed as changed_value
from ops.render.values import is_hash, short, sides

COMMENT_LIMIT = 60_000
"""Characters; GitHub takes 65,536 in a comment."""
_SIGN = {"added": "+", "removed": "-", "changed": "~", "same": "="}


@dataclass(frozen=True)
class Comparison:
    """Stacks compared with a revision. `notes` say what the comparison couldn't look at."""

    revision: str
    stacks: list[StackDiff]
    notes: list[str]
    cost: CostChange = NO_COST

    @property
    def refused(self) -> bool:
        """Whether `pulumi up` will refuse something."""
        return any(diff.refused for diff in self.stacks)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "revision": self.revision,
            "notes": self.notes,
            "cost": self.cost.plain(),
            "stacks": [diff.plain() for diff in self.stacks],
        }


def text(comparison: Comparison) -> str:
    """The comparison for a terminal."""
    lines = [f"note: {note}" for note in comparison.notes]
    for diff, alike in _once(comparison.stacks):
        lines += ["", f"{_SIGN[diff.status]} {diff.stack}: {_summary(diff)}{_same_in(alike)}"]
        if diff.status == "removed":
            lines.append(f"  ! {_left_running(diff)}")
        lines += [f"  {line}" for line in _stack(diff)]
    same = [diff.stack for diff in comparison.stacks if diff.status == "same"]
    if same:
        lines += ["", f"no change: {', '.join(same)}"]
    if comparison.cost.differs:
        lines += ["", f"nodes cost {comparison.cost.text()}"]
    return "\n".join(lines).strip("\n") + "\n"


def markdown(comparison: Comparison) -> str:
    """The comparison as a comment on a pull request, cut where GitHub would refuse it."""
    shown = [diff for diff in comparison.stacks if diff.status != "same"]
    head = [f"### What this changes, against `{comparison.revision}`", ""]
    head += [f"> {note}" for note in comparison.notes] + ([""] if comparison.notes else [])
    if not shown:
        return "\n".join([*head, "No resource of any stack changes.", ""])
    head += ["| stack | | added | changed | removed | replaced |", "|---|---|--:|--:|--:|--:|"]
    for diff in comparison.stacks:
        counts = (len(diff.added), len(_updated(diff)), len(diff.removed), len(diff.replaced))
        cells = " | ".join(str(count) if count else "" for count in counts)
        word = "**refused**" if diff.refused else diff.status.replace("same", "no change")
        head.append(f"| `{diff.stack}` | {word} | {cells} |")
    if comparison.cost.differs:
        head += ["", f"Nodes cost {comparison.cost.text()}."]
    blocks = []
    for diff in shown:
        for sentence in diff.refused:
            head += ["", f"> ⛔ **Refused.** {sentence}"]
        head += _warnings(diff)
    for diff, alike in _once(comparison.stacks):
        opened = " open" if diff.status == "changed" else ""
        title = f"{_SIGN[diff.status]} {diff.stack}: {_summary(diff)}{_same_in(alike)}"
        blocks.append((title, opened, diff))
    made = ["\n".join(head) + "\n"]
    room = COMMENT_LIMIT - len(made[0])
    for index, (title, opened, diff) in enumerate(blocks):
        body = _cut(list(_patch(diff)), room // (len(blocks) - index) - len(title) - 120)
        block = (
            f"\n<details{opened}><summary><code>{title}</code></summary>\n\n{body}\n</details>\n"
        )
        made.append(block)
        room -= len(block)
    return "".join(made)


def _named_by_content(each: Changed) -> bool:
    """Another one is made beside it, pods roll to that, and it goes last: no reason to warn."""
    kinds = ("kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret")
    return each.type in kinds and list(each.replaced) == ["metadata.name"]


def _warnings(diff: StackDiff) -> Iterator[str]:
    """A stack that leaves, and what is replaced by a change of its own; what follows from that is
    counted."""
    if diff.status == "removed":
        yield f"\n> ⚠️ {_left_running(diff)}"
    own = [each for each in diff.replaced if each.fields]
    yield from (
        f"\n> ⚠️ **`{each.name}` would be replaced** for its {', '.join(each.replaced)}."
        for each in own
        if not _named_by_content(each)
    )
    if follow := len(diff.replaced) - len(own):
        yield f"\n> {follow} more resources hang on what is replaced, and are replaced with it."


def _left_running(diff: StackDiff) -> str:
    return (
        f"A file that goes deletes nothing: drain, and `pulumi destroy --stack {diff.stack}`, "
        "before this is merged, or all of it stays in nobody's hands."
    )


def _cut(lines: Sequence[str], room: int) -> str:
    kept, left = [], room
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    more = len(lines) - len(kept)
    # Longer than any run of backticks within, so that no value can end the block.
    longest = max((len(run) for line in kept for run in _backticks(line)), default=0)
    fence = "`" * max(3, longest + 1)
    tail = f"\n\n{more} more lines: run `fleet render --diff` here to see them." if more else ""
    return "\n".join([f"{fence}diff", *kept, fence]) + tail + "\n"


def _backticks(line: str) -> list[str]:
    return re.findall("`+", line)


def _updated(diff: StackDiff) -> list[Changed]:
    return [changed for changed in diff.changed if not changed.replaced]


def _summary(diff: StackDiff) -> str:
    counts = (
        (len(diff.added), "added"),
        (len(_updated(diff)), "changed"),
        (len(diff.removed), "removed"),
        (len(diff.replaced), "REPLACED"),
        (len(diff.refused), "REFUSED"),
    )
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "says other things"


def _once(diffs: Sequence[StackDiff]) -> list[tuple[StackDiff, list[str]]]:
    """Stacks that change, those with the same change as one: the first, and the others' names."""
    groups: dict[str, list[StackDiff]] = {}
    for diff in diffs:
        if diff.status == "same":
            continue
        said = "\n".join([diff.status, *_stack(diff)])
        # Its own name, which stands in those of its resources and in what it says.
        groups.setdefault(re.sub(rf"\b{re.escape(diff.stack)}\b", "{}", said), []).append(diff)
    return [(first, [other.stack for other in others]) for first, *others in groups.values()]


def _same_in(stacks: Sequence[str]) -> str:
    return f" (the same in {', '.join(stacks)})" if stacks else ""


def _in_order(diff: StackDiff) -> tuple[list[Changed], dict[str, list[str]]]:
    """What changes by itself, replacements first; and what is replaced with them, by the reason."""
    own = [each for each in diff.changed if each.fields or not each.replaced]
    follow: dict[str, list[str]] = {}
    for each in diff.changed:
        if each not in own:
            follow.setdefault("; ".join(each.replaced), []).append(each.name)
    return sorted(own, key=lambda each: not each.replaced), follow


def _stack(diff: StackDiff) -> Iterator[str]:
    yield from (f"! refused: {sentence}" for sentence in diff.refused)
    own, follow = _in_order(diff)
    for changed in own:
        sign = "±" if changed.replaced else "~"
        yield f"{sign} {changed.name}  {_type(changed.type)}{_only_hashes(changed)}"
        yield from (f"    REPLACED: {reason}" for reason in changed.replaced)
        for each in changed.fields:
            if not is_hash(each):
                yield from (f"    {line}" for line in changed_value(each))
    for reason, names in follow.items():
        yield f"± REPLACED with it ({reason}): {', '.join(names)}"
    for resource in diff.added:
        yield f"+ {resource.name}  {_type(resource.type)}"
        yield from (f"    {line}" for line in _inputs(resource))
    yield from _gone_and_said(diff)


def _patch(diff: StackDiff) -> Iterator[str]:
    yield from (f"! refused: {sentence}" for sentence in diff.refused)
    own, follow = _in_order(diff)
    for changed in own:
        yield f"@@ {changed.name}  {_type(changed.type)}{_only_hashes(changed)} @@"
        yield from (f"! REPLACED: {reason}" for reason in changed.replaced)
        for each in changed.fields:
            if not is_hash(each):
                yield from sides(each)
    for reason, names in follow.items():
        yield f"! REPLACED with it ({reason}): {', '.join(names)}"
    for resource in diff.added:
        yield f"+ {resource.name}  {_type(resource.type)}"
        yield from (f"+     {line}" for line in _inputs(resource))
    yield from _gone_and_said(diff)


def _only_hashes(changed: Changed) -> str:
    """A resource that only follows what it holds the hash of."""
    hashes = changed.fields and all(is_hash(each) for each in changed.fields)
    return "  (follows its content)" if hashes else ""


def _gone_and_said(diff: StackDiff) -> Iterator[str]:
    yield from (f"- {resource.name}  {_type(resource.type)}" for resource in diff.removed)
    yield from (f"- says: {line}" for line in diff.said)
    yield from (f"+ says: {line}" for line in diff.says)


def _inputs(resource: Registered) -> Iterator[str]:
    for path, value in _leaves(resource.inputs, ""):
        yield f"{path}: {short(value)}"
    for option in ("protect", "import"):
        if option in resource.options:
            yield f"({option}): {short(resource.options[option])}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _type(token: str) -> str:
    """`vultr:index/kubernetes:Kubernetes` → `vultr:Kubernetes`, as Pulumi's CLI prints it."""
    package, module, kind = token.split(":")
    short = module.split("/")[0] if module.startswith("index") else module
    return f"{package}:{kind}" if short == "index" else f"{package}:{short}:{kind}"
