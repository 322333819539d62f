"""What each component registers, as a Mermaid flowchart for its page.

Nothing is drawn by hand: the component runs in a preview against a monitor that registers nothing,
with the arguments that tests/components/examples.py has for it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi

import components
from tests.components.examples import ARGUMENTS, BESIDE
from tests.registrations import all_registered

NAME = "shop"
_SHOWN = 3
"""How many names of a group stand in the picture."""
_LEGEND = (
    f"With few arguments, by the name `{NAME}`. Solid arrows lead to parts, dotted ones to what is "
    "made later."
)


@dataclass(frozen=True)
class Thing:
    """A resource: of what type, whose part, and what is made before it, by keys of others."""

    key: str
    type: str
    name: str
    parent: str
    before: frozenset[str]


@dataclass(frozen=True)
class Group:
    """Things alike: in the picture they are one."""

    type: str
    names: Sequence[str]
    parent: str
    before: frozenset[str]

    def label(self) -> str:
        """Type and logical names, in Mermaid's words."""
        count = f"{len(self.names)} × " if len(self.names) > 1 else ""
        names = [*self.names]
        if len(names) > _SHOWN:
            names = [names[0], "…", names[-1]]
        return "<br/>".join([f"{count}{self.type}", *names])


def section(component: str) -> list[str]:
    """The lines of a page about what a component makes."""
    found = things(component)
    lines = ["## What it makes", ""]
    if len(found) > 1:
        return [*lines, _LEGEND, "", "```mermaid", *flowchart(found), "```", ""]
    alone = issubclass(getattr(components, component), pulumi.CustomResource)
    return [*lines, "One resource." if alone else "No resource: it asks what is there.", ""]


def things(component: str) -> list[Thing]:
    """What a component registers, itself too, by key."""
    make: Any = getattr(components, component)

    def made() -> pulumi.Resource:
        # Some have to come after what they stand on.
        first = pulumi.ComponentResource("docs:index:Before", "before")
        after = pulumi.ResourceOptions(depends_on=[first])
        beside = BESIDE.get(component, lambda _: {})(0)
        return make(NAME, ARGUMENTS[component](0), after, **beside)

    sent = {
        f"{each['type']}::{each['name']}": each for each in all_registered(made, preview=True)[0]
    }
    found = [
        Thing(
            key,
            _short(each["type"]),
            each["name"],
            _key(each.get("parent", "")),
            frozenset(map(_key, each.get("dependencies", []))),
        )
        for key, each in sorted(sent.items())
    ]
    return _within(found, NAME)


def _within(found: Sequence[Thing], name: str) -> list[Thing]:
    """The thing of that name and what is part of it, without what others are to these."""
    inside = {thing.key for thing in found if thing.name == name}
    while more := {t.key for t in found if t.parent in inside} - inside:
        inside |= more
    return [
        replace(thing, parent=thing.parent * (thing.parent in inside), before=thing.before & inside)
        for thing in found
        if thing.key in inside
    ]


def flowchart(found: Sequence[Thing]) -> Iterator[str]:
    """Mermaid's text, a line each."""
    groups = grouped(found)
    numbers = {key: f"n{number}" for number, key in enumerate(groups)}
    yield "flowchart LR"
    for key, group in groups.items():
        yield f'  {numbers[key]}["{group.label()}"]'
    for key in groups:
        if parts := [numbers[each] for each, group in groups.items() if group.parent == key]:
            yield f"  {numbers[key]} --> {' & '.join(parts)}"
    for key, group in groups.items():
        if before := [numbers[each] for each in groups if each in group.before]:
            yield f"  {' & '.join(before)} -.-> {numbers[key]}"


def grouped(found: Sequence[Thing]) -> dict[str, Group]:
    """Things by the first key of those that are alike: of one type, parts of the same, and before
    and after the same. What is before something that is before a thing isn't said again.

    In the order in which they can be made.
    """
    before = {thing.key: thing.before for thing in found}
    direct = {key: each - _further(each, before) for key, each in before.items()}
    after = defaultdict[str, set[str]](set)
    for key, each in direct.items():
        for one in each:
            after[one].add(key)
    alike = defaultdict[Any, list[Thing]](list)
    for thing in sorted(
        found, key=lambda t: (t.parent != "", len(t.before | _further(t.before, before)), t.key)
    ):
        key = thing.key
        alike[thing.type, thing.parent, direct[key], frozenset(after[key])].append(thing)
    home = {thing.key: each[0].key for each in alike.values() for thing in each}
    return {
        each[0].key: Group(
            each[0].type,
            [thing.name for thing in each],
            home.get(each[0].parent, ""),
            frozenset(home[one] for one in direct[each[0].key]),
        )
        for each in alike.values()
    }


def _further(keys: frozenset[str], before: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What is before these."""
    return frozenset[str]().union(*(before[key] | _further(before[key], before) for key in keys))


def _key(urn: str) -> str:
    """Type and name: urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME."""
    return "::".join([urn.split("::")[2].split("$")[-1], urn.split("::", 3)[3]]) if urn else ""


def _short(token: str) -> str:
    """The last part of a type's token; providers are told by whose they are."""
    kind = token.rpartition(":")[2]
    return f"provider {kind}" if token.startswith("pulumi:providers:") else kind
