"""Fields are respelled, a user's own keys are not, and numbers are what their hints say."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.plugin import published
from components.plugin.published import COMPONENTS, RESOURCES, arguments, camel, outputs
from components.plugin.spelling import from_outside, to_outside


class Inner(TypedDict):
    first_port: int
    own_labels: NotRequired[Mapping[str, str]]


class Args(TypedDict):
    api_endpoint: pulumi.Input[str]
    inner_ones: pulumi.Input[Sequence[Inner]]
    by_name: NotRequired[Mapping[str, Inner]]
    how_long: NotRequired[float]
    how_many: NotRequired[int | Literal["auto"] | None]
    any_thing: NotRequired[Mapping[str, Any]]


INSIDE = {
    "api_endpoint": "x",
    "inner_ones": [{"first_port": 80, "own_labels": {"a_b": "c", "aB": "d"}}],
    "by_name": {"of_mine": {"first_port": 443}},
    "how_long": 2.0,
    "how_many": 3,
    "any_thing": {"spec": {"vxlan_mode": "Always", "mtuSize": 1450, "share": 0.5}},
}
OUTSIDE = {
    "apiEndpoint": "x",
    "innerOnes": [{"firstPort": 80.0, "ownLabels": {"a_b": "c", "aB": "d"}}],
    "byName": {"of_mine": {"firstPort": 443.0}},
    "howLong": 2.0,
    "howMany": 3.0,
    "anyThing": {"spec": {"vxlan_mode": "Always", "mtuSize": 1450.0, "share": 0.5}},
}


def test_from_outside_and_back():
    found = from_outside(Args, OUTSIDE)
    assert found == INSIDE
    assert isinstance(found["how_long"], float)
    assert [type(each["first_port"]) for each in found["inner_ones"]] == [int]
    assert type(found["any_thing"]["spec"]["mtuSize"]) is int
    assert to_outside(Args, found) == OUTSIDE


@pytest.mark.parametrize(
    ("given", "inside"),
    [
        ({"api_endpoint": "x"}, {"api_endpoint": "x"}),
        ({"apiEndpiont": "x"}, {"apiEndpiont": "x"}),
        ({"innerOnes": "no list"}, {"inner_ones": "no list"}),
        ({"innerOnes": {"firstPort": 1.0}}, {"inner_ones": {"firstPort": 1}}),
        ({"howMany": "auto"}, {"how_many": "auto"}),
    ],
)
def test_what_does_not_fit_is_left_to_be_refused(given: dict[str, Any], inside: dict[str, Any]):
    assert from_outside(Args, given) == inside


@pytest.mark.parametrize("name", [*COMPONENTS, *RESOURCES])
def test_no_two_fields_of_a_published_thing_are_spelled_alike(name: str):
    for fields in (arguments(name).__annotations__, outputs(name)):
        assert len({camel(field) for field in fields}) == len(fields)


@given(st.from_regex(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", fullmatch=True))
def test_a_name_has_no_underscore_outside(name: str):
    assert "_" not in camel(name)
    assert camel(name).lower() == name.replace("_", "")


def test_a_function_is_asked_by_its_parameters():
    shape = arguments("node_rules")
    assert shape.__required_keys__ == {"ssh_sources", "node_networks", "pod_networks"}
    assert shape.__annotations__["ssh_port"] == NotRequired[int]


def test_lists_of_what_is_published_name_what_there_is():
    for name in [*COMPONENTS, *RESOURCES, *published.FUNCTIONS]:
        assert published.published(name).__name__ == name
    assert {*published.RESULTS} == {*published.FUNCTIONS}
