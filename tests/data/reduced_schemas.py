"""Schemas cut down to what a test proves with them."""

from typing import Any

Json = dict[str, Any]
_LEFT_OUT = ("properties", "required", "x-kubernetes-validations")
ANYTHING: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def without_texts(value: Any) -> Any:
    """`value` without the descriptions in it."""
    if isinstance(value, dict):
        return {
            key: without_texts(item)
            for key, item in value.items()
            if not (key == "description" and isinstance(item, str))
        }
    return [without_texts(item) for item in value] if isinstance(value, list) else value


def one_of_each(schema: Json, seen: set[Any]) -> Json | None:
    """`schema` with one property of each sort, a sort being its keywords, type and format.

    None where it shows no sort that isn't in `seen` yet. Expressions (CEL) go, as they name
    properties that may be gone; the keys of a list stay.
    """
    sort = (frozenset(schema), str(schema.get("type")), str(schema.get("format")))
    new = sort not in seen
    seen.add(sort)
    kept: Json = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
    for key in ("items", "additionalProperties"):
        if isinstance(held := schema.get(key), dict):
            inner = one_of_each(held, seen)
            new = new or inner is not None
            # A list and a map always say what they hold.
            kept[key] = inner or _outline(held)
    if "properties" in schema:
        found = {name: one_of_each(held, seen) for name, held in schema["properties"].items()}
        kept["properties"] = {name: held for name, held in found.items() if held}
        new = new or bool(kept["properties"])
        if required := [name for name in schema.get("required", ()) if name in kept["properties"]]:
            kept["required"] = required
    if keys := schema.get("x-kubernetes-list-map-keys"):
        item = kept["items"]
        theirs = {name: schema["items"]["properties"][name] for name in keys}
        item["properties"] = {**item.get("properties", {}), **theirs}
        item["required"] = sorted({*item.get("required", ()), *keys})
    return kept if new else None


def _outline(schema: Json) -> Json:
    """`schema` without what it holds."""
    if schema.get("type") == "array":
        return {"type": "array", "items": _outline(schema["items"])}
    return {key: value for key, value in schema.items() if key == "type"} or ANYTHING
