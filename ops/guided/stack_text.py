"""Edits of a stack file that leave everything else as it stands, comments too."""

from collections.abc import Mapping
from typing import Any

import yaml

from infra.errors import SettingsError
from infra.fleet.yaml_core import CoreLoader

MARK = "# fleet upgrade"
"""Stands behind the drain that the command has set, so that it knows its own from somebody's."""
_WAS = f"{MARK}; was "


def with_version(file: str, text: str, project: str, version: str) -> str:
    """With another version of the cluster. Raises SettingsError."""
    node = at(at(config_of(file, text), f"{project}:cluster"), "version")
    if not isinstance(node, yaml.ScalarNode):
        raise SettingsError([f"{file}: {project}:cluster.version: isn't there"])
    new = replaced(text, node, version)
    wanted = document_of(text)
    wanted["config"][f"{project}:cluster"]["version"] = version
    return held(file, new, wanted, f"{project}:cluster.version: {version}")


def with_mark(file: str, text: str, project: str) -> str:
    """Drained by this command. Raises SettingsError."""
    if marked(text):
        return text
    key, config = f"{project}:drain", config_of(file, text)
    node = at(config, key)
    if isinstance(node, yaml.ScalarNode):
        was = text[node.start_mark.index : node.end_mark.index]
        new = replaced(text, node, f"true  {_WAS}{was};")
    else:
        first = config.value[0][0].start_mark
        line = f"{' ' * first.column}{key}: true  {MARK}\n"
        start = first.index - first.column
        new = text[:start] + line + text[start:]
    wanted = document_of(text)
    wanted["config"][key] = True
    return held(file, new, wanted, f"{key}: true")


def without_mark(text: str) -> str:
    """As it was before `with_mark`."""
    kept: list[str] = []
    for line in text.splitlines(keepends=True):
        if _WAS in line:
            before, _, rest = line.partition("true  " + _WAS)
            was, _, rest = rest.partition(";")
            kept.append(before + was + rest)
        elif MARK not in line:
            kept.append(line)
    return "".join(kept)


def marked(text: str) -> bool:
    """Whether the file drains by this command's doing."""
    return any(MARK in line and "drain" in line for line in text.splitlines())


def config_of(file: str, text: str) -> yaml.MappingNode:
    """The `config` of a stack file, with its places in the text. Raises SettingsError."""
    document: Any = yaml.compose(text, CoreLoader)  # pyright: ignore[reportUnknownMemberType]
    config = at(document, "config")
    if not isinstance(config, yaml.MappingNode) or config.flow_style:
        raise SettingsError([f"{file}: config: must be a block, a key on each line"])
    return config


def at(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """A key's value, None where there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def replaced(text: str, node: yaml.ScalarNode, value: str) -> str:
    """With another value in a scalar's place."""
    return text[: node.start_mark.index] + value + text[node.end_mark.index :]


def document_of(text: str) -> dict[str, Any]:
    """What the text says."""
    return yaml.load(text, CoreLoader)  # noqa: S506 (it is a safe one)


def held(file: str, new: str, wanted: Mapping[str, Any], what: str) -> str:
    """The new text. Nothing else may have changed, as it would where a value is an alias of
    another. Raises SettingsError."""
    try:
        same = document_of(new) == wanted
    except yaml.YAMLError:
        same = False
    if not same:
        raise SettingsError([f"{file}: can't be edited in place. Write `{what}` there by hand"])
    return new
