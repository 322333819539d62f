"""Outputs in the types that the SDK's classes declare; a program gets nothing else to see."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import pulumi
from pulumi import _types

from sandbox.providers.base.values import UNKNOWN, Properties, Secret


def fit_resource(sdk: type[pulumi.CustomResource], outputs: Properties) -> Properties:
    """A resource's outputs: what isn't declared is dropped, what is declared otherwise converted.

    Cloudflare's ``meta``, for example, is an object in the API and a JSON string in the SDK.
    """
    return _fit_object(_types.resource_types(sdk), outputs)


def fit_result(package: str, function: str, result: Properties) -> Properties:
    """The same for a function: ``getZone`` gives what the package's ``GetZoneResult`` has."""
    name = f"{function[0].upper()}{function[1:]}Result"
    return _fit_object(_types.output_type_types(getattr(sys.modules[package], name)), result)


def _fit_object(types: Mapping[str, Any], values: Mapping[str, Any]) -> Properties:
    return {key: _fit(types[key], value) for key, value in values.items() if key in types}


def _fit(kind: Any, value: Any) -> Any:
    if value is None or value is UNKNOWN:
        return value
    if isinstance(value, Secret):
        return Secret(_fit(kind, value.value))
    kind = _types.unwrap_optional_type(kind)
    if isinstance(kind, type) and _types.is_output_type(kind):
        is_object = isinstance(value, Mapping)
        return _fit_object(_types.output_type_types(kind), value) if is_object else value
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {key: _fit(arguments[1], item) for key, item in value.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(value, list):
        return [_fit(arguments[0], item) for item in value]
    return _fit_scalar(kind, value)


def _fit_scalar(kind: Any, value: Any) -> Any:
    if kind is str and isinstance(value, Mapping | list | bool):
        return json.dumps(value, sort_keys=True)
    if kind is str:
        return str(value)
    if kind in (int, float) and isinstance(value, str):
        return kind(value)
    return value
