"""The stack file against the configuration that Pulumi gives the program."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.fleet.inventory import Stack
from infra.fleet.reading import load
from infra.program import _not_from_file
from tests.projects import copy_project, region, write_stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    copy_project(tmp_path)
    write_stack(tmp_path, "us", {**region(), "drain": True})
    return load(tmp_path, current="us").stacks["us"]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> dict[str, Any]:
    """The stack file's keys as Pulumi gives them; what a test changes, the program sees."""
    config: dict[str, Any] = {key: _as_pulumi_gives(value) for key, value in stack.config.items()}
    monkeypatch.setattr(pulumi.Config, "get", lambda _, key: config.get(key))
    return config


def _as_pulumi_gives(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def test_the_file_as_it_is_passes(stack: Stack, given: dict[str, Any]):
    assert set(given) == {"region", "cluster", "drain"}
    assert list(_not_from_file(stack)) == []


@pytest.mark.parametrize("key", ["region", "cluster", "drain"])
def test_a_key_that_pulumi_lacks_is_refused(stack: Stack, given: dict[str, Any], key: str):
    """`--config-file` with a file that leaves it out: what the file says would hold unseen."""
    del given[key]
    (sentence,) = _not_from_file(stack)
    assert sentence.startswith("Pulumi.us.yaml: ")
    assert f":{key}: Pulumi was given another value than this file holds" in sentence


@pytest.mark.parametrize(
    ("key", "value"), [("region", "eu"), ("drain", "false"), ("cluster", "not JSON")]
)
def test_another_value_is_refused(stack: Stack, given: dict[str, Any], key: str, value: str):
    given[key] = value
    (sentence,) = _not_from_file(stack)
    assert f":{key}: " in sentence


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("routing", '{"strict":true}'),
        ("domain", "example.org"),
        ("hosts", '["example.org"]'),
        ("statusToken", "from somewhere"),
        ("ingress", '{"metrics":false}'),
    ],
)
def test_a_value_that_no_file_holds_is_refused(
    stack: Stack, given: dict[str, Any], key: str, value: str
):
    """From an environment of Pulumi ESC: the program reads files, and would ignore it unseen."""
    given[key] = value
    (sentence,) = _not_from_file(stack)
    assert sentence.startswith("Pulumi.us.yaml: ")
    assert f":{key}: Pulumi has a value that the fleet's files don't hold" in sentence
    assert value not in sentence


def test_what_pulumi_yaml_gives_passes(stack: Stack, given: dict[str, Any]):
    fleet = stack.fleet.model_dump(by_alias=True)
    given |= {key: _as_pulumi_gives(value) for key, value in fleet.items()}
    given |= {"routing": "{}", "calico": "{}", "region": "us", "coordinates": "{}", "edge": "{}"}
    assert list(_not_from_file(stack)) == []
