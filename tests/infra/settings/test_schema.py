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


def model_of(key: str) -> type[BaseModel] | None:
    """The model behind a key whose value is a mapping."""
    if key == "edge":
        return Edge
    annotation = FIELDS[key].annotation
    for found in (annotation, *get_args(annotation)):
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return None


MAPPINGS = {key: model for key in sorted({*FIELDS, "edge"}) if (model := model_of(key))}
OPTIONAL = sorted(k for k, f in FIELDS.items() if k not in MAPPINGS and not f.is_required())


def test_the_same_keys():
    assert set(DECLARED) == {*FIELDS, "edge"}
    assert not set(DECLARED) & set(SECRETS)


@pytest.mark.parametrize(("key", "model"), MAPPINGS.items())
def test_a_mappings_description_names_its_keys(key: str, model: type[BaseModel]):
    _, _, listed = DECLARED[key]["description"].rpartition(": ")
    assert set(re.split(r",\s*", listed)) == {f.alias for f in model.model_fields.values()}
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
