"""`components` names what others may use, and loads no more than what is asked for."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pulumi
import pytest

import components
from components.arguments import mistakes

COMPONENTS = [
    name
    for name in components.__all__
    if inspect.isclass(found := getattr(components, name)) and issubclass(found, pulumi.Resource)
]


def test_every_name_is_there():
    assert set(components.__all__) == set(components._HOMES)
    for name in components.__all__:
        assert getattr(components, name).__name__ == name


def hints_of(thing: Any) -> dict[str, Any]:
    # `pulumi.Input` names its other half by a string.
    return get_type_hints(thing, localns={"Output": pulumi.Output, "T": object})


def mentioned(hint: Any) -> Iterator[type]:
    """The classes of ours that a type names. A mapping by keys (TypedDict) is written as it is."""
    if get_origin(hint) is not None or isinstance(hint, UnionType):
        for part in get_args(hint):
            yield from mentioned(part)
    elif is_typeddict(hint):
        for part in hints_of(hint).values():
            yield from mentioned(part)
    elif inspect.isclass(hint) and hint.__module__.startswith("components."):
        yield hint


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_its_arguments_need_is_public_too(name: str):
    hints = hints_of(getattr(components, name).__init__)
    assert hints.pop("opts") == Union[pulumi.ResourceOptions, None]  # noqa: UP007
    assert "args" in hints
    needed = {found.__name__ for found in mentioned(hints["args"])}
    assert needed <= set(components.__all__)


def test_a_table_can_be_made_with_public_names():
    table = components.node_rules(
        ssh_sources=[], node_networks=["10.0.0.0/8"], pod_networks=["10.244.0.0/16"]
    )
    assert not [text for rule in table for text in mistakes(components.RuleArgs, rule)]


def test_a_dynamic_providers_process_loads_no_provider():
    program = (
        "import sys, components.server_side.patch\n"
        "print({'pulumi_kubernetes', 'pulumi_cloudflare', 'ediri_vultr'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
