"""Objects as JSON and YAML bring them: read without knowing what is in them.

A vendor's answer, a Kubernetes object and the inputs of a dynamic resource are all of this kind.
Their keys may be missing or null, and both mean the same here.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

Json = dict[str, Any]
"""An object; its keys are text."""


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is an object. In YAML its keys may be anything."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list, of whatever."""
    return isinstance(value, list)


def object_at(obj: Mapping[str, Any] | None, *keys: str) -> Mapping[str, Any]:
    """The object at `keys`, one below the other; empty where there is none."""
    here: Mapping[str, Any] = obj or {}
    for key in keys:
        here = here.get(key) or {}
    return here


def objects_at(obj: Mapping[str, Any] | None, *keys: str) -> list[Json]:
    """The list of objects at `keys`, one below the other; empty where there is none."""
    *above, last = keys
    return object_at(obj, *above).get(last) or []
