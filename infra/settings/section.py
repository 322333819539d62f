"""What the sections of a stack file share: strictness, and names of things."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A part of a stack file. Keys in camelCase; nothing unknown, nothing of another type."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
    )


def matching(pattern: str, what: str) -> AfterValidator:
    """The whole string must match; `what` says so in words."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(what)
        return value

    return AfterValidator(check)


def in_camel_case(text: str) -> str:
    """A message about options of a component, in the words of a stack file."""
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda match: to_camel(match[0]), text)


def _not_latest(image: str) -> str:
    if image.split("@")[0].endswith(":latest"):
        raise ValueError("must be pinned: `latest` is another image tomorrow")
    return image


Image = Annotated[
    str,
    matching(
        r"[a-z0-9./_-]+:[\w][\w.-]*(@sha256:[0-9a-f]{64})?",
        "must be pinned: name:tag, better name:tag@sha256:<64 hex digits>",
    ),
    AfterValidator(_not_latest),
]

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DnsLabel = Annotated[
    str, matching(LABEL, "must be a DNS label: lower-case letters, digits and hyphens, at most 63")
]
Hostname = Annotated[
    str,
    matching(rf"{LABEL}(\.{LABEL})+", "must be a host name in lower case, like www.example.com"),
]


def _as_typed(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_as_typed)]
"""A key of the top level, which `pulumi config set KEY true` writes as text."""


def _network(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a network like 198.51.100.0/24 or 2001:db8::/48")
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be a network like 198.51.100.0/24 ({error})") from None


Network = Annotated[str, BeforeValidator(_network)]
