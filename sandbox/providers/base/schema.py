"""A package's inputs and outputs, read from the classes of its own Python SDK.

So the emulated provider refuses exactly the inputs that the SDK in use doesn't have.
"""

import inspect
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

import pulumi
from pulumi import _types

from sandbox.providers.base.diff import child_path
from sandbox.providers.base.operations import Failure
from sandbox.providers.base.values import UNKNOWN, Properties

loading = threading.RLock()
"""Held while an SDK is looked into: its modules load on first use, and a second thread would see
them half loaded ("module 'pulumi_kubernetes.meta' has no attribute 'v1'")."""


@dataclass(frozen=True)
class InputType:
    """An object that a program passes in: property names (camelCase) to Python types."""

    properties: Mapping[str, Any]
    required: frozenset[str]


def token(sdk: type[pulumi.CustomResource]) -> str:
    """The type token of a resource class, e.g. ``vultr:index/vpc:Vpc``."""
    return getattr(sdk, "pulumi_type")  # noqa: B009


@cache
def inputs_of(sdk: type[pulumi.CustomResource]) -> InputType:
    """The inputs of a resource class: its ``…Args`` (or ``…InitArgs``) class in its module."""
    module = sys.modules[sdk.__module__]
    names = [name for name in module.__all__ if name.endswith("Args")]
    if len(names) != 1:
        raise TypeError(f"{sdk.__qualname__}: expected one Args class beside it, found {names}")
    return _input_type(getattr(module, names[0]))


@cache
def _input_type(args: type) -> InputType:
    with loading:
        names = _types.input_type_py_to_pulumi_names(args)
        types = _types.input_type_types(args)
    parameters = inspect.signature(args.__init__).parameters
    required = (n for n, p in parameters.items() if p.default is p.empty and n in names)
    return InputType(types, frozenset(names[name] for name in required))


@cache
def output_names(sdk: type[pulumi.CustomResource]) -> frozenset[str]:
    """The output properties of a resource class."""
    with loading:
        return frozenset(_types.resource_types(sdk))


@cache
def secret_outputs(sdk: type[pulumi.CustomResource]) -> frozenset[str]:
    """The outputs that the SDK itself asks the engine to keep secret."""
    # One thread at a time: getsource parses, and CPython 3.11's parser minds company (gh-106905).
    with loading:
        found = re.search(r"additional_secret_outputs=\[([^]]*)]", inspect.getsource(sdk))
    return frozenset(re.findall(r'"([^"]+)"', found[1])) if found else frozenset()


def validate(inputs: InputType, values: Properties) -> tuple[Properties, list[Failure]]:
    """Refuse unknown names, missing required ones and wrong types; unknown values pass.

    Returns the values with scalars converted to the type asked for, as a bridged provider
    converts ``"3"`` to 3 and ``80`` to ``"80"``. Nested objects are checked likewise.
    """
    failures: list[Failure] = []
    return _object(inputs, values, "", failures), failures


def _object(
    inputs: InputType, values: Mapping[str, Any], path: str, failures: list[Failure]
) -> Properties:
    result: Properties = {}
    for name in sorted(inputs.required):
        if values.get(name) is None:
            reason = (
                f'Missing required argument. The argument "{name}" is required, '
                "but no definition was found."
            )
            failures.append(Failure(child_path(path, name), reason))
    for name, value in values.items():
        here = child_path(path, name)
        if name.startswith("__"):
            continue
        if name not in inputs.properties:
            close = ", ".join(sorted(inputs.properties))
            reason = f'Unsupported argument. An argument named "{name}" is not expected here; it'
            failures.append(Failure(here, f"{reason} takes: {close}."))
        elif value is not None:
            result[name] = _value(inputs.properties[name], value, here, failures)
    return result


def _value(kind: Any, value: Any, path: str, failures: list[Failure]) -> Any:
    if value is UNKNOWN:
        return value
    kind = _without_input(kind)
    origin = get_origin(kind)
    if isinstance(kind, type) and _types.is_input_type(kind):
        if not isinstance(value, Mapping):
            return _refuse(value, "an object", path, failures)
        return _object(_input_type(kind), value, path, failures)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return _refuse(value, "a map", path, failures)
        item = get_args(kind)[1]
        return {k: _value(item, v, child_path(path, k), failures) for k, v in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        if not isinstance(value, list):
            return _refuse(value, "a list", path, failures)
        item = get_args(kind)[0]
        return [_value(item, v, f"{path}[{i}]", failures) for i, v in enumerate(value)]
    return _scalar(kind, value, path, failures)


def _scalar(kind: Any, value: Any, path: str, failures: list[Failure]) -> Any:
    if kind is Any or kind not in (str, int, float, bool):
        return value
    if isinstance(value, Mapping | list):
        return _refuse(value, f"a {kind.__name__}", path, failures)
    if kind is bool:
        known = {True: True, False: False, "true": True, "false": False}
        return known[value] if value in known else _refuse(value, "a bool", path, failures)
    if kind is str:
        return str(value).lower() if isinstance(value, bool) else str(value)
    try:
        number = float(value) if not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or (kind is int and not number.is_integer()):
        return _refuse(value, f"a {kind.__name__}", path, failures)
    return int(number) if number.is_integer() else number


def _refuse(value: Any, wanted: str, path: str, failures: list[Failure]) -> Any:
    failures.append(
        Failure(path, f"Incorrect attribute value type: expected {wanted}, got {value!r}.")
    )
    return value


def _without_input(kind: Any) -> Any:
    """``T`` of ``Union[T, Awaitable[T], Output[T]]``, with Optional taken off."""
    arguments = [item for item in get_args(kind) if item is not type(None)]
    if get_origin(kind) in (None, Mapping, Sequence) or not arguments:
        return kind
    origin = get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping | Sequence):
        return kind
    return arguments[0]
