"""What changes between what a resource has and what the program asks for."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.providers.base.values import UNKNOWN, Properties

ADD, DELETE, UPDATE = pb.PropertyDiff.ADD, pb.PropertyDiff.DELETE, pb.PropertyDiff.UPDATE
_REPLACING = {
    ADD: pb.PropertyDiff.ADD_REPLACE,
    DELETE: pb.PropertyDiff.DELETE_REPLACE,
    UPDATE: pb.PropertyDiff.UPDATE_REPLACE,
}


@dataclass
class Diff:
    """The changes of one resource.

    ``changes`` maps a property path (``nodePools.nodeQuantity``, ``bindings[0].name``) to ADD,
    DELETE or UPDATE; ``replaces`` holds the paths among them that need a new resource.
    ``input_diff`` tells the engine to show old inputs, not old outputs, as the old values.
    """

    changes: dict[str, int] = field(default_factory=dict)
    replaces: set[str] = field(default_factory=set)
    delete_before_replace: bool = False
    input_diff: bool = False

    def ignoring(self, paths: Iterable[str]) -> "Diff":
        """The same without the changes at or under ``paths`` (the option ignoreChanges)."""
        ignored = list(paths)
        kept = {
            path: kind
            for path, kind in self.changes.items()
            if not any(_covers(pattern, path) for pattern in ignored)
        }
        return Diff(kept, self.replaces & kept.keys(), self.delete_before_replace, self.input_diff)

    def response(self) -> pb.DiffResponse:
        """The engine's form of it."""
        response = pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if self.changes else pb.DiffResponse.DIFF_NONE,
            diffs=sorted({top_level(path) for path in self.changes}),
            replaces=sorted({top_level(path) for path in self.replaces}),
            deleteBeforeReplace=self.delete_before_replace and bool(self.replaces),
            hasDetailedDiff=bool(self.changes),
        )
        for path, kind in self.changes.items():
            detail = response.detailedDiff[path]
            detail.kind = _REPLACING[kind] if path in self.replaces else kind  # type: ignore[assignment]
            detail.inputDiff = self.input_diff
        return response


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    old_inputs: Mapping[str, Any] | None = None,
    replaces: Collection[str] = (),
) -> Diff:
    """Compare the state ``old`` with the wanted inputs ``new``, as a bridged provider does.

    A property that the program leaves out counts only if ``old_inputs`` had it: the vendor may
    fill in what nobody asked for. ``replaces`` names top-level properties whose change needs a
    new resource. An unknown new value is a change.
    """
    diff = Diff()
    _compare_maps("", old, new, old if old_inputs is None else old_inputs, diff)
    diff.replaces = {path for path in diff.changes if top_level(path) in replaces}
    return diff


def _compare_maps(
    path: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    old_inputs: Mapping[str, Any],
    diff: Diff,
) -> None:
    for key in sorted({*new, *old_inputs}):
        here = child_path(path, key)
        if new.get(key) is None:
            if old_inputs.get(key) is not None and old.get(key) is not None:
                diff.changes[here] = DELETE
        else:
            _compare_values(here, old.get(key), new[key], old_inputs.get(key), diff)


def _compare_values(path: str, old: Any, new: Any, old_input: Any, diff: Diff) -> None:
    if new is UNKNOWN:
        diff.changes[path] = ADD if old is None else UPDATE
    elif old is None:
        # An empty value that the vendor leaves out of its answer is no change.
        if new not in ("", [], {}, False):
            diff.changes[path] = ADD
    elif isinstance(new, Mapping) and isinstance(old, Mapping):
        inputs = old_input if isinstance(old_input, Mapping) else {}
        _compare_maps(path, old, new, inputs, diff)
    elif isinstance(new, list) and isinstance(old, list):
        _compare_lists(path, old, new, old_input, diff)
    elif old != new:
        diff.changes[path] = UPDATE


def _compare_lists(path: str, old: list[Any], new: list[Any], old_input: Any, diff: Diff) -> None:
    inputs = old_input if isinstance(old_input, list) else []
    for index in range(max(len(old), len(new))):
        here = f"{path}[{index}]"
        if index >= len(new):
            diff.changes[here] = DELETE
        elif index >= len(old):
            diff.changes[here] = ADD
        else:
            before = inputs[index] if index < len(inputs) else None
            _compare_values(here, old[index], new[index], before, diff)


def child_path(path: str, key: str) -> str:
    """The path of a property's key, quoted where the key isn't a plain name."""
    if not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$-]*", key):
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{key}" if path else key


def top_level(path: str) -> str:
    """The property that a path starts with: ``nodePools`` for ``nodePools.labels["a.b"]``."""
    return re.split(r"[.\[]", path, maxsplit=1)[0] or path


def _covers(pattern: str, path: str) -> bool:
    if pattern == "*":
        return True
    prefix = re.escape(pattern).replace(r"\*", r"[^.\[\]]+")
    return re.match(rf"{prefix}(?=$|[.\[])", path) is not None


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Properties:
    """``old`` with ``new`` written over it; objects are merged key by key."""
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result
