"""`fleet twin` refuses a fleet that it has no machines for, before anything is started."""

import shutil
from pathlib import Path

import pytest

from infra.fleet.reading import load
from ops.command import CommandError
from ops.twin.cli import require_runnable
from tests.projects import ROOT, copy_project, region, write_stack


def test_the_repositorys_fleet_is_run(tmp_path: Path):
    require_runnable(load(copy_project(tmp_path)).region_stacks)


def test_another_ingress_is_named_with_its_file(tmp_path: Path):
    copy_project(tmp_path)
    write_stack(tmp_path, "eu", {**region(), "ingress": {"controller": "traefik"}})
    with pytest.raises(CommandError, match=r"^Pulumi\.eu\.yaml: ingress\.controller: traefik: the"):
        require_runnable(load(tmp_path).region_stacks)


def test_servers_and_a_load_balancer_are_named(tmp_path: Path):
    metal = shutil.copytree(ROOT / "examples/bare-metal", tmp_path / "metal")
    stacks = {stack.name: stack for stack in load(metal).region_stacks}
    with pytest.raises(CommandError, match=r"didn't make, ingress\.controller: traefik, loadBal"):
        require_runnable([stacks["fra"]])
