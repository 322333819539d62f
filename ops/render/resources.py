"""What a rendering consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

UNKNOWN = "<unknown>"
SECRET = "<secret>"  # noqa: S105 (what stands for one)


@dataclass(frozen=True)
class Registered:
    """A resource as the program registers it: inputs by the provider's property names.

    `sources` are the resources that an input's value comes from: URNs by input.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    def plain(self) -> dict[str, Any]:
        """For JSON that a person or a pipeline reads."""
        return {key: value for key, value in asdict(self).items() if key != "sources"}


@dataclass(frozen=True)
class Rendering:
    """A rendered stack. `messages` is what the program logs, `secrets` what is encrypted in its
    file: the ciphertext, by the URN that stands for the key among the `sources` of inputs."""

    resources: list[Registered]
    outputs: Mapping[str, Any]
    messages: list[str] = field(default_factory=list[str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
