"""What is missing and what is null read as empty, at whatever depth."""

from typing import Any

import pytest

from components.json_object import is_list, is_object, object_at, objects_at

POD = {"spec": {"containers": [{"name": "a"}], "volumes": None}, "status": None}


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ((), POD),
        (("spec",), POD["spec"]),
        (("status",), {}),
        (("status", "conditions"), {}),
        (("metadata", "labels"), {}),
    ],
)
def test_an_object_at_keys(keys: tuple[str, ...], found: dict[str, Any]):
    assert object_at(POD, *keys) == found


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (("spec", "containers"), [{"name": "a"}]),
        (("spec", "volumes"), []),
        (("spec", "initContainers"), []),
        (("status", "conditions"), []),
        (("metadata", "labels"), []),
    ],
)
def test_a_list_of_objects_at_keys(keys: tuple[str, ...], found: list[dict[str, Any]]):
    assert objects_at(POD, *keys) == found


def test_nothing_holds_nothing():
    assert object_at(None, "spec") == {}
    assert objects_at(None, "spec") == []


def test_what_a_value_is():
    assert is_object({})
    assert not is_object([])
    assert is_list([])
    assert not is_list("text")
    assert not is_list(None)
