"""A comparison of two renderings, and what both ways of writing it have in common."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.render.cost import NO_COST, CostChange
from ops.render.diff import Changed, StackDiff, follows
from ops.render.resources import Registered
from ops.render.values import is_hash, short

SIGN = {"added": "+", "removed": "-", "changed": "~", "same": "="}
_FOLLOWING = re.compile(r"\d+ records follow \(A and AAAA for ")


@dataclass(frozen=True)
class Comparison:
    """Stacks compared with a revision. `notes` say what the comparison couldn't look at; `meaning`
    has sentences by stack: what its change means."""

    revision: str
    stacks: list[StackDiff]
    notes: list[str]
    cost: CostChange = NO_COST
    meaning: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

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
            "stacks": [
                {**diff.plain(), "meaning": list(self.meaning.get(diff.stack, ()))}
                for diff in self.stacks
            ],
        }

    def sentences(self) -> dict[str, list[str]]:
        """What the changes mean: the stacks that each sentence holds for."""
        found: dict[str, list[str]] = {}
        for stack, sentences in self.meaning.items():
            for sentence in sentences:
                found.setdefault(sentence, []).append(stack)
        return found

    def same(self) -> list[str]:
        """Stacks that don't change."""
        return [diff.stack for diff in self.stacks if diff.status == "same"]


Kind = Literal["", "added", "removed", "changed", "replaced", "refused", "meaning"]


@dataclass(frozen=True)
class Line:
    """A line for a terminal. `kind` is what it tells of, and its colour; `value` says that the text
    is a value's, whose line breaks are its own."""

    text: str
    kind: Kind = ""
    value: bool = False


def updated(diff: StackDiff) -> list[Changed]:
    """Resources that change where they are."""
    return [changed for changed in diff.changed if not changed.replaced]


def summary(diff: StackDiff) -> str:
    """A stack's change in numbers."""
    if diff.status == "removed":
        return "its file goes, nothing is deleted"
    counts = (
        (len(diff.added), "added"),
        (len(updated(diff)), "changed"),
        (len(diff.removed), "removed"),
        (len(diff.replaced), "REPLACED"),
        (len(diff.refused), "REFUSED"),
    )
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "says other things"


def once(comparison: Comparison, said: Mapping[str, str]) -> list[tuple[StackDiff, list[str]]]:
    """Stacks that change, those with the same change as one: the first, and the others' names.

    Args:
        said: by stack, all that is written of it.
    """
    groups: dict[str, list[StackDiff]] = {}
    for diff in comparison.stacks:
        if diff.status == "same":
            continue
        # Its own name, which stands in those of its resources and in what it says.
        own = rf"\b{re.escape(diff.stack)}\b"
        groups.setdefault(re.sub(own, "{}", said[diff.stack]), []).append(diff)
    return [(first, [other.stack for other in others]) for first, *others in groups.values()]


def same_in(stacks: Sequence[str]) -> str:
    """What stands behind a change that others have, too."""
    return f" (the same in {', '.join(stacks)})" if stacks else ""


@dataclass(frozen=True)
class InOrder:
    """What changes by itself, replacements first. What is replaced with it, by the reason; what
    takes other values from it, by its name."""

    own: list[Changed]
    replaced: Mapping[str, list[str]]
    following: Mapping[str, list[str]]


def in_order(diff: StackDiff) -> InOrder:
    """A stack's changes in the order in which a reader needs them."""
    own: list[Changed] = []
    replaced: dict[str, list[str]] = {}
    following: dict[str, list[str]] = {}
    for each in diff.changed:
        if sources := follows(each):
            following.setdefault(", ".join(sources), []).append(each.name)
        elif each.fields or not each.replaced:
            own.append(each)
        else:
            replaced.setdefault("; ".join(each.replaced), []).append(each.name)
    return InOrder(sorted(own, key=lambda each: not each.replaced), replaced, following)


def only_hashes(changed: Changed) -> str:
    """A resource that only follows what it holds the hash of."""
    hashes = changed.fields and all(is_hash(each) for each in changed.fields)
    return "  (follows its content)" if hashes else ""


def named_by_content(each: Changed) -> bool:
    """Another one is made beside it, pods roll to that, and it goes last: no reason to warn."""
    kinds = ("kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret")
    return each.type in kinds and list(each.replaced) == ["metadata.name"]


def replacement(changed: Changed) -> list[str]:
    """Why a resource is replaced, a line for each reason."""
    if named_by_content(changed):
        return ["REPLACED by one with a new name, made first: pods roll to that"]
    return [f"REPLACED: {reason}" for reason in changed.replaced]


def messages(diff: StackDiff) -> Iterator[str]:
    """What only the old and the new program say. Offline no node is known, so each says that the
    records of all of them follow: of a cluster that is there, that says nothing."""
    both = [any(map(_FOLLOWING.search, side)) for side in (diff.said, diff.says)]
    for sign, lines in (("-", diff.said), ("+", diff.says)):
        for line in lines:
            if not (all(both) and _FOLLOWING.search(line)):
                yield f"{sign} says: {line}"


def inputs(resource: Registered) -> Iterator[str]:
    """What a new resource is made of."""
    for path, value in _leaves(resource.inputs, ""):
        yield f"{path}: {short(value)}"
    for option in ("protect", "import"):
        if option in resource.options:
            yield f"({option}): {short(resource.options[option])}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def type_name(token: str) -> str:
    """`vultr:index/kubernetes:Kubernetes` → `vultr:Kubernetes`, as Pulumi's CLI prints it."""
    package, module, kind = token.split(":")
    short = module.split("/")[0] if module.startswith("index") else module
    return f"{package}:{kind}" if short == "index" else f"{package}:{short}:{kind}"
