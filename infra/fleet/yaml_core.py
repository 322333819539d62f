"""YAML as Pulumi reads it: `on`, `off`, `yes` and `no` are text, as in YAML 1.2."""

import re
from typing import Any, ClassVar

import yaml


class CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with `true` and `false` as the only booleans."""

    # typeshed takes the class's own table for one of each loader.
    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


# typeshed says no types of its parameters.
CoreLoader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
