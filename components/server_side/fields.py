"""Fields of a Kubernetes object as leaves: their values, their owners, and how to hand them back.

A leaf is compared by merge key, never by position: a container and a variable by its name. A list
without merge keys (tolerations) is one leaf, as it is to the API server.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..json_object import Json, is_list, is_object, object_at, objects_at

Step = str | tuple[str, str]
"""A key of a map, or (merge key, value) of a list's item."""
Path = tuple[Step, ...]
Place = tuple[str, ...]
Owner = tuple[str, str]
"""(manager, operation) of one entry of managedFields."""

SECTIONS = (
    "containers",
    "init_containers",
    "tolerations",
    "node_selector",
    "template_annotations",
    "fields",
)
"""The properties of a patch that hold fields of the object."""

MISSING = object()
_POD: Path = ("spec", "template", "spec")
_LISTS = {"containers": "containers", "init_containers": "initContainers"}


@dataclass(frozen=True)
class Leaf:
    """One field: `at` is its place in the patch's properties, `path` the one in the object."""

    at: Place
    path: Path
    value: Any

    @property
    def label(self) -> str:
        """The field as a person would name it: `containers.calico-node.env.FELIX_BPFENABLED`."""
        return ".".join(self.at)


def leaves(props: Mapping[str, Any]) -> list[Leaf]:
    """The fields that a patch's properties name, in a stable order."""
    found: list[Leaf] = []
    for section, listed in _LISTS.items():
        for name, fields in sorted(object_at(props, section).items()):
            item: Path = (*_POD, listed, ("name", name))
            for key, value in sorted(object_at(fields, "env").items()):
                at = (section, name, "env", key)
                found.append(Leaf(at, (*item, "env", ("name", key), "value"), value))
            if image := fields.get("image"):
                found.append(Leaf((section, name, "image"), (*item, "image"), image))
    if tolerations := props.get("tolerations"):
        found.append(Leaf(("tolerations",), (*_POD, "tolerations"), _plain(tolerations)))
    if selector := props.get("node_selector"):
        # A map, but an atomic one: the API server knows one owner of it all.
        found.append(Leaf(("node_selector",), (*_POD, "nodeSelector"), dict(selector)))
    annotations: Path = ("spec", "template", "metadata", "annotations")
    for key, value in sorted(object_at(props, "template_annotations").items()):
        found.append(Leaf(("template_annotations", key), (*annotations, key), value))
    found += _tree(("fields",), (), object_at(props, "fields"))
    return found


def _tree(at: Place, path: Path, value: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, item in sorted(value.items()):
        if is_object(item):
            yield from _tree((*at, key), (*path, key), item)
        else:
            yield Leaf((*at, key), (*path, key), _plain(item))


def _plain(value: Any) -> Any:
    # Whole numbers arrive as floats: the engine's protocol knows no integers.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if is_object(value):
        return {key: _plain(item) for key, item in value.items()}
    if is_list(value):
        return [_plain(item) for item in value]
    return value


def body(
    identity: Mapping[str, Any], fields: Iterable[Leaf], present: Mapping[str, Any] | None = None
) -> Json:
    """The object to send to server-side apply: `identity` and the leaves, nothing else.

    Items of lists stand in the order that they have in the object as it is: server-side apply
    takes over the order it is given, and init containers run in theirs.
    """
    obj: Json = deepcopy(dict(identity))
    for leaf in sorted(fields, key=lambda leaf: _positions(present or {}, leaf.path)):
        here: Any = obj
        for step, after in zip(leaf.path, leaf.path[1:], strict=False):
            empty: Any = [] if isinstance(after, tuple) else {}
            here = here.setdefault(step, empty) if isinstance(step, str) else _item(here, step)
        here[leaf.path[-1]] = leaf.value
    return obj


def _positions(obj: Mapping[str, Any], path: Path) -> list[int]:
    found: list[int] = []
    for index, step in enumerate(path):
        if isinstance(step, tuple):
            listed = value_at(obj, path[:index])
            names = [i.get(step[0]) for i in listed] if is_list(listed) else []
            found.append(names.index(step[1]) if step[1] in names else len(names))
    return found


def _item(listed: list[Json], step: tuple[str, str]) -> Json:
    key, value = step
    for item in listed:
        if item.get(key) == value:
            return item
    listed.append({key: value})
    return listed[-1]


def value_at(obj: Mapping[str, Any], path: Path) -> Any:
    """The value in a live object, or MISSING. A variable without a plain value reads as ""."""
    here: Any = obj
    last: Step = ""
    for step in path:
        if isinstance(step, tuple):
            listed: list[Json] = here or []
            here = next((i for i in listed if i.get(step[0]) == step[1]), MISSING)
        elif is_object(here):
            here = here.get(step, "" if isinstance(last, tuple) and step == "value" else MISSING)
        else:
            return MISSING
        if here is MISSING:
            return MISSING
        last = step
    return here


def nested(values: Mapping[Place, Any]) -> Json:
    """Values by place, in the shape of a patch's properties."""
    result: Json = {}
    for at, value in values.items():
        here = result
        for key in at[:-1]:
            here = here.setdefault(key, {})
        here[at[-1]] = value
    return result


def live(props: Mapping[str, Any], obj: Mapping[str, Any]) -> Json:
    """The fields that `props` names, as `obj` has them; what it lacks is left out."""
    found = {leaf.at: value_at(obj, leaf.path) for leaf in leaves(props)}
    return nested({at: value for at, value in found.items() if value is not MISSING})


# --- who owns a field --------------------------------------------------------------------------


def _keys(path: Path) -> list[str]:
    return [
        f"f:{step}"
        if isinstance(step, str)
        else f"k:{json.dumps({step[0]: step[1]}, separators=(',', ':'))}"
        for step in path
    ]


def _has(tree: Mapping[str, Any], path: Path) -> bool:
    for key in _keys(path):
        if key not in tree:
            return False
        tree = tree[key]
    return True


def owners(obj: Mapping[str, Any], path: Path) -> list[Owner]:
    """Everybody who owns a field."""
    return [
        (entry["manager"], entry["operation"])
        for entry in objects_at(obj, "metadata", "managedFields")
        if not entry.get("subresource") and _has(object_at(entry, "fieldsV1"), path)
    ]


def handed_back(
    managed: list[Json],
    manager: str,
    back: Mapping[Path, Iterable[Owner]],
) -> list[Json]:
    """`managedFields` after `manager` has given the paths of `back` to their former owners.

    A former owner that manages nothing of the object any more isn't brought back: the field is
    then nobody's, and the next one to apply it takes it without a conflict.
    """
    entries = deepcopy(managed)
    for path, former in back.items():
        for entry in entries:
            if entry.get("subresource"):
                continue
            tree = entry.setdefault("fieldsV1", {})
            if (entry["manager"], entry["operation"]) == (manager, "Apply"):
                _remove(tree, _keys(path))
            elif (entry["manager"], entry["operation"]) in set(former):
                for key in _keys(path):
                    tree = tree.setdefault(key, {})
    return [entry for entry in entries if entry["manager"] != manager or entry["fieldsV1"]]


def _remove(tree: Json, keys: list[str]) -> None:
    if keys[0] not in tree:
        return
    if keys[1:]:
        _remove(tree[keys[0]], keys[1:])
    left = set(tree[keys[0]])
    # What is left of an item that nothing else of is owned: its existence and its merge key.
    if not keys[1:] or not left - {".", "f:name"}:
        del tree[keys[0]]
