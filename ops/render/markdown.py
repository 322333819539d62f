"""A comparison as a comment on a pull request."""

import re
from collections.abc import Iterator, Sequence

from ops.render.diff import StackDiff
from ops.render.report import (
    SIGN,
    Comparison,
    in_order,
    inputs,
    messages,
    named_by_content,
    once,
    only_hashes,
    replacement,
    same_in,
    summary,
    type_name,
    updated,
)
from ops.render.values import is_hash, sides

COMMENT_LIMIT = 60_000
"""Characters; GitHub takes 65,536 in a comment."""
_MEANING_LIMIT = 20_000
"""Characters of sentences, so that room is left for what they are about."""


def markdown(comparison: Comparison) -> str:
    """The comparison as a comment on a pull request, cut where GitHub would refuse it."""
    shown = [diff for diff in comparison.stacks if diff.status != "same"]
    head = [f"### What this changes, against `{comparison.revision}`", ""]
    head += [f"> {note}" for note in comparison.notes] + ([""] if comparison.notes else [])
    if not shown:
        return "\n".join([*head, "No resource of any stack changes.", ""])
    head += ["| stack | | added | changed | removed | replaced |", "|---|---|--:|--:|--:|--:|"]
    head += [_row(diff) for diff in shown]
    if same := comparison.same():
        head += ["", f"No change: {', '.join(f'`{stack}`' for stack in same)}."]
    if comparison.cost.differs:
        head += ["", f"Nodes cost {comparison.cost.text()}."]
    for diff in shown:
        for sentence in diff.refused:
            head += ["", f"> ⛔ **Refused.** {sentence}"]
        head += _warnings(diff)
    head += _meaning(comparison)
    made = ["\n".join(head) + "\n"]
    room = COMMENT_LIMIT - len(made[0])
    patches = {diff.stack: list(_patch(diff)) for diff in shown}
    said = {diff.stack: "\n".join([diff.status, *patches[diff.stack]]) for diff in shown}
    blocks = [pair for pair in once(comparison, said) if patches[pair[0].stack]]
    for index, (diff, alike) in enumerate(blocks):
        opened = " open" if diff.status == "changed" else ""
        title = f"{SIGN[diff.status]} {diff.stack}: {summary(diff)}{same_in(alike)}"
        body = _cut(patches[diff.stack], room // (len(blocks) - index) - len(title) - 120)
        block = (
            f"\n<details{opened}><summary><code>{title}</code></summary>\n\n{body}\n</details>\n"
        )
        made.append(block)
        room -= len(block)
    return "".join(made)


def _row(diff: StackDiff) -> str:
    if diff.status == "removed":
        return f"| `{diff.stack}` | its file goes |  |  |  |  |"
    counts = (len(diff.added), len(updated(diff)), len(diff.removed), len(diff.replaced))
    cells = " | ".join(str(count) if count else "" for count in counts)
    return f"| `{diff.stack}` | {'**refused**' if diff.refused else diff.status} | {cells} |"


def _meaning(comparison: Comparison) -> Iterator[str]:
    room = _MEANING_LIMIT
    sentences = comparison.sentences()
    for number, (sentence, stacks) in enumerate(sentences.items()):
        names = ", ".join(f"`{stack}`" for stack in stacks)
        line = f"\n> 👉 {names}: {sentence}."
        room -= len(line)
        if room < 0:
            more = len(sentences) - number
            yield f"\n> {more} more such sentences: run `fleet render --diff` here to see them."
            return
        yield line


def _warnings(diff: StackDiff) -> Iterator[str]:
    """What is replaced by a change of its own; what follows from that is counted."""
    own = [
        each for each in diff.replaced if not all(r.endswith("is replaced") for r in each.replaced)
    ]
    yield from (
        f"\n> ⚠️ **`{each.name}` would be replaced** for its {', '.join(each.replaced)}."
        for each in own
        if not named_by_content(each)
    )
    if follow := len(diff.replaced) - len(own):
        yield f"\n> {follow} more resources hang on what is replaced, and are replaced with it."


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


def _patch(diff: StackDiff) -> Iterator[str]:
    """What changes; what is refused stands above."""
    if diff.status == "removed":
        return
    changes = in_order(diff)
    for changed in changes.own:
        yield f"@@ {changed.name}  {type_name(changed.type)}{only_hashes(changed)} @@"
        yield from (f"! {line}" for line in replacement(changed))
        for each in changed.fields:
            if not is_hash(each):
                yield from sides(each)
    for reason, names in changes.replaced.items():
        yield f"! REPLACED with it ({reason}): {', '.join(names)}"
    for source, names in changes.following.items():
        yield f"  follows {source}: {', '.join(names)}"
    for resource in diff.added:
        yield f"+ {resource.name}  {type_name(resource.type)}"
        yield from (f"+     {line}" for line in inputs(resource))
    for resource in diff.removed:
        yield f"- {resource.name}  {type_name(resource.type)}"
    yield from messages(diff)
