"""Pulumi property values as plain Python: dict, list, str, int, float, bool, None.

Besides those there are two marks: ``UNKNOWN`` (a value that a preview can't know yet) and
``Secret(value)``. ``pulumi.provider.experimental.property_value`` doesn't serve: it reads an
unknown as a plain string and can't write one (pulumi 3.246.0).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_CONCEALED = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# One mark per type of the awaited value: sdk/go/common/resource/plugin/rpc.go, v3.246.0.
_UNKNOWNS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)

Properties = dict[str, Any]
"""Property names in camelCase to values as described in the module's docstring."""


class Unknown:
    """The type of ``UNKNOWN``; compare with ``is``."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value is neither true nor false: test `value is UNKNOWN` first")

    def __copy__(self) -> "Unknown":
        return self

    def __deepcopy__(self, memo: object) -> "Unknown":
        return self


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine keeps encrypted and out of its displays."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(…)"


def unmarshal(struct: struct_pb2.Struct) -> Properties:
    """Read a property map; whole numbers become int. Assets stay dicts with their signature."""
    return {key: _unmarshal_value(value) for key, value in struct.fields.items()}


def _unmarshal_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_unmarshal_value(item) for item in value.list_value.values]
        case "struct_value":
            return _unmarshal_struct(value.struct_value)
        case _:
            return None


def _unmarshal_struct(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else ""
    if signature == _CONCEALED:
        return Secret(_unmarshal_value(fields["value"]))
    if signature == _OUTPUT:
        inner = _unmarshal_value(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
    if signature == _RESOURCE and "id" in fields:
        # A bridged provider reads a reference to a resource as the resource's id.
        return _unmarshal_value(fields["id"]) if fields["id"].string_value else UNKNOWN
    return unmarshal(struct)


def marshal(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Write a property map for the engine. Raises TypeError for values that have no form there."""
    return struct_pb2.Struct(
        fields={key: _marshal_value(value, key) for key, value in properties.items()}
    )


@dataclass(frozen=True)
class Reference:
    """A reference to a resource."""

    urn: str
    id: Any


def reference(urn: str, id: str) -> Reference:
    """A reference to the resource of that URN; "" is an id that a preview doesn't know."""
    return Reference(urn, id if id and id not in _UNKNOWNS else UNKNOWN)


def _marshal_value(value: Any, path: str) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_STRING)
    if isinstance(value, Secret):
        marked = {
            _SIGNATURE: struct_pb2.Value(string_value=_CONCEALED),
            "value": _marshal_value(value.value, path),
        }
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=marked))
    if isinstance(value, Reference):
        parts = {_SIGNATURE: _RESOURCE, "urn": value.urn, "id": value.id}
        return _marshal_value(parts, path)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=marshal(value))
    if isinstance(value, Sequence):
        items = [_marshal_value(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    raise TypeError(f"{path}: a {type(value).__name__} can't be sent to the engine")


def reveal(value: Any) -> Any:
    """The value without its secret marks, at any depth."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_secret(value: Any) -> bool:
    """Whether a secret mark stands anywhere in the value."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    return isinstance(value, list) and any(has_secret(item) for item in value)


def has_unknown(value: Any) -> bool:
    """Whether an unknown stands anywhere in the value."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    return isinstance(value, list) and any(has_unknown(item) for item in value)


def conceal(target: Mapping[str, Any], source: Mapping[str, Any]) -> Properties:
    """``target``, with every value marked secret whose namesake in ``source`` is.

    Objects are walked key by key, lists as a whole, as the engine does for providers that can't
    read secrets (annotateSecrets in provider_plugin.go, v3.246.0).
    """
    result = dict(target)
    for key, origin in source.items():
        if key not in result or isinstance(result[key], Secret):
            continue
        if isinstance(result[key], Mapping) and isinstance(origin, Mapping):
            result[key] = conceal(result[key], origin)
        elif has_secret(origin):
            result[key] = Secret(result[key])
    return result


def conceal_keys(target: Mapping[str, Any], keys: Iterable[str]) -> Properties:
    """``target``, with the values of ``keys`` marked secret where they are present."""
    result = dict(target)
    for key in keys:
        if key in result and not isinstance(result[key], Secret):
            result[key] = Secret(result[key])
    return result
