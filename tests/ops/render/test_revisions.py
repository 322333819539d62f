"""`fleet render --diff` on real git checkouts that hold a program of their own."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ops.cli import application
from tests.projects import ROOT, copy_project, git, region, write_stack

RENDER = ("render", "--diff", "HEAD", "--json")

runner = CliRunner()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit of the repository's own files; tests change copies of it."""
    project = copy_project(tmp_path_factory.mktemp("checkout") / "p")
    for name in ("components", "infra", "ops"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pyc*"))
    write_stack(project, "us", region())
    commit(project)
    return project


@pytest.fixture
def project(checkout: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkout, tmp_path / "p"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A commit of stack files without a program: both sides are rendered in this process."""
    project = copy_project(tmp_path / "files")
    write_stack(project, "us", region())
    commit(project)
    return project


def commit(folder: Path) -> None:
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "fleet")


def diff(project: Path, *options: str):
    command = ["render", "--dir", str(project), "--diff", "HEAD", *options]
    return runner.invoke(application(), command)


def test_a_change_of_the_program_shows(project: Path):
    """Both ways: a range that only the old program has, and one that only the new one has."""
    path = project / "components" / "firewall" / "cloudflare_ranges.json"
    pin = json.loads(path.read_text())
    path.write_text(json.dumps({**pin, "ipv4_cidrs": [*pin["ipv4_cidrs"], "198.51.100.0/24"]}))
    git(project, "commit", "-qam", "another range")
    path.write_text(json.dumps({**pin, "ipv4_cidrs": [*pin["ipv4_cidrs"], "203.0.113.0/24"]}))
    result = diff(project)
    assert result.exit_code == 0, result.output
    assert "+ 203.0.113.0/24" in result.stdout
    assert "- 198.51.100.0/24" in result.stdout
    # Once, for the three regions.
    assert result.stdout.count("ingress-config") == 1
    assert "(the same in eu, us)" in result.stdout


def test_a_fork_without_anything_sees_it_all(project: Path):
    """No credentials, no Pulumi, no network; a home that holds nothing."""
    write_stack(project, "jp", {**region("jp", location="nrt"), "drain": True})
    git(project, "add", "-A")
    tools = project.parent / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(str(shutil.which("git")))
    unshare = [str(shutil.which("unshare")), "--net", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*unshare, sys.executable, "-c", "from ops.cli import main; main()", *RENDER],
        cwd=project,
        env={"PATH": str(tools), "HOME": str(project.parent), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {stack["stack"]: stack for stack in json.loads(done.stdout)["stacks"]}
    assert found["jp"]["status"] == "added"
    assert len(found["jp"]["added"]) > 20
    assert found["edge"]["status"] == "changed"
    assert found["us"]["status"] == "same"


def test_a_revision_without_a_program_is_rendered_with_todays(project: Path):
    git(project, "rm", "-rq", "--cached", "ops")
    git(project, "commit", "-qm", "before there was a fleet command")
    write_stack(project, "us", region(version="v1.36.1+1"))
    result = diff(project)
    assert result.exit_code == 0, result.output
    assert "no change: apac, edge, eu" in result.stdout
    assert "note: HEAD (" in result.stdout
    assert "has no program that renders offline" in result.stdout
    # A note is wrapped.
    assert "(ops/render/__main__.py is missing)" in " ".join(result.stdout.split())
    assert "version: v1.35.5+1 → v1.36.1+1" in result.stdout


def test_a_revision_with_broken_files_says_so(project: Path):
    good = (project / "Pulumi.us.yaml").read_text()
    write_stack(project, "us", {"regoin": "us"})
    git(project, "commit", "-qam", "broken")
    (project / "Pulumi.us.yaml").write_text(good)
    result = diff(project)
    assert result.exit_code == 2
    assert "HEAD (" in result.stderr
    assert "can't be rendered, its files are wrong: Pulumi.us.yaml:" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("revision", ["nowhere", "--all"])
def test_a_revision_that_is_not_there(project: Path, revision: str):
    result = runner.invoke(application(), ["render", "--dir", str(project), "--diff", revision])
    assert result.exit_code == 2
    assert f"error: {revision}: git knows no such revision in {project}" in result.stderr
    assert "Traceback" not in result.output


def test_outside_a_repository(tmp_path: Path):
    copy_project(tmp_path)
    result = runner.invoke(application(), ["render", "--dir", str(tmp_path), "--diff", "main"])
    assert result.exit_code == 2
    assert f"error: {tmp_path}: is in no git repository" in result.stderr


def test_before_there_was_a_project_all_is_new(tmp_path: Path, checkout: Path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "empty")
    copy_project(tmp_path)
    git(tmp_path, "add", "-A")
    result = runner.invoke(
        application(), ["render", "edge", "--dir", str(tmp_path), "--diff", "HEAD", "--json"]
    )
    assert result.exit_code == 0, result.output
    (stack,) = json.loads(result.stdout)["stacks"]
    assert stack["status"] == "added"
    assert "no Pulumi.yaml" in json.loads(result.stdout)["notes"][0]


def test_a_mistake_in_todays_files_has_no_traceback(files: Path):
    write_stack(files, "us", {"regoin": "us"})
    result = diff(files)
    assert result.exit_code == 2
    assert "did you mean region?" in result.stderr
    assert "Traceback" not in result.output


def test_a_refusal_is_found(files: Path):
    write_stack(files, "us", region(location="ord"))
    result = diff(files, "--format", "markdown")
    assert result.exit_code == 1
    assert "⛔ **Refused.** Pulumi.us.yaml: edgefleet:cluster.location" in result.stdout


def test_a_folder_below_the_repository(tmp_path: Path):
    fleet = copy_project(tmp_path / "outer" / "fleet")
    write_stack(fleet, "us", region())
    commit(fleet.parent)
    write_stack(fleet, "us", region(version="v1.36.1+1"))
    result = diff(fleet, "us")
    assert "version: v1.35.5+1 → v1.36.1+1" in result.stdout


# --- without a comparison ------------------------------------------------------------------------


def test_render_prints_each_resource_as_the_provider_names_it(tmp_path: Path):
    copy_project(tmp_path)
    result = runner.invoke(application(), ["render", "us", "--dir", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    resources = json.loads(result.stdout)
    keys = {"urn", "type", "name", "parent", "inputs", "options"}
    assert all(set(resource) == keys for resource in resources)
    (cluster,) = (r for r in resources if r["type"] == "vultr:index/kubernetes:Kubernetes")
    assert cluster["inputs"]["nodePools"]["nodeQuantity"] == 3
    assert cluster["options"]["protect"] is True
    assert [r["urn"] for r in resources] == sorted(r["urn"] for r in resources)


def test_render_masks_secrets_names_unknowns_and_counts_records(tmp_path: Path):
    copy_project(tmp_path)
    result = runner.invoke(application(), ["render", "us", "--dir", str(tmp_path)])
    assert "kubeconfig: <unknown>" in result.stdout
    assert "us.example.com: 6 records follow" in result.stdout
    assert "PRIVATE KEY" not in result.stdout


def test_an_unknown_stack(tmp_path: Path):
    copy_project(tmp_path)
    result = runner.invoke(application(), ["render", "mars", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "Pulumi.mars.yaml: there is no such file" in result.stderr


def test_no_project_here(tmp_path: Path):
    result = runner.invoke(application(), ["render", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "there is no Pulumi.yaml here or above" in result.stderr


def test_many_stacks_in_one_process(tmp_path: Path):
    """Pulumi wraps pickle's method anew for each dynamic resource: left on, some hundred of them
    reach the recursion limit."""
    unwrapped = pickle._Pickler._batch_setitems  # pyright: ignore[reportAttributeAccessIssue]
    copy_project(tmp_path)
    cluster = yaml.safe_load((tmp_path / "Pulumi.us.yaml").read_text())
    for i in range(12):
        name = f"r{i:02}"
        config = {**cluster["config"], "edgefleet:region": ("us", "eu", "apac")[i % 3]}
        (tmp_path / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))
    result = runner.invoke(application(), ["render", "--dir", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    resources = json.loads(result.stdout)
    assert len(resources) > 12 * 20
    assert len([r for r in resources if r["type"].startswith("pulumi-python:")]) > 12
    assert pickle._Pickler._batch_setitems is unwrapped  # pyright: ignore[reportAttributeAccessIssue]
