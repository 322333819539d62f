"""`fleet list`, `fleet cost` and `fleet add`, on copies of the repository's stack files."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from components.firewall.cloudflare_ranges import CloudflareRanges
from infra.pins.catalog import catalog
from ops import listing
from ops.cli import application
from ops.listing import old_pin
from tests.projects import CLUSTER, ROOT, copy_project, git, region, region_stack, write_stack

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


def test_a_long_option_is_named_alone(tmp_path: Path):
    shutil.copytree(ROOT / "examples/bare-metal", tmp_path, dirs_exist_ok=True)
    lines = run(tmp_path, "list").stdout.splitlines()
    (ber,) = (line for line in lines if line.startswith("ber"))
    assert "encapsulation=none, bgp=…, force=true" in ber


def test_a_mistake_ends_in_a_sentence(project: Path):
    write_stack(project, "us", {"regoin": "us"})
    for command in ("list", "cost"):
        result = run(project, command)
        assert result.exit_code == 2
        assert "did you mean region?" in result.stderr
        assert result.stdout == ""


def test_a_pin_that_nobody_looked_at_for_long():
    pin = CloudflareRanges((), (), fetched=date(2026, 8, 11), etag=None)
    assert not list(old_pin(pin, date(2026, 11, 9)))
    (said,) = old_pin(pin, date(2026, 11, 10))
    assert said == "Cloudflare's addresses were read 91 days ago: `fleet ranges --check` compares"


def test_a_fleet_of_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "OLD_DAYS", 100_000)
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


@pytest.fixture
def committed(project: Path) -> Path:
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "before")
    return project


def test_what_a_change_costs(committed: Path):
    write_stack(committed, "us", region(pools=[{**CLUSTER["pools"][0], "nodes": 5}]))
    (committed / "Pulumi.eu.yaml").unlink()
    result = run(committed, "cost", "--diff", "HEAD")
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["us", "$60.00", "$100.00", "+$40.00"] in lines
    assert ["eu", "$60.00", "−$60.00"] in lines
    assert ["apac", "$60.00", "$60.00"] in lines
    assert ["fleet", "$180.00", "$160.00", "−$20.00"] in lines
    assert f"List prices of {catalog().prices_read}" in result.stdout


def test_what_a_change_costs_that_is_refused_or_has_no_price(committed: Path):
    write_stack(committed, "us", region(pools=pools(("vx9-64c", 3))))
    added = [{"label": "more", "plan": "vx9-64c", "nodes": 3}]
    write_stack(committed, "eu", region("eu", location="ams", pools=[*CLUSTER["pools"], *added]))
    result = run(committed, "cost", "--diff", "HEAD", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["revision"], found["unpriced"]) == ("HEAD", ["vx9-64c"])
    # What is refused stays as it is, and costs what it cost.
    assert list(found["refused"]) == ["us"]
    assert (found["before"]["us"], found["after"]["us"]) == (60, 60)
    assert (found["before"]["eu"], found["after"]["eu"]) == (60, 60)
    said = run(committed, "cost", "--diff", "HEAD").stdout
    assert "! us refused: " in said
    assert "counted as nothing: vx9-64c" in said


def test_what_a_change_costs_against_no_revision(committed: Path):
    result = run(committed, "cost", "--diff", "nope")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "git knows no such revision" in result.stderr


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
    assert stack.vke
    assert stack.vke.location == "ord"
    assert stack.vke.label is None
    assert stack.vke.pools[0].plan == "vc2-2c-4gb"
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
    """The edge knows regions, not clusters: there drain is a matter of records."""
    result = add(project, "us-2", "--like", "us", "--location", "ord", "--region", "us")
    assert result.exit_code == 0, result.output
    assert region_stack(project, "us-2").hostname == "us.example.com"
    assert "goes on with us, and the new nodes have no records in us.example.com" in result.stdout
    assert "pulumi up --stack us-2 (edge doesn't change)" in result.stdout
    assert "pulumi up --stack us-2: its nodes' records join us.example.com." in result.stdout
    assert "--stack edge" not in result.stdout


def test_add_to_a_region_that_drains(project: Path):
    write_stack(project, "us", {**region(), "drain": True})
    said = add(project, "us-2", "--like", "us", "--location", "ord", "--region", "us").stdout
    assert "as all of region us does (us): its nodes' records join us.example.com" in said
    last = said[said.index("Take `drain: true` out") :]
    assert "pulumi up --stack edge: visitors are sent to us." in last
    assert "pulumi up --stack us: it goes on draining: its records leave us.example.com." in last
    assert "pulumi up --stack us-2" not in last


def test_add_before_a_regions_first_stack_moves_the_region(project: Path):
    said = add(project, "a", "--like", "us", "--location", "ord", "--region", "us").stdout
    assert "pulumi up --stack edge`: region us is placed where the first of its stacks" in said


def test_add_where_no_edge_stack_is(project: Path):
    (project / "Pulumi.edge.yaml").unlink()
    said = add(project, "ord", "--like", "us", "--location", "ord").stdout
    assert "pulumi up --stack ord\n  2. Take `drain: true` out of Pulumi.ord.yaml.\n" in said


def test_add_at_a_location_that_the_list_lacks(project: Path):
    where = ("--latitude", "-12.5", "--longitude", "130.8")
    result = add(project, "drw", "--like", "us", "--location", "drw", *where)
    assert result.exit_code == 0, result.output
    coordinates = region_stack(project, "drw").settings.coordinates
    assert coordinates
    assert (coordinates.latitude, coordinates.longitude) == (-12.5, 130.8)
    assert "'drw' is not in the list of" in result.stderr


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
        ("ord", ("--like", "uss", "--location", "ord"), "did you mean us?"),
        ("x", ("--like", "us", "--location", "mars"), "in degrees: --latitude and --longitude\n"),
        ("x", ("--like", "us", "--location", "odr"), "did you mean ord (Chicago)?"),
        ("x", ("--like", "us", "--location", "Chicgo"), "did you mean ord (Chicago)?"),
        ("x", ("--like", "us", "--location", "drw", "--latitude", "1"), "without the other"),
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
