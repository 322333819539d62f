"""What a rendering consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "<unknown>"
SECRET = "<secret>"  # noqa: S105 (what stands for one)


@dataclass(frozen=True)
class Registered:
    """A resource as the program registers it: inputs by the provider's property names."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Rendering:
    """A rendered stack. `messages` is what the program logs."""

    resources: list[Registered]
    outputs: Mapping[str, Any]
    messages: list[str] = field(default_factory=list)
