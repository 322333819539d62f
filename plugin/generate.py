"""Writes components/plugin/schema.json: what Pulumi makes a package of for each of its languages.

`make schema` runs it; tests/components/plugin/test_schema.py holds the file against the code. What
is in it, `components.plugin.published` names; types are Python's own hints, and descriptions are
the docstrings. docs/facts/pulumi.md §4 says what the fields of a schema do.
"""

import inspect
import json
import re
import sys
import tomllib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, ForwardRef, Literal, get_args, get_origin, is_typeddict

import griffe

import components
from components.arguments import members
from components.plugin import published
from components.plugin.published import PACKAGE, camel, is_secret
from docs.reference import docstrings

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "components" / "plugin" / "schema.json"
_PRIMITIVES: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_FROM_FUNCTIONS = {"Rule"}
"""What programs pass on from a function has strings for enums: pulumi-yaml 1.32.0 takes those only
where they are written out (its `isAssignable`)."""
_LANGUAGES = ("csharp", "go", "java", "nodejs", "python")
Spec = dict[str, Any]


class SchemaMistake(Exception):
    """What no schema can say, or two things of one name; the text says where."""


def schema() -> Spec:
    """The package's."""
    library = tomllib.loads((ROOT / "components" / "pyproject.toml").read_text())["project"]
    types = Types()
    resources = {
        _token(name): _resource(name, types)
        for name in sorted((*published.COMPONENTS, *published.RESOURCES))
    }
    functions = {_token(camel(n)): _function(n, types) for n in sorted(published.FUNCTIONS)}
    configuration = {n: _credential(n, known) for n, known in published.CONFIGURATION.items()}
    spec = {
        "name": PACKAGE,
        "version": library["version"],
        "description": library["description"],
        # Without it a package of these languages has no version, and finds no plugin by it.
        "language": {each: {"respectSchemaVersion": True} for each in _LANGUAGES},
        "config": {"variables": configuration},
        "provider": {"inputProperties": configuration},
        "types": {_token(name): spec for name, spec in sorted(types.specs.items())},
        "resources": resources,
        "functions": functions,
    }
    return translated(spec, types.fields | {*published.FUNCTIONS})


class Types:
    """Types that have a name in other languages, found while properties are read."""

    def __init__(self) -> None:
        self.specs: dict[str, Spec] = {}
        self.fields: set[str] = set()
        self._hints: dict[str, Any] = {}

    def reference(self, name: str, hint: Any) -> Spec:
        """To the TypedDict or Literal of this name. Raises SchemaMistake where it is another's."""
        known = self._hints.setdefault(name, hint)
        public = getattr(components, name, hint) if name in components.__all__ else hint
        for other in (known, public):
            if other != hint:
                raise SchemaMistake(f"{name}: two things of this name: {other} and {hint}")
        if name not in self.specs:
            self.specs[name] = {}  # what refers to itself finds itself
            self.specs[name] = _object(hint, self) if is_typeddict(hint) else _enum(hint)
        return {"$ref": f"#/types/{_token(name)}"}


def _resource(name: str, types: Types) -> Spec:
    of, args = published.published(name), published.arguments(name)
    written = _class(of)
    about, sections = docstrings.apart(docstrings.text(written))
    told = {n: said for each in sections.values() for n, said in each.items()}
    told |= {each.name: said for each in docstrings.own(written) if (said := docstrings.text(each))}
    outputs = {
        camel(key): _property(
            name, key, hint, told.get(key, ""), types, of.__module__, inputs=False
        )
        for key, hint in published.outputs(name).items()
    }
    given = _object(args, types, name)
    return {
        **({"isComponent": True} if name in published.COMPONENTS else {}),
        "description": described(f"{about}\n\n{given['description']}"),
        "inputProperties": given["properties"],
        "requiredInputs": given["required"],
        "properties": outputs,
        "required": [*outputs],
    }


def _object(shape: Any, types: Types, of: str = "") -> Spec:
    """A TypedDict.

    Args:
        of: the name of what has it. Default: its own.
    """
    of = of or type_name(shape)
    written = docstrings.fields(_class(shape))
    properties = {
        key: _property(
            of, key, hint, docstrings.text(said := written[key]), types, said.module.path
        )
        for key, hint in shape.__annotations__.items()
    }
    return {
        "type": "object",
        "description": described(inspect.getdoc(shape) or ""),
        "properties": {camel(key): spec for key, spec in properties.items()},
        "required": [camel(key) for key in properties if key in shape.__required_keys__],
    }


def _function(name: str, types: Types) -> Spec:
    call, shape = published.published(name), published.arguments(name)
    about, sections = docstrings.apart(inspect.getdoc(call) or "")
    first, told = about.partition(".")[0], sections.get("Args", {})
    of, module = _pascal(name), inspect.unwrap(call).__module__
    inputs = {
        key: _property(of, key, hint, told.get(key, ""), types, module, inputs=False)
        for key, hint in shape.__annotations__.items()
    }
    key = published.RESULTS[name]
    given = _property(of, key, published.result(name), f"{first}.", types, module, inputs=False)
    return {
        "description": described(about),
        "inputs": {
            "type": "object",
            "properties": {camel(key): spec for key, spec in inputs.items()},
            "required": [camel(key) for key in inputs if key in shape.__required_keys__],
        },
        "outputs": {"type": "object", "properties": {key: given}, "required": [key]},
    }


def _credential(name: str, known: str) -> Spec:
    """A variable of the plugin's configuration.

    Args:
        known: where a program in Python, and the vendor's provider, have it.
    """
    vendor, secret = known.partition(":")[0].capitalize(), is_secret("", name)
    variable = re.sub("[A-Z]", lambda found: f"_{found[0]}", name).upper()
    said = (
        f"For what this package asks {vendor} itself; {vendor}'s provider has `{known}`"
        f"{', a secret' if secret else ''}. Default: {variable} of the environment."
    )
    return {"type": "string", "description": said, **({"secret": True} if secret else {})}


def _enum(hint: Any) -> Spec:
    return {"type": "string", "enum": [{"value": value} for value in get_args(hint)]}


def _property(
    of: str, key: str, hint: Any, said: str, types: Types, module: str, *, inputs: bool = True
) -> Spec:
    where = f"{of}.{key}"
    types.fields.add(key)

    def reference(kind: Any) -> Spec:
        if is_typeddict(kind):
            return types.reference(type_name(kind), kind)
        if of in _FROM_FUNCTIONS:
            return {"type": "string", "description": f"One of {', '.join(get_args(kind))}."}
        found = _aliases(kind, module) or [f"{of}{_pascal(key)}"]
        if len(found) > 1:
            raise SchemaMistake(f"{where}: its type has several names: {', '.join(found)}")
        return types.reference(found[0], kind)

    spec = type_spec(hint, where, reference, inputs=inputs)
    about = " ".join(filter(None, (described(said), spec.get("description"))))
    return {
        **spec,
        **({"description": about} if about else {}),
        **({"secret": True} if is_secret(of, key) else {}),
    }


def type_spec(
    hint: Any, where: str, reference: Callable[[Any], Spec], *, inputs: bool = True
) -> Spec:
    """A type. What takes no Output is `plain`, where it is an input.

    Args:
        where: the type and its field, for whoever reads an error.
        reference: gives the spec of a TypedDict or a Literal.
        inputs: whether it is one.

    Raises:
        SchemaMistake: for a union, and for what has no word in a schema.
    """
    kinds, eventual = _kinds(hint)
    if len(kinds) != 1:
        said = " | ".join(k.__name__ if isinstance(k, type) else str(k) for k in kinds)
        raise SchemaMistake(f"{where}: {said}: one type is needed: not every language has unions")
    kind = kinds[0]
    origin, of = get_origin(kind), get_args(kind)
    if kind is Any:
        spec: Spec = {"$ref": "pulumi.json#/Any"}
    elif kind in _PRIMITIVES:
        spec = {"type": _PRIMITIVES[kind]}
    elif is_typeddict(kind) or (origin is Literal and all(isinstance(v, str) for v in of)):
        spec = reference(kind)
    elif origin in (Sequence, Collection, list):
        spec = {"type": "array", "items": type_spec(of[0], where, reference, inputs=inputs)}
    elif origin in (Mapping, dict) and of[0] is str:
        inner = type_spec(of[1], where, reference, inputs=inputs)
        spec = {"type": "object", "additionalProperties": inner}
    else:
        raise SchemaMistake(f"{where}: {kind}: a schema has no word for it")
    return spec if eventual or not inputs else {**spec, "plain": True}


def _kinds(hint: Any) -> tuple[list[Any], bool]:
    """The types of a union but None, and whether it takes an Output: `pulumi.Input[T]` is T, an
    Awaitable and an Output."""
    types = [*members(hint)]
    apart = (NoneType, Awaitable)
    kinds = [
        each
        for each in types
        if each not in apart and get_origin(each) not in apart and not isinstance(each, ForwardRef)
    ]
    return kinds, any(get_origin(each) is Awaitable for each in types)


def type_name(shape: Any) -> str:
    """A TypedDict's in other languages, which have names of their own for an input: RuleArgs is
    Rule."""
    return shape.__name__.removesuffix("Args")


def _aliases(hint: Any, module: str) -> list[str]:
    """The names of a Literal in the module that a field or a parameter stands in."""
    names = vars(sys.modules[module]).items()
    return [name for name, value in names if get_origin(value) is Literal and value == hint]


def _class(of: Any) -> griffe.Class:
    inside = of.__module__.removeprefix(f"{components.__name__}.")
    found = docstrings.package()[f"{inside}.{of.__name__}"]
    assert isinstance(found, griffe.Class)
    return found


def described(docstring: str) -> str:
    """A docstring without its sections and without Python's exceptions, which aren't theirs."""
    return re.sub(r"\s*\bRaises \w+\b[^.]*\.", "", docstrings.apart(docstring)[0]).strip()


def translated(spec: Any, names: Collection[str]) -> Any:
    """A spec whose descriptions call fields and functions, `names`, as other languages do."""

    def name(found: re.Match[str]) -> str:
        ours = all(part.removesuffix("()") in names for part in found[1].split("."))
        return f"`{camel(found[1])}`" if ours else found[0]

    if isinstance(spec, list):
        return [translated(each, names) for each in spec]
    if not isinstance(spec, dict):
        return spec
    return {
        key: re.sub(r"`([a-z][\w.]*(?:\(\))?)`", name, value)
        if key == "description" and isinstance(value, str)
        else translated(value, names)
        for key, value in spec.items()
    }


def _pascal(name: str) -> str:
    return camel(name)[0].upper() + camel(name)[1:]


def _token(name: str) -> str:
    return f"{PACKAGE}:index:{name}"


def text() -> str:
    """The file's."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    try:
        SCHEMA.write_text(text())
    except SchemaMistake as mistake:
        sys.exit(str(mistake))


if __name__ == "__main__":
    main()
