"""Which files make the fleet, and what they must not both say."""

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.fleet.reading import load
from tests.projects import copy_project, git, region, region_stack, write_stack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def mistakes(project: Path, current: str | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(project, current)
    return caught.value.mistakes


def test_the_repository_itself_is_a_fleet(project: Path):
    fleet = load(project)
    assert sorted(fleet.stacks) == ["apac", "edge", "eu", "us"]
    assert [stack.name for stack in fleet.regions("example.com")] == ["apac", "eu", "us"]
    assert region_stack(project).hostname == "us.example.com"
    assert region_stack(project).label == "edgefleet-us"
    assert fleet.warnings == ()


def test_values_of_the_project_hold_unless_a_stack_says_otherwise(project: Path):
    write_stack(
        project, "dev", {**region("dev"), "domain": "example.org", "hosts": ["example.org"]}
    )
    fleet = load(project)
    assert fleet.stacks["dev"].fleet.domain == "example.org"
    assert fleet.stacks["us"].fleet.domain == "example.com"
    assert "dev" not in [stack.name for stack in fleet.regions("example.com")]


def test_an_untracked_file_is_not_the_fleets(project: Path):
    git(project, "init", "-q")
    git(project, "add", ".")
    write_stack(project, "dev", region("dev"))
    fleet = load(project)
    assert "dev" not in fleet.stacks
    assert fleet.warnings == (
        "Pulumi.dev.yaml is not tracked by git and not part of the fleet: "
        "`git add Pulumi.dev.yaml`, or name dev in edgefleet:stacks",
    )
    assert "dev" in load(project, current="dev").stacks
    git(project, "add", ".")
    assert "dev" in load(project).stacks


def test_an_untracked_file_that_is_named_is_the_fleets(project: Path):
    git(project, "init", "-q")
    git(project, "add", ".")
    write_stack(project, "dev", region("dev"))
    text = (project / "Pulumi.yaml").read_text()
    named = text.replace("    default: []\n", "    default: [dev]\n")
    assert named != text
    (project / "Pulumi.yaml").write_text(named)
    assert "dev" in load(project).stacks


def test_a_mistake_names_file_and_key(project: Path):
    write_stack(project, "us", region(pools=[]))
    write_stack(project, "eu", {**region("eu"), "drian": True})
    assert mistakes(project) == [
        "Pulumi.eu.yaml: edgefleet:drian: is not a known key; did you mean drain?",
        "Pulumi.us.yaml: edgefleet:cluster.pools: must have at least 1 entry",
    ]


def test_two_stacks_with_one_cluster_label(project: Path):
    write_stack(project, "us-2", region(label="edgefleet-us"))
    assert mistakes(project) == [
        "Pulumi.us-2.yaml: edgefleet:cluster.label: 'edgefleet-us' is also the label of "
        "Pulumi.us.yaml; each cluster needs its own"
    ]


def test_a_region_that_is_a_host_of_the_site(project: Path):
    write_stack(project, "us", region("api"))
    assert mistakes(project) == [
        "Pulumi.us.yaml: edgefleet:region: 'api' would make api.example.com the region's host "
        "name, but it is one of the site's hosts (edgefleet:hosts)"
    ]


def test_two_edge_stacks_for_one_domain(project: Path):
    write_stack(project, "edge2", {"edge": {}})
    assert mistakes(project) == [
        "Pulumi.edge2.yaml: edgefleet:edge: Pulumi.edge.yaml is already the edge stack of "
        "example.com"
    ]


def test_an_edge_stack_has_no_cluster(project: Path):
    write_stack(project, "edge", {"edge": {}, **region()})
    assert mistakes(project) == [
        "Pulumi.edge.yaml: edgefleet:cluster: does not go with edgefleet:edge, which makes this "
        "the edge stack",
        "Pulumi.edge.yaml: edgefleet:region: does not go with edgefleet:edge, which makes this "
        "the edge stack",
    ]


@pytest.mark.parametrize(
    ("field", "value", "warning"),
    [
        ("location", "atlantis", "edgefleet:cluster.location: 'atlantis' is not in the list of "),
        (
            "pools",
            [{"label": "a", "plan": "vc9", "nodes": 1}],
            "edgefleet:cluster.pools[0].plan: 'vc9' is not in the list of ",
        ),
    ],
)
def test_what_the_catalog_does_not_know_is_a_warning(
    project: Path, field: str, value: Any, warning: str
):
    write_stack(project, "us", region(**{field: value}))
    (said,) = load(project).warnings
    assert said.startswith(f"Pulumi.us.yaml: {warning}")
    assert said.endswith("Vultr will say whether it exists")


def test_what_was_meant_by_a_location_and_a_plan(project: Path):
    pool = {"label": "a", "plan": "vc2-2c-4g", "nodes": 1}
    write_stack(project, "us", region(location="erw", pools=[pool]))
    location, plan = load(project).warnings
    assert location.endswith("; did you mean ewr?")
    assert plan.endswith("; did you mean vc2-2c-4gb?")


def test_yaml_that_is_none(project: Path):
    (project / "Pulumi.us.yaml").write_text("config: [\n")
    (mistake,) = mistakes(project)
    assert mistake.startswith("Pulumi.us.yaml: line 2: not valid YAML:")
    (project / "Pulumi.us.yaml").write_bytes(b"config: \xe9\n")
    (mistake,) = mistakes(project)
    assert mistake.startswith("Pulumi.us.yaml: can't be read: 'utf-8' codec can't decode")
    (project / "Pulumi.us.yaml").write_text("- a\n")
    assert mistakes(project) == ["Pulumi.us.yaml: must be a mapping"]
    (project / "Pulumi.us.yaml").write_text("config: 3\n")
    assert mistakes(project) == ["Pulumi.us.yaml: config: must be a mapping"]


def test_a_stack_without_file(project: Path):
    assert mistakes(project, current="mars") == [
        f"Pulumi.mars.yaml: there is no such file in {project}"
    ]
    assert mistakes(project, current="eus")[0].endswith("; did you mean us?")


def test_keys_of_other_namespaces_are_not_ours(project: Path):
    path = project / "Pulumi.us.yaml"
    path.write_text(path.read_text() + "  vultr:rateLimit: 1000\n")
    assert "us" in load(project).stacks


@pytest.mark.parametrize(
    ("us", "us_2", "withdrawn"),
    [(False, False, False), (True, False, True), (True, True, False), (False, True, False)],
)
def test_a_draining_cluster_withdraws_while_another_of_its_region_goes_on(
    project: Path, us: bool, us_2: bool, withdrawn: bool
):
    write_stack(project, "us", {**region(), "drain": us})
    write_stack(project, "us-2", {**region(location="ord"), "drain": us_2})
    fleet = load(project)
    (stack,) = (stack for stack in fleet.region_stacks if stack.name == "us")
    assert fleet.withdrawn(stack) is withdrawn
