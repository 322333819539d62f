"""`fleet list`, `fleet cost` and `fleet add`, on copies of the repository's stack files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from infra.pins.catalog import catalog
from ops.cli import application
from tests.projects import CLUSTER, copy_project, region, region_stack, write_stack

runner = CliRunner()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy_project(tmp_path)
    write_stack(tmp_path, "us", region())
    return tmp_path


def run(project: Path, *command: str):
    return runner.invoke(application(), [command[0], "--dir", str(project), *command[1:]])


def pools(*plans: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"label": f"p{i}", "plan": p, "nodes": n} for i, (p, n) in enumerate(plans)]


# --- list ----------------------------------------------------------------------------------------


def test_list_for_a_workflow(project: Path):
    rows = json.loads(run(project, "list", "--json").stdout)
    assert [row["stack"] for row in rows] == ["apac", "eu", "us", "edge"]
    assert [row["kind"] for row in rows] == ["region"] * 3 + ["edge"]
    us = rows[2]
    assert (us["location"], us["version"], us["drained"]) == ("ewr", "v1.35.5+1", False)
    assert us["pools"] == [{"label": "edge", "plan": "vc2-2c-4gb", "nodes": 3, "autoscale": None}]
    assert us["cluster"] == "edgefleet-us"


def test_list_for_a_person(project: Path):
    pool = {**CLUSTER["pools"][0], "autoscale": {"min": 2, "max": 6}}
    write_stack(
        project,
        "us",
        {**region(pools=[pool]), "drain": True, "calico": {"externalServiceMode": "DSR"}},
    )
    (line,) = (line for line in run(project, "list").stdout.splitlines() if line.startswith("us"))
    assert line.split() == [
        *("us", "us", "ewr", "v1.35.5+1", "3×vc2-2c-4gb", "(2–6)"),
        *("externalServiceMode=DSR", "nginx-ingress:5.6.1", "yes"),
    ]


def test_a_mistake_ends_in_a_sentence(project: Path):
    write_stack(project, "us", {"regoin": "us"})
    for command in ("list", "cost"):
        result = run(project, command)
        assert result.exit_code == 2
        assert "did you mean region?" in result.stderr
        assert result.stdout == ""


def test_a_fleet_of_nothing_says_so(tmp_path: Path):
    (tmp_path / "Pulumi.yaml").write_text("name: edgefleet\n")
    result = run(tmp_path, "list")
    assert (result.exit_code, result.stderr) == (
        0,
        "warning: no stack file belongs to this fleet\n",
    )


def test_waves_put_one_region_first_and_the_edge_last(project: Path):
    planned = json.loads(run(project, "list", "--waves", "--json").stdout)
    assert planned == {"canary": ["apac"], "rest": ["eu", "us"], "edge": ["edge"]}


def test_a_drained_region_goes_first(project: Path):
    write_stack(project, "us", {**region(), "drain": True})
    planned = json.loads(run(project, "list", "--waves", "--canary", "", "--json").stdout)
    assert planned["canary"] == ["us"]
    named = json.loads(run(project, "list", "--waves", "--canary", "eu", "--json").stdout)
    assert (named["canary"], named["rest"]) == (["eu"], ["apac", "us"])


def test_a_canary_that_is_no_region(project: Path):
    result = run(project, "list", "--waves", "--canary", "edge")
    assert result.exit_code == 2
    assert "these are: apac, eu, us" in result.stderr


# --- cost ----------------------------------------------------------------------------------------


def test_cost_adds_up_pools_clusters_and_saved_balancers(project: Path):
    write_stack(project, "us", region(pools=pools(("vc2-2c-4gb", 3), ("vhf-3c-8gb", 2))))
    found = json.loads(run(project, "cost", "--json").stdout)
    by_stack = {each["stack"]: each for each in found["clusters"]}
    assert by_stack["us"]["monthly"] == 3 * 20 + 2 * 48
    assert by_stack["us"]["nodes"] == 5
    assert found["monthly"] == 156 + 60 + 60
    assert found["load_balancers_saved"] == 30
    assert found["prices_read"] == catalog().prices_read


def test_cost_says_the_day_of_its_prices(project: Path):
    result = run(project, "cost")
    assert result.exit_code == 0
    assert "$180.00" in result.stdout
    assert "would have added $30.00 a month" in result.stdout
    assert f"List prices of {catalog().prices_read}" in result.stdout


def test_a_plan_without_a_price_is_found(project: Path):
    write_stack(project, "us", region(pools=pools(("vx9-64c", 3))))
    result = run(project, "cost")
    assert result.exit_code == 1
    assert "counted as nothing: vx9-64c" in result.stdout


def test_every_plan_of_the_catalog_has_a_price():
    assert all(price > 0 for price in catalog().plans.values())


# --- add -----------------------------------------------------------------------------------------


def add(project: Path, name: str, *options: str):
    return runner.invoke(application(), ["add", name, "--dir", str(project), *options])


def test_add_writes_a_file_that_passes_and_is_drained(project: Path):
    write_stack(project, "us", {**region(label="old", replace=[]), "ingress": {"image": "x/y:1"}})
    result = add(project, "ord", "--like", "us", "--location", "ord")
    assert result.exit_code == 0, result.output
    stack = region_stack(project, "ord")
    assert stack.settings.drain
    assert stack.region == "ord"
    assert stack.settings.cluster.location == "ord"
    assert stack.settings.cluster.label is None
    assert stack.settings.cluster.pools[0].plan == "vc2-2c-4gb"
    assert stack.settings.ingress.image == "x/y:1"
    assert region_stack(project)


def test_add_says_the_two_steps(project: Path):
    said = add(project, "ord", "--like", "us", "--location", "ord").stdout
    first, second = said.index("pulumi up --stack ord"), said.index("Take `drain: true` out")
    assert first < second
    assert "Leaving goes the other way" in said


def test_add_reads_well_in_a_diff(project: Path):
    add(project, "ord", "--like", "us", "--location", "ord")
    assert (project / "Pulumi.ord.yaml").read_text() == (
        "config:\n"
        "  edgefleet:cluster:\n"
        "    location: ord\n"
        "    pools:\n"
        "    - {label: edge, nodes: 3, plan: vc2-2c-4gb}\n"
        "    version: v1.35.5+1\n"
        "  edgefleet:region: ord\n"
        "  edgefleet:drain: true\n"
    )


def test_add_speaks_json(project: Path):
    result = add(project, "ord", "--like", "us", "--location", "ord", "--json")
    told = json.loads(result.stdout)
    assert told["file"] == "Pulumi.ord.yaml"
    assert "pulumi up --stack ord" in "\n".join(told["next"])


def test_add_to_an_existing_region(project: Path):
    result = add(project, "us-2", "--like", "us", "--location", "ord", "--region", "us")
    assert result.exit_code == 0, result.output
    assert region_stack(project, "us-2").hostname == "us.example.com"


def test_add_copies_no_secret(project: Path):
    path = write_stack(project, "us", region())
    document = yaml.safe_load(path.read_text())
    document["config"]["vultr:apiKey"] = {"secure": "v1:abc:def"}
    document["encryptionsalt"] = "v1:salt"
    path.write_text(yaml.safe_dump(document))
    result = add(project, "ord", "--like", "us", "--location", "ord")
    written = (project / "Pulumi.ord.yaml").read_text()
    assert "secure" not in written
    assert "salt" not in written
    assert "vultr:apiKey" in result.stdout


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("us", ("--like", "eu", "--location", "ord"), "Pulumi.us.yaml: is there already"),
        ("ord", ("--like", "edge", "--location", "ord"), "these are: apac, eu, us"),
        ("ord", ("--like", "mars", "--location", "ord"), "is no region stack"),
        ("x", ("--like", "us", "--location", "mars"), "edgefleet:coordinates: is required"),
        ("api", ("--like", "us", "--location", "ord"), "is one of the site's hosts"),
        ("../x", ("--like", "us", "--location", "ord"), "'../x': is no name for a stack"),
        ("UP", ("--like", "us", "--location", "ord"), "must be a DNS label"),
    ],
)
def test_add_says_why_not_and_writes_nothing(
    project: Path, name: str, options: tuple[str, ...], sentence: str
):
    before = {path.name: path.read_text() for path in project.iterdir()}
    result = add(project, name, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert {path.name: path.read_text() for path in project.iterdir()} == before
