"""What differs between two renderings of a stack, field by field."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ops.render.following import Following, follow, name
from ops.render.replacing_fields import noticed, within
from ops.render.resources import UNKNOWN, Registered, Rendering


class _Absent:
    """Stands for a field that isn't there; None is a value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
_KEYS = ("name", "host", "label", "id")
"""Keys that name the items of a list, so that an item moved up is no change of all others."""
_ANEW_FROM = f"{UNKNOWN}, anew from "
_OPTIONS = ("protect", "ignoreChanges", "deletedWith", "import", "retainOnDelete")


@dataclass(frozen=True)
class Field:
    """A field that differs; `old` or `new` is ABSENT where it isn't there."""

    path: str
    old: Any
    new: Any

    def plain(self) -> dict[str, Any]:
        """For JSON: what is absent is left out."""
        sides = {"old": self.old, "new": self.new}
        return {"path": self.path} | {k: v for k, v in sides.items() if v is not ABSENT}


@dataclass(frozen=True)
class Changed:
    """A resource of both renderings. `replaced` says what makes the provider replace it."""

    urn: str
    type: str
    name: str
    fields: list[Field]
    replaced: list[str]


@dataclass(frozen=True)
class StackDiff:
    """A stack's difference. `status` is added, removed, changed or same; `said` and `says` are
    what only the old and the new program log; `refused` is what `pulumi up` will refuse."""

    stack: str
    status: str
    added: list[Registered] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    removed: list[Registered] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def replaced(self) -> list[Changed]:
        """Resources that are deleted and made anew."""
        return [changed for changed in self.changed if changed.replaced]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stack": self.stack,
            "status": self.status,
            "added": [resource.plain() for resource in self.added],
            "changed": [
                {
                    "urn": changed.urn,
                    "type": changed.type,
                    "name": changed.name,
                    "fields": [each.plain() for each in changed.fields],
                    "replaced": changed.replaced,
                }
                for changed in self.changed
            ],
            "removed": [resource.plain() for resource in self.removed],
            "said": self.said,
            "says": self.says,
            "refused": self.refused,
        }


def compare(
    stack: str, old: Rendering | None, new: Rendering | None, refused: Sequence[str] = ()
) -> StackDiff:
    """Compare two renderings; None where the stack isn't there."""
    before = {r.urn: r for r in old.resources} if old else {}
    after = {r.urn: r for r in new.resources} if new else {}
    changed = _changed(before, after, _other_secrets(old, new))
    added = [after[urn] for urn in sorted(after.keys() - before.keys())]
    removed = [before[urn] for urn in sorted(before.keys() - after.keys())]
    # Where the program itself refuses, it never comes to the engine.
    refused = list(refused or (_protected(before, after, changed) if new else ()))
    was, now = (old.messages if old else []), (new.messages if new else [])
    said = sorted(set(was) - set(now)) if new else []
    says = sorted(set(now) - set(was))
    if old is None or new is None:
        status = "added" if old is None else "removed"
    else:
        status = "changed" if added or removed or changed or said or says or refused else "same"
    return StackDiff(stack, status, added, changed, removed, said, says, refused)


def _protected(
    before: Mapping[str, Registered], after: Mapping[str, Registered], changed: Iterable[Changed]
) -> Iterator[str]:
    """What the engine refuses to delete, in its words (3.246.0, step_generator.go, step.go): it may
    be unprotected and replaced at once, but has to be unprotected before it goes for good."""
    for urn in sorted(before.keys() - after.keys()):
        if before[urn].options.get("protect"):
            yield (
                f'resource "{urn}" cannot be deleted because it is protected. To unprotect the '
                "resource, either remove the `protect` flag from the resource in your Pulumi "
                "program and run `pulumi up`"
            )
    for each in changed:
        both = before[each.urn], after[each.urn]
        if each.replaced and all(resource.options.get("protect") for resource in both):
            yield (
                f'unable to replace resource "{each.urn}" as it is currently marked for '
                "protection. To unprotect the resource, remove the `protect` flag from the "
                "resource in your Pulumi program and run `pulumi up`"
            )


def _other_secrets(old: Rendering | None, new: Rendering | None) -> set[str]:
    """Secrets with another ciphertext: with another value, or only encrypted anew."""
    if not old or not new:
        return set()
    return {urn for urn, text in new.secrets.items() if old.secrets.get(urn, text) != text}


def _changed(
    before: Mapping[str, Registered], after: Mapping[str, Registered], secrets: set[str]
) -> list[Changed]:
    both = {urn: (before[urn], after[urn]) for urn in sorted(before.keys() & after.keys())}
    own = {
        urn: found if any(noticed(new.type, each.path) for each in found) else []
        for urn, (old, new) in both.items()
        for found in [list(_fields_of(old, new))]
    }
    found = follow(
        {urn: new for urn, (_, new) in both.items()},
        {urn: [each.path for each in fields] for urn, fields in own.items() if fields},
        {urn: after[urn].type for urn in after.keys() - before.keys()},
        secrets,
    )
    return [
        Changed(urn, new.type, new.name, own[urn] or _anew(found, urn), found.replaced.get(urn, []))
        for urn, (_, new) in both.items()
        if urn in found.paths
    ]


def _anew(found: Following, urn: str) -> list[Field]:
    """What changes because something else does; what is replaced for that says it itself."""
    if urn in found.replaced:
        return []
    return [
        Field(path, UNKNOWN, _ANEW_FROM + ", ".join(map(name, sources)))
        for path, sources in found.sources[urn].items()
    ]


def follows(changed: Changed) -> list[str]:
    """Names of the resources that give it other values, where nothing of its own changes."""
    new = [str(each.new) for each in changed.fields]
    if changed.replaced or not all(value.startswith(_ANEW_FROM) for value in new):
        return []
    return sorted({each for v in new for each in v.removeprefix(_ANEW_FROM).split(", ")})


def _fields_of(old: Registered, new: Registered) -> Iterator[Field]:
    ignored = new.options.get("ignoreChanges", ())
    for each in fields(old.inputs, new.inputs):
        if not any(within(each.path, path) for path in ignored):
            yield each
    for option in _OPTIONS:
        yield from fields(
            old.options.get(option, ABSENT), new.options.get(option, ABSENT), f"({option})"
        )


def fields(old: Any, new: Any, path: str = "") -> Iterator[Field]:
    """The leaves that differ, by path: `spec.containers[controller].image`, `bindings[0].json`."""
    if old == new:
        return
    old_parsed, new_parsed = _document(old), _document(new)
    if isinstance(old_parsed, dict) and isinstance(new_parsed, dict):
        for key in sorted(old_parsed.keys() | new_parsed.keys()):
            below = f"{path}.{key}" if path else str(key)
            yield from fields(old_parsed.get(key, ABSENT), new_parsed.get(key, ABSENT), below)
    elif isinstance(old_parsed, list) and isinstance(new_parsed, list):
        yield from _items(old_parsed, new_parsed, path)
    else:
        yield Field(path, old, new)


def _document(value: Any) -> Any:
    """A JSON document in a string, as what it says."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _items(old: list[Any], new: list[Any], path: str) -> Iterator[Field]:
    key = next((key for key in _KEYS if _named(old, key) and _named(new, key)), None)
    if key:
        before, after = ({item[key]: item for item in items} for items in (old, new))
        for name in sorted(before.keys() | after.keys()):
            here = f"{path}[{name}]"
            yield from fields(before.get(name, ABSENT), after.get(name, ABSENT), here)
        if list(before) != list(after) and before.keys() == after.keys():
            yield Field(f"{path}[]", list(before), list(after))
    elif any(isinstance(item, dict | list) for item in [*old, *new]):
        for index in range(max(len(old), len(new))):
            here = f"{path}[{index}]"
            yield from fields(
                old[index] if index < len(old) else ABSENT,
                new[index] if index < len(new) else ABSENT,
                here,
            )
    else:
        gone = [item for item in old if item not in new]
        come = [item for item in new if item not in old]
        yield from (Field(f"{path}[]", item, ABSENT) for item in gone)
        yield from (Field(f"{path}[]", ABSENT, item) for item in come)
        if not gone and not come:
            yield Field(path, old, new)


def _named(items: list[Any], key: str) -> bool:
    names = [item.get(key) if isinstance(item, dict) else None for item in items]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
