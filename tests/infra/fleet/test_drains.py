"""What a preview says of visitors whom a drain leaves without an answer."""

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from ops.render.offline import render
from tests.projects import copy_project, region, write_stack

NEAREST = "those whom no region names and eu is nearest to"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def eu(project: Path, stack: str = "eu", name: str = "eu", **keys: Any) -> None:
    config = region(name, location="ams", label=f"cluster-{stack}")
    write_stack(project, stack, {**config, **keys})


def said(project: Path, stack: str) -> list[str]:
    return [message for message in render(project, stack).messages if "edgefleet:drain" in message]


STRICT = {"countries": ["DE", "FR"], "continents": ["EU"], "strict": True}


def test_a_strict_region_turns_its_visitors_away(project: Path):
    eu(project, routing=STRICT, drain=True)
    sentence = (
        "Pulumi.eu.yaml: edgefleet:drain: eu is strict, so while it drains the Worker answers 503 "
        f"to its visitors: those from DE, FR, EU and {NEAREST}. To spare them, name DE, FR, EU in "
        "another strict region first, or say `strict: false`"
    )
    assert said(project, "eu") == [sentence]
    assert said(project, "edge") == [sentence]
    assert said(project, "us") == [], "it has nothing to do with it"


def test_a_strict_twin_takes_the_visitors_that_it_names(project: Path):
    eu(project, routing=STRICT, drain=True)
    twin = {"countries": ["DE"], "continents": ["EU"], "strict": True}
    eu(project, "central", "central", routing=twin)
    assert f"those from FR and {NEAREST}. To spare them, name FR in" in said(project, "eu")[0]
    eu(project, "central", "central", routing=STRICT)
    (sentence,) = said(project, "eu")
    assert f"its visitors: {NEAREST}. To spare them, say `strict: false`" in sentence
    # A twin that drains too, or isn't strict, takes nobody.
    for keys in ({"routing": STRICT, "drain": True}, {"routing": {**STRICT, "strict": False}}):
        eu(project, "central", "central", **keys)
        assert "those from DE, FR, EU" in said(project, "eu")[0]


@pytest.mark.parametrize(
    "keys",
    [
        {"routing": STRICT},
        {"routing": {**STRICT, "strict": False}, "drain": True},
        {"routing": {**STRICT, "weight": 0}, "drain": True},
        {"drain": True},
    ],
    ids=["no drain", "not strict", "never first", "no routing"],
)
def test_nothing_is_said_where_others_take_the_visitors(project: Path, keys: dict[str, Any]):
    eu(project, **keys)
    assert said(project, "eu") == said(project, "edge") == []


def test_a_region_serves_on_while_one_of_its_clusters_does(project: Path):
    eu(project, routing=STRICT, drain=True)
    eu(project, "eu-2")
    assert said(project, "eu") == []
    eu(project, "eu-2", drain=True)
    assert len(said(project, "edge")) == 1, "one region, one sentence"


def test_the_last_region_that_serves(project: Path):
    for stack in ("apac", "eu", "us"):
        eu(project, stack, stack, drain=True, routing={"strict": True})
    assert said(project, "eu") == [
        "Pulumi.eu.yaml: edgefleet:drain: no region of example.com is left: Pulumi.edge.yaml "
        "refuses that, and until then the Worker goes on with the regions it has"
    ]
    with pytest.raises(SettingsError, match=r"every region of example\.com drains"):
        render(project, "edge")
    (project / "Pulumi.edge.yaml").unlink()
    assert said(project, "eu") == [], "there is no Worker"
