"""What a patch does to an object, decided before it is done: conflicts, mistakes, restorations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..json_object import Json, is_list, is_object, objects_at
from .fields import MISSING, Leaf, Owner, Path, Place, leaves, nested, owners, value_at


def where(props: Mapping[str, Any]) -> str:
    """The patched object as a person would name it: `DaemonSet kube-system/calico-node`."""
    namespace = props.get("namespace")
    return f"{props['kind']} {f'{namespace}/' if namespace else ''}{props['object_name']}"


def mistakes(obj: Mapping[str, Any], wanted: Iterable[Leaf]) -> list[str]:
    """What can't be patched as wanted, whoever owns it, as sentences."""
    found: dict[str, None] = {}
    for leaf in wanted:
        if leaf.at[0] not in ("containers", "init_containers"):
            continue
        path = leaf.path[: next(i for i, s in enumerate(leaf.path) if isinstance(s, tuple))]
        present = value_at(obj, path)
        names = [item["name"] for item in present] if is_list(present) else []
        if leaf.at[1] not in names:
            found[
                f"there is no {leaf.at[1]!r} among its {path[-1]}: {', '.join(names) or 'none'}"
            ] = None
        entry = value_at(obj, leaf.path[:-1])
        if is_object(entry) and "valueFrom" in entry:
            source = next(iter(entry["valueFrom"].items()))
            found[
                f"{leaf.label} takes its value from a {source[0]} ({_source(source[1])}), "
                "and a variable can't have a plain value too: set it there"
            ] = None
    return list(found)


def _source(reference: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(reference.items()))


def conflict_message(
    props: Mapping[str, Any], obj: Mapping[str, Any], answer: Mapping[str, Any], manager: str
) -> str:
    """The API server's field conflict as a sentence: each field, its value, and who holds it."""
    held: list[str] = []
    for leaf in leaves(props):
        others = sorted({name for name, _ in owners(obj, leaf.path) if name != manager})
        present = value_at(obj, leaf.path)
        if others and present is not MISSING and present != leaf.value:
            held.append(
                f"{leaf.label} is {_shown(present)}, set by {' and '.join(others)}; "
                f"wanted is {_shown(leaf.value)}"
            )
    if not held:
        causes = objects_at(answer, "details", "causes")
        held = [f"{cause['field']} ({cause['message']})" for cause in causes]
    return (
        f"{where(props)}: somebody else manages what this stack wants to set: "
        f"{'; '.join(held) or answer.get('message')}. Let them give it up, or take it over with "
        "`force: true`"
    )


def taken_away(
    obj: Mapping[str, Any] | None,
    wanted: Iterable[Leaf],
    olds: Mapping[str, Any] | None,
    manager: str,
) -> bool:
    """Whether all that others hold with another value was ours: the owner of an object may have
    written it anew. What never was ours takes consent."""
    ours = {leaf.at for leaf in leaves(olds)} if olds else set[Place]()
    held = {
        leaf.at
        for leaf in wanted
        if obj is not None
        and value_at(obj, leaf.path) not in (MISSING, leaf.value)
        and any(name != manager for name, _ in owners(obj, leaf.path))
    }
    return bool(held) and held <= ours


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class Before:
    """What fields were before they were ours: values, and who owned them."""

    values: Mapping[Place, Any]
    former: Mapping[Place, list[Owner]]

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> "Before":
        """From a stored state."""
        values = {leaf.at: leaf.value for leaf in leaves(outputs["previous"])}
        former: dict[Place, list[Owner]] = {
            tuple(entry["at"]): [(name, operation) for name, operation in entry["managers"]]
            for entry in objects_at(outputs, "previous_owners")
        }
        return cls(values, former)

    def outputs(self) -> Json:
        """As it is stored."""
        return {
            "previous": nested(self.values),
            "previous_owners": [
                {"at": list(at), "managers": [list(pair) for pair in managers]}
                for at, managers in self.former.items()
            ],
        }


def before(
    obj: Mapping[str, Any] | None, wanted: Iterable[Leaf], known: Before | None, manager: str
) -> Before:
    """What to remember of the fields that a patch is about to set.

    A field that is ours already keeps what is known of it; one that somebody took away since, or
    that is new to us, is remembered as it stands now.
    """
    values: dict[Place, Any] = {}
    former: dict[Place, list[Owner]] = {}
    for leaf in wanted:
        ours = obj is not None and (manager, "Apply") in owners(obj, leaf.path)
        if ours:
            if known and leaf.at in known.values:
                values[leaf.at] = known.values[leaf.at]
                former[leaf.at] = known.former.get(leaf.at, [])
            elif leaf.at[-1] == "image" and obj is not None:
                # A container can't be without one, so what is there has to stay.
                values[leaf.at], former[leaf.at] = value_at(obj, leaf.path), []
        elif obj is not None and (present := value_at(obj, leaf.path)) is not MISSING:
            values[leaf.at] = present
            former[leaf.at] = [pair for pair in owners(obj, leaf.path) if pair[0] != manager]
    return Before(values, former)


@dataclass(frozen=True)
class Restoration:
    """Fields to set back before they are given up, and who gets them."""

    fields: list[Leaf]
    back: dict[Path, list[Owner]]


def restoration(
    obj: Mapping[str, Any], dropped: Iterable[Leaf], known: Before | None, manager: str
) -> Restoration:
    """How to give up fields: only what is ours alone and was something before is set back.

    What somebody else owns too stays theirs, with its value; what wasn't there before goes.
    """
    fields: list[Leaf] = []
    back: dict[Path, list[Owner]] = {}
    for leaf in dropped:
        held = owners(obj, leaf.path)
        if (manager, "Apply") not in held or any(name != manager for name, _ in held):
            continue
        if known is not None and leaf.at in known.values:
            value, former = known.values[leaf.at], known.former.get(leaf.at, [])
        elif leaf.at[-1] == "image":
            value, former = value_at(obj, leaf.path), []
        else:
            continue
        fields.append(Leaf(leaf.at, leaf.path, value))
        back[leaf.path] = former
    return Restoration(fields, back)
