"""What is read of a stack's pools, and what is refused: the vendors are made up, the files real."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.vendors.vultr_cluster import LiveCluster, LiveNode, Pool
from ops.cli import application
from ops.guided.pool_text import with_nodes, with_pool
from ops.replace_pool import world
from ops.replace_pool.plan import World
from ops.replace_pool.world import Wish, find
from tests.projects import copy_project, region, write_stack

PLAN, NEW = "vc2-2c-4gb", "vc2-4c-8gb"
POOLS: list[dict[str, Any]] = [
    {"label": "edge", "plan": PLAN, "nodes": 3},
    {
        "label": "big",
        "plan": PLAN,
        "nodes": 2,
        "autoscale": {"min": 1, "max": 6},
        "labels": {"a": "b"},
    },
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """us has two pools; the autoscaler has made four nodes of the second."""
    folder = copy_project(tmp_path / "fleet")
    write_stack(folder, "us", region(pools=POOLS))
    sizes = {"edge": 3, "big": 4}
    nodes = [
        LiveNode(f"{label}-{n}", f"{label}-{n}", label, "active", "192.0.2.1", "")
        for label, size in sizes.items()
        for n in range(size)
    ]
    pools = [Pool(label, label, size) for label, size in sizes.items()]
    live = LiveCluster("1", "edgefleet-us", "ewr", "v1", "active", "", (*pools,), (*nodes,))
    monkeypatch.setattr(world, "vultr_api", lambda: None)
    monkeypatch.setattr(world, "_live", lambda *_: live)
    monkeypatch.setattr(world, "_server", lambda *_: None)
    monkeypatch.setattr(world, "preview", lambda *_: {"changeSummary": {}})
    monkeypatch.setattr(world, "occupied", lambda *_, cordoned: ["edge-0"])
    return folder


def edited(project: Path, wish: Wish, edit: Any = None) -> World:
    """What is, after an edit."""
    path = project / "Pulumi.us.yaml"
    if edit:
        path.write_text(edit("Pulumi.us.yaml", path.read_text(), "edgefleet"))
    return find(project, wish)


def test_what_is_read_of_a_pool(project: Path):
    found = find(project, Wish("us", "edge", NEW))
    assert (found.new, found.nodes, found.there, found.first) == ("edge-2", 3, 3, True)
    assert (found.added, found.gone, found.fresh, found.busy) == (False, False, True, 0)
    assert found.monthly[0] < found.monthly[1]
    # What the autoscaler has made is needed.
    big = find(project, Wish("us", "big", NEW, "huge"))
    assert (big.new, big.nodes, big.first) == ("huge", 4, False)
    assert find(project, Wish("us", "big", NEW, nodes=2)).nodes == 2


def test_what_is_done_is_read_off_the_file(project: Path):
    wish, new = Wish("us", "edge", NEW), {"label": "edge-2", "plan": NEW, "nodes": 5}
    found = edited(project, wish, lambda f, t, p: with_pool(f, t, p, "edge", new))
    assert (found.new, found.nodes, found.added, found.gone) == ("edge-2", 5, True, False)
    assert found.busy == 1
    found = edited(project, wish, lambda f, t, p: with_nodes(f, t, p, "edge", 1))
    assert found.gone


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["uss", "edge", "--plan", NEW], "uss: is no region stack of this fleet"),
        (["us", "egde", "--plan", NEW], "no pool 'egde'; these are: edge (vc2-2c-4gb), big"),
        (["us", "edge", "--plan", NEW, "--label", "big"], "two pools are called big"),
        (["us", "big", "--plan", NEW, "--nodes", "9"], "nodes (9) must lie within autoscale"),
        (["us", "edge", "--plan", NEW, "--nodes", "0"], "--nodes"),
    ],
)
def test_what_was_mistyped_is_said(project: Path, options: list[str], said: str):
    command = ["replace-pool", *options, "--dir", str(project)]
    ran = CliRunner().invoke(application("replace-pool"), command)
    assert (ran.exit_code, said in ran.stderr) == (2, True), ran.stderr


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ({"nodes": 1}, "which stays, and has one node already"),
        ({"autoscale": {"min": 1, "max": 4}}, "its `autoscale` would make more"),
    ],
)
def test_the_pool_that_a_cluster_was_made_with(project: Path, pool: dict[str, Any], said: str):
    write_stack(project, "us", region(pools=[{**POOLS[0], **pool}]))
    with pytest.raises(world.SettingsError, match=said):
        find(project, Wish("us", "edge", NEW))


def test_another_plan_than_the_one_that_was_begun_with_is_refused(project: Path):
    new = {"label": "edge-2", "plan": NEW, "nodes": 3}
    wish = Wish("us", "edge", "vc2-6c-16gb")
    with pytest.raises(world.SettingsError, match=f"go on with --plan {NEW}"):
        edited(project, wish, lambda f, t, p: with_pool(f, t, p, "edge", new))
