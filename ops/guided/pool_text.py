"""Edits of a stack file's node pools that leave everything else as it stands, comments too."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from infra.errors import SettingsError
from ops.guided.stack_text import at, config_of, document_of, held, replaced

_MARK = re.compile(r"^ *# fleet replace-pool: (\S+) by (\S+)\n", re.MULTILINE)
"""A line that the command has written, so that it knows which pool is in the place of which."""


def replacing(text: str) -> Mapping[str, str]:
    """The pools that are being replaced, and by which."""
    return dict(_MARK.findall(text))


def with_pool(file: str, text: str, project: str, old: str, new: Mapping[str, Any]) -> str:
    """With a further pool like `old`, but for what `new` says (label, plan, nodes), and with a line
    that says whose place it takes. Raises SettingsError."""
    pools, item = _pool(file, text, project, old)
    start, end = item.start_mark.index, _end(item)
    copy = text[start:end]
    # From behind, so that places before stay right.
    for node, value in sorted(_scalars(item, new), key=lambda each: -each[0].start_mark.index):
        here, there = node.start_mark.index - start, node.end_mark.index - start
        copy = copy[:here] + str(value) + copy[there:]
    if pools.flow_style:
        changed = text[:end] + ", " + copy + text[end:]
    else:
        before = text[text.rfind("\n", 0, start) + 1 : start]
        stop = _line_end(text, end)
        changed = f"{text[:stop]}\n{before}{copy}{text[stop:]}"
    first = config_of(file, changed).value[0][0].start_mark
    place = first.index - first.column
    mark = f"{' ' * first.column}# fleet replace-pool: {old} by {new['label']}\n"
    changed = changed[:place] + mark + changed[place:]
    wanted = document_of(text)
    listed = _listed(wanted, project)
    number = _number(listed, old)
    listed.insert(number + 1, {**listed[number], **new})
    return held(file, changed, wanted, f"a pool {dict(new)} after {old!r}")


def without_pool(file: str, text: str, project: str, old: str) -> str:
    """Without a pool that isn't the first. Raises SettingsError."""
    pools, item = _pool(file, text, project, old)
    wanted = document_of(text)
    listed = _listed(wanted, project)
    number = _number(listed, old)
    start, end = item.start_mark.index, _end(item)
    if pools.flow_style:
        changed = text[: _end(pools.value[number - 1])] + text[end:]
    else:
        changed = text[: text.rfind("\n", 0, start) + 1] + text[_line_end(text, end) + 1 :]
    del listed[number]
    return held(file, changed, wanted, f"no pool {old!r}")


def with_nodes(file: str, text: str, project: str, label: str, nodes: int) -> str:
    """With another number of nodes in a pool. Raises SettingsError."""
    _, item = _pool(file, text, project, label)
    node = at(item, "nodes")
    assert isinstance(node, yaml.ScalarNode)
    wanted = document_of(text)
    listed = _listed(wanted, project)
    listed[_number(listed, label)]["nodes"] = nodes
    changed = replaced(text, node, str(nodes))
    return held(file, changed, wanted, f"nodes: {nodes} in pool {label!r}")


def unmarked(text: str, old: str) -> str:
    """Without the line that says by which pool `old` is replaced."""
    return _MARK.sub(lambda found: "" if found[1] == old else found[0], text)


def _pool(
    file: str, text: str, project: str, label: str
) -> tuple[yaml.SequenceNode, yaml.MappingNode]:
    pools = at(at(config_of(file, text), f"{project}:cluster"), "pools")
    for item in pools.value if isinstance(pools, yaml.SequenceNode) else ():
        name = at(item, "label")
        if name is not None and name.value == label:
            assert isinstance(pools, yaml.SequenceNode)
            return pools, item
    raise SettingsError([f"{file}: {project}:cluster.pools: there is no pool {label!r}"])


def _scalars(item: yaml.MappingNode, new: Mapping[str, Any]) -> list[tuple[yaml.Node, Any]]:
    return [(node, value) for key, value in new.items() if (node := at(item, key)) is not None]


def _end(node: yaml.Node) -> int:
    """Where a value ends: a block's own mark stands behind the comments that follow it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return max(_end(value) for _, value in node.value)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return max(_end(value) for value in node.value)
    return node.end_mark.index


def _line_end(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found


def _listed(document: Mapping[str, Any], project: str) -> list[dict[str, Any]]:
    return document["config"][f"{project}:cluster"]["pools"]


def _number(listed: list[dict[str, Any]], label: str) -> int:
    return next(number for number, pool in enumerate(listed) if pool["label"] == label)
