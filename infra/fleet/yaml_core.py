"""YAML as Pulumi reads it (gopkg.in/yaml.v3), and nothing that two programs read differently.

`on`, `off`, `yes` and `no` are text, as in YAML 1.2, and so is `1:30`, which YAML 1.1 takes for
ninety. What is a number or a date to one reader and something else to another is refused: write it
in full, or in quotes.
"""

import re
from collections.abc import Hashable
from typing import Any, ClassVar, cast

import yaml

_TAGS = ("bool", "int", "float", "timestamp")
_UNCLEAR = "tag:edgefleet.dev,2026:unclear"


class CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars that both read alike. Raises yaml.YAMLError, for a key
    that stands twice too."""

    # typeshed takes the class's own table for one of each loader.
    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        first: [(tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] not in _TAGS]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As PyYAML does, but for a key that stands twice: there the last one would win."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            key = cast("str", key_node.value)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key}: stands there twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _unclear(loader: CoreLoader, node: yaml.ScalarNode) -> None:
    raise yaml.MarkedYAMLError(
        problem=f"{node.value}: is a number or a date to some programs: put it in quotes, or write "
        "the number in full, in decimal digits",
        problem_mark=node.start_mark,
    )


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", "(?:true|True|TRUE|false|False|FALSE)", "tTfF"),
    ("tag:yaml.org,2002:int", "[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"(?=.*[.eE])[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    (
        # Octal, hexadecimal, binary, leading zeros, underscores, dates.
        _UNCLEAR,
        r"[-+]?0[oOxXbB][0-9A-Fa-f_]+|[-+]?0[0-9_]+(?:\.[0-9]*)?|[-+]?[0-9]+_[0-9_]*"
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?",
        "-+0123456789",
    ),
):
    # typeshed says no types of their parameters.
    CoreLoader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
        _tag, re.compile(f"^(?:{_pattern})$"), list(_first)
    )
CoreLoader.add_constructor(_UNCLEAR, _unclear)


def _float(loader: CoreLoader, node: yaml.ScalarNode) -> float:
    return float(cast("str", node.value))


# PyYAML's own takes `1e3` for text.
CoreLoader.add_constructor("tag:yaml.org,2002:float", _float)
