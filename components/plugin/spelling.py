"""Values as other languages write them, and as components take them.

Fields of a TypedDict have camel case there; keys of a mapping are the user's own and stay.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast, get_args, get_origin, is_typeddict

import pulumi

from ..arguments import members
from .published import camel

_Spelling = Callable[[str], str]


def from_outside(hint: Any, value: Any) -> Any:
    """A value as Python has it. What doesn't fit its hint stays as it is: who takes it refuses it.

    Numbers come as floats alone, and a whole one becomes an int unless a float is asked for.
    """
    return _respelled(hint, value, camel, str)


def to_outside(hint: Any, value: Any) -> Any:
    """The other way."""
    return _respelled(hint, value, str, camel)


def _respelled(hint: Any, value: Any, old: _Spelling, new: _Spelling) -> Any:
    def inner(hint: Any, value: Any) -> Any:
        return _respelled(hint, value, old, new)

    if isinstance(value, pulumi.Output):
        output = cast("pulumi.Output[Any]", value)
        return output.apply(lambda known: inner(hint, known))
    if isinstance(value, Mapping):
        given = cast(Mapping[str, Any], value)
        fields = _fields(hint, old)
        of = _of(hint, (Mapping, dict), -1)
        named = {key: fields.get(key) for key in given}
        return {
            new(field[0]) if field else key: inner(field[1] if field else of, given[key])
            for key, field in named.items()
        }
    if isinstance(value, list | tuple):
        of = _of(hint, (Sequence, Collection, list), 0)
        return [inner(of, one) for one in cast(Sequence[Any], value)]
    if isinstance(value, float) and value.is_integer() and float not in members(hint):
        return int(value)
    return value


def _fields(hint: Any, spelled: _Spelling) -> dict[str, tuple[str, Any]]:
    """Fields of the TypedDict that a hint has, as they are spelled: each one's name and hint."""
    return {
        spelled(key): (key, inner)
        for member in members(hint)
        if is_typeddict(member)
        for key, inner in member.__annotations__.items()
    }


def _of(hint: Any, origins: Collection[Any], at: int) -> Any:
    """What a hint's list or mapping is of; Any where it has none."""
    for member in members(hint):
        if get_origin(member) in origins:
            return get_args(member)[at]
    return Any
