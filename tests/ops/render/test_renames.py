"""A stack file that got another name."""

from pathlib import Path

import pytest

from ops.render.offline import render_project
from ops.render.renames import renames
from ops.render.resources import Rendering
from tests.projects import copy_project, region, write_stack


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def before(project: Path) -> dict[str, Rendering]:
    return render_project(project)


def after(project: Path, tmp_path: Path, gone: str, name: str, **config: object):
    changed = copy_project(tmp_path)
    if config:
        write_stack(changed, name, config)
        (changed / f"Pulumi.{gone}.yaml").unlink()
    else:
        (changed / f"Pulumi.{gone}.yaml").rename(changed / f"Pulumi.{name}.yaml")
    return render_project(changed)


def test_a_region(project: Path, before: dict[str, Rendering], tmp_path: Path):
    (said,) = renames(before, after(project, tmp_path, "us", "america"))
    assert said.startswith("Pulumi.us.yaml → Pulumi.america.yaml looks like a rename.")
    assert "`pulumi up -s america` makes a second cluster, which is paid too" in said


def test_a_region_that_is_changed_too(project: Path, before: dict[str, Rendering], tmp_path: Path):
    pools = [{"label": "edge", "plan": "vc2-4c-8gb", "nodes": 5}]
    (said,) = renames(before, after(project, tmp_path, "us", "us-2", **region("us", pools=pools)))
    assert "Pulumi.us.yaml → Pulumi.us-2.yaml" in said


def test_the_edge(project: Path, before: dict[str, Rendering], tmp_path: Path):
    (said,) = renames(before, after(project, tmp_path, "edge", "worker"))
    assert "`pulumi up -s worker` makes everything anew" in said


@pytest.mark.parametrize("config", [region("ord", location="ord"), region("us", location="ord")])
def test_another_place_is_no_rename(
    project: Path, before: dict[str, Rendering], tmp_path: Path, config: dict[str, object]
):
    assert not list(renames(before, after(project, tmp_path, "us", "ord", **config)))


def test_what_comes_and_what_goes_alone(before: dict[str, Rendering]):
    without = {name: each for name, each in before.items() if name != "us"}
    assert not list(renames(before, without))
    assert not list(renames(without, before))
    assert not list(renames(before, before))
