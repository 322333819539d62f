"""What pydantic found wrong in a stack file, as sentences for the person who wrote it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

_RULES = {
    "extra_forbidden": "is not a known key",
    "missing": "is required",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "too_short": "must have at least {min_length} entry",
    "string_too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "float_type": "must be a number",
    "literal_error": "must be {expected}",
}


def problems(error: ValidationError, model: type[BaseModel]) -> Iterable[str]:
    """Each of pydantic's findings as `key: value: sentence`, in the order of the file."""
    for finding in error.errors():
        key = _key(finding["loc"])
        text = _sentence(finding)
        if finding["type"] == "extra_forbidden":
            known = _known(model, finding["loc"][:-1])
            meant = get_close_matches(str(finding["loc"][-1]), known, n=1)
            text += f"; did you mean {meant[0]}?" if meant else f"; known here: {', '.join(known)}"
        elif finding["type"] != "missing" and _scalar(finding["input"]):
            text = f"{finding['input']!r}: {text}"
        yield f"{key}: {text}" if key else text


def _sentence(finding: ErrorDetails) -> str:
    context = finding.get("ctx", {})
    if finding["type"] == "value_error":
        return str(context["error"])
    rule = _RULES.get(finding["type"])
    return rule.format(**context) if rule else finding["msg"]


def _scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _key(path: tuple[int | str, ...]) -> str:
    text = ""
    for part in path:
        if _is_tag(part):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _known(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that the mapping at `path` below `model` may have."""
    current: object = model
    for part in path:
        if isinstance(part, int):
            continue
        if _is_tag(part):
            current = next(arg for arg in get_args(current) if Tag(str(part)) in get_args(arg))
            continue
        fields = _model_in(current).model_fields.values()
        current = next(f for f in fields if (f.alias or "") == part).annotation
    fields = _model_in(current).model_fields
    return sorted(field.alias or name for name, field in fields.items())


def _is_tag(part: int | str) -> bool:
    """Whether it names a member of a union (`AnyCluster`), and no key of the file."""
    return isinstance(part, str) and part.startswith("(")


def _model_in(annotation: object) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(m for arg in get_args(annotation) if (m := _model_or_none(arg)))


def _model_or_none(annotation: object) -> type[BaseModel] | None:
    try:
        return _model_in(annotation)
    except StopIteration:
        return None
