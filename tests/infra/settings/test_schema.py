"""Pulumi.yaml declares what the settings' models know. What the engine makes of it: tests/fleet."""

import re
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from infra.settings.edge import Edge
from infra.settings.fleet import SECRETS, FleetValues
from infra.settings.region import Region
from tests.projects import ROOT

DECLARED: dict[str, dict[str, Any]] = {
    key: entry
    for key, entry in yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"].items()
    if ":" not in key
}
FIELDS = {
    str(field.alias): field for m in (FleetValues, Region) for field in m.model_fields.values()
}


def models_of(key: str) -> list[type[BaseModel]]:
    """The models behind a key whose value is a mapping: several where another key tells which."""
    return [Edge] if key == "edge" else _models_in(FIELDS[key].annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for each in get_args(annotation) for model in _models_in(each)]


MAPPINGS = {key: models for key in sorted({*FIELDS, "edge"}) if (models := models_of(key))}
OPTIONAL = sorted(k for k, f in FIELDS.items() if k not in MAPPINGS and not f.is_required())


def test_the_same_keys():
    assert set(DECLARED) == {*FIELDS, "edge"}
    assert not set(DECLARED) & set(SECRETS)


@pytest.mark.parametrize(("key", "models"), MAPPINGS.items())
def test_a_mappings_description_names_its_keys(key: str, models: list[type[BaseModel]]):
    _, _, listed = DECLARED[key]["description"].rpartition(": ")
    fields = {field.alias for model in models for field in model.model_fields.values()}
    if key == "cluster":
        # It says the other kind in words.
        assert set(re.findall(r"\w+", listed)) >= fields
    else:
        assert set(re.split(r",\s*", listed)) == fields
    assert DECLARED[key]["default"] == {}


@pytest.mark.parametrize("key", OPTIONAL)
def test_a_default_is_the_models(key: str):
    """`pulumi config` shows what holds."""
    assert DECLARED[key]["default"] == FIELDS[key].default


@pytest.mark.parametrize("key", sorted(DECLARED))
def test_the_engine_leaves_types_to_the_program(key: str):
    entry = DECLARED[key]
    assert ("type" in entry) == isinstance(entry["default"], str)
    assert entry.get("type", "string") == "string"
    # Without a default a key is required of every stack.
    assert {"default", "description"} <= set(entry)
