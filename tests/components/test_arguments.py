"""What components are given is data, said field by field, and held against that."""

import ast
import asyncio
import inspect
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import (
    Any,
    Literal,
    NotRequired,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import pulumi
import pytest

import components
from components.arguments import ArgumentsMistake, mistakes, refuse_arguments
from components.errors import OptionsError

COMPONENTS = [
    name
    for name in components.__all__
    if inspect.isclass(found := getattr(components, name)) and issubclass(found, pulumi.Resource)
]


class _Pool(TypedDict):
    label: str
    nodes: NotRequired[int]


class _Shape(TypedDict):
    kubeconfig: pulumi.Input[str]
    pools: NotRequired[Sequence[_Pool]]
    labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    mode: NotRequired[Literal["enforce", "observe"]]
    secret: NotRequired[pulumi.Input[str] | None]
    minutes: NotRequired[float]
    fields: NotRequired[pulumi.Input[Mapping[str, Any]]]
    force: NotRequired[bool]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"kubeconfig": "k"}, []),
        ({"kubeconfig": "k", "minutes": 3, "secret": None, "fields": {"a": [None]}}, []),
        ({"kubeconfig": "k", "pools": ({"label": "edge"},), "labels": {"a": "b"}}, []),
        ({}, ["kubeconfig: is missing"]),
        (
            {"kubeconfg": "k"},
            [
                "kubeconfg: there is no such argument: did you mean kubeconfig?",
                "kubeconfig: is missing",
            ],
        ),
        (
            {"kubeconfig": "k", "pools": [{"label": "a", "xyz": 1}, {}]},
            [
                "pools[0].xyz: there is no such argument: there are label, nodes",
                "pools[1].label: is missing",
            ],
        ),
        ({"kubeconfig": "k", "pools": "edge"}, ["pools: must be a list, not a text"]),
        (
            {"kubeconfig": "k", "pools": ["edge"]},
            ["pools[0]: must be a mapping by name, not a text"],
        ),
        ({"kubeconfig": "k", "labels": {"a": 1}}, ["labels.a: must be a text, not a whole number"]),
        ({"kubeconfig": "k", "labels": ["a"]}, ["labels: must be a mapping, not a list"]),
        (
            {"kubeconfig": "k", "mode": "enforced"},
            ["mode: 'enforced': must be one of enforce, observe"],
        ),
        ({"kubeconfig": None}, ["kubeconfig: is None: leave it out instead"]),
        ({"kubeconfig": 7}, ["kubeconfig: must be a text, not a whole number"]),
        ({"kubeconfig": "k", "minutes": True}, ["minutes: must be a number, not true or false"]),
        ({"kubeconfig": "k", "force": "yes"}, ["force: must be true or false, not a text"]),
        (["kubeconfig"], ["its arguments: must be a mapping by name, not a list"]),
        (None, ["its arguments: must be a mapping by name, not None"]),
    ],
)
def test_what_is_wrong_is_named(args: Any, found: list[str]):
    assert list(mistakes(_Shape, args)) == found


def test_outputs_are_taken_where_the_type_says_so():
    async def found() -> list[list[str]]:
        later = pulumi.Output.from_input("k")
        taken = {"kubeconfig": later, "labels": {"a": later}}
        refused = {"kubeconfig": "k", "mode": later, "pools": [{"label": later}]}
        return [list(mistakes(_Shape, taken)), list(mistakes(_Shape, refused))]

    known = "is an Output: this value has to be known when the program runs"
    assert asyncio.run(found()) == [[], [f"pools[0].label: {known}", f"mode: {known}"]]


def test_a_refusal_says_whose_arguments_they_are():
    with pytest.raises(ArgumentsMistake, match=r"^Thing us: kubeconfig: is missing$") as refused:
        refuse_arguments("Thing", "us", _Shape, {})
    # Ours, and shown by Pulumi without a traceback.
    assert isinstance(refused.value, OptionsError)
    assert isinstance(refused.value, pulumi.RunError)


def args_of(name: str) -> type:
    hints = get_type_hints(
        getattr(components, name).__init__, localns={"Output": pulumi.Output, "T": object}
    )
    return hints["args"]


def parts(hint: Any) -> Iterator[Any]:
    """All types that a type names, itself too."""
    yield hint
    for part in get_args(hint) if get_origin(hint) is not Literal else ():
        # The parameters of a callable are a list.
        for each in part if isinstance(part, list) else [part]:
            yield from parts(each)


def shapes(hint: Any, seen: dict[str, type] | None = None) -> dict[str, type]:
    """The TypedDicts that a type names, and those that these name."""
    seen = {} if seen is None else seen
    for part in parts(hint):
        if is_typeddict(part) and part.__qualname__ not in seen:
            seen[part.__qualname__] = part
            for field in part.__annotations__.values():
                shapes(field, seen)
    return seen


def bodies(shape: type) -> Iterator[tuple[str, ast.ClassDef]]:
    """The text of its class, and of those that it takes fields over from."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(shape))).body
    assert isinstance(tree, ast.ClassDef)
    yield shape.__name__, tree
    for base in map(ast.unparse, tree.bases):
        if base != "TypedDict":
            yield from bodies(getattr(sys.modules[shape.__module__], base))


def undocumented(shape: type) -> list[str]:
    """Fields without a text right below them."""
    return [
        f"{name}.{ast.unparse(field.target)}"
        for name, tree in bodies(shape)
        for field, below in zip(tree.body, [*tree.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign)
        and not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant))
    ]


def not_data(hint: Any) -> list[str]:
    """What a type names that isn't data: callables, tuples, classes with behaviour."""
    plain = {str, int, float, bool, type(None), Any, object, Sequence, Mapping, list, dict}
    found: list[str] = []
    for part in parts(hint):
        origin = get_origin(part)
        if origin is Literal or isinstance(part, UnionType) or part in plain:
            continue
        if origin is Awaitable or is_typeddict(part) or type(part).__name__ == "ForwardRef":
            continue
        if part in (tuple, Callable) or origin in (tuple, Callable):
            found.append(str(part))
        elif inspect.isclass(part) and origin is None:
            found.append(part.__name__)
    return found


@pytest.mark.parametrize("name", COMPONENTS)
def test_arguments_are_data_and_said_field_by_field(name: str):
    args = args_of(name)
    assert is_typeddict(args)
    found = shapes(args)
    fields = {
        f"{shape.__name__}.{field}": not_data(hint)
        for shape in found.values()
        for field, hint in shape.__annotations__.items()
    }
    assert {field: why for field, why in fields.items() if why} == {}
    assert [field for shape in found.values() for field in undocumented(shape)] == []


def test_a_type_is_called_as_no_other_is():
    """In other languages, and in a reference that somebody searches, a name is all there is."""
    homes: dict[str, set[str]] = {}
    for name in COMPONENTS:
        for found, shape in shapes(args_of(name)).items():
            homes.setdefault(found, set()).add(shape.__module__)
    assert {found: there for found, there in homes.items() if len(there) > 1} == {}


@pytest.mark.parametrize("name", COMPONENTS)
def test_nothing_is_registered_of_what_is_misspelt_or_missing(name: str):
    # No engine is there: whatever was registered would end in another error.
    with pytest.raises(ArgumentsMistake) as refused:
        getattr(components, name)("us", {"no_such": 1})
    text = str(refused.value)
    assert text.startswith(f"{name} us: no_such: there is no such argument: ")
    shape: Any = args_of(name)
    assert [key for key in shape.__required_keys__ if f"{key}: is missing" not in text] == []
