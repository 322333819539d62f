"""What a component is given, held against its arguments' type before anything is registered.

A type checker says the same in an editor; a dict that came from elsewhere has met none.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from inspect import isawaitable
from types import NoneType, UnionType
from typing import (
    Any,
    ForwardRef,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    is_typeddict,
)

import pulumi

from .errors import OptionsError

_SHOWN = 10
_PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


class ArgumentsMistake(OptionsError, pulumi.RunError):
    """Arguments that a component doesn't know, needs, or can't take; the text names each."""


def refuse_arguments(
    component: str,
    name: str,
    shape: type,
    args: object,
    spelled: Callable[[str], str] = str,
) -> None:
    """Raise ArgumentsMistake where `args` aren't what `shape`, a TypedDict, says.

    Args:
        component: the name of its class.
        name: of the resource.
        spelled: names of arguments as who gave them knows them.
    """
    if found := list(mistakes(shape, args, spelled=spelled)):
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ArgumentsMistake(f"{component} {name}: {'; '.join(found[:_SHOWN])}{more}")


def mistakes(
    shape: Any, args: object, where: str = "", spelled: Callable[[str], str] = str
) -> Iterator[str]:
    """What is wrong with `args`, each in a sentence that begins with where it is. No value is told:
    it may be a secret. `spelled` are the names of arguments as who gave them knows them."""
    if not isinstance(args, Mapping):
        place = where or "its arguments"
        yield f"{place}: must be a mapping by name, not {_kind(args)}"
        return
    dot = f"{where}." if where else ""
    known: Mapping[str, Any] = shape.__annotations__
    given = cast(Mapping[Any, Any], args)
    for key in given:
        if key not in known:
            names = [spelled(each) for each in known]
            near = get_close_matches(str(key), names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            yield f"{dot}{key}: there is no such argument: {hint}"
    for key in known:
        if key in given:
            yield from _of_value(known[key], given[key], f"{dot}{spelled(key)}", spelled)
        elif key in shape.__required_keys__:
            yield f"{dot}{spelled(key)}: is missing"


def _of_value(hint: Any, value: object, where: str, spelled: Callable[[str], str]) -> list[str]:
    types = list(members(hint))
    if isinstance(value, pulumi.Output) or isawaitable(value):
        if any(get_origin(each) is Awaitable or each is Any for each in types):
            return []
        return [f"{where}: is an Output: this value has to be known when the program runs"]
    kinds = [
        each
        for each in types
        if get_origin(each) is not Awaitable and not isinstance(each, ForwardRef)
    ]
    if value is None:
        return [] if {NoneType, Any} & {*kinds} else [f"{where}: is None: leave it out instead"]
    found = [_of_kind(kind, value, where, spelled) for kind in kinds if kind is not NoneType]
    return min(found, key=len) if found else []


def members(hint: Any) -> Iterator[Any]:
    """The types of a union; of `pulumi.Input[T]` these are T, an Awaitable and an Output."""
    origin = get_origin(hint)
    if origin in (NotRequired, Required, Union, UnionType):
        for part in get_args(hint):
            yield from members(part)
    else:
        yield hint


def _of_kind(kind: Any, value: object, where: str, spelled: Callable[[str], str]) -> list[str]:
    origin = get_origin(kind)
    if is_typeddict(kind):
        return list(mistakes(kind, value, where, spelled))
    if origin is Literal:
        allowed = get_args(kind)
        said = ", ".join(map(str, allowed))
        return [] if value in allowed else [f"{where}: {value!r}: must be one of {said}"]
    if origin in (Sequence, Collection, list):
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | Collection):
            return [f"{where}: must be a list, not {_kind(value)}"]
        (of,) = get_args(kind)
        each = enumerate(cast(Collection[Any], value))
        return [text for at, one in each for text in _of_value(of, one, f"{where}[{at}]", spelled)]
    if origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            return [f"{where}: must be a mapping, not {_kind(value)}"]
        of = get_args(kind)[1]
        pairs = cast(Mapping[Any, Any], value)
        found = ((f"{where}.{key}", one) for key, one in pairs.items())
        return [text for at, one in found for text in _of_value(of, one, at, spelled)]
    if kind in _PLAIN:
        taken, said = _PLAIN[kind]
        fits = isinstance(value, taken) and (kind is bool or not isinstance(value, bool))
        return [] if fits else [f"{where}: must be {said}, not {_kind(value)}"]
    return []


def _kind(value: object) -> str:
    if value is None:
        return "None"
    for kind, (_, said) in _PLAIN.items():
        if type(value) is kind:
            return said
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, Sequence) else f"a {type(value).__name__}"
