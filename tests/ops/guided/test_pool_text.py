"""Pools in stack files: one comes, one goes, and all else stands there as it stood."""

import pytest

from infra.errors import SettingsError
from ops.guided.pool_text import replacing, unmarked, with_nodes, with_pool, without_pool
from tests.projects import ROOT

FILES = [path.read_text() for path in sorted(ROOT.glob("Pulumi.*.yaml")) if "edge" not in path.name]
BLOCK = """\
config:
  edgefleet:region: us   # east
  edgefleet:cluster:
    location: ewr
    version: v1.35.5+1
    pools:
      # the first
      - label: edge   # public
        plan: vc2-2c-4gb
        nodes: 3
        taints:
          - {key: a, effect: NoSchedule}  # ours
      # what comes after
    protect: true
"""
FLOW = """\
config:
  edgefleet:cluster: {location: ewr, version: v1, pools: [{label: edge, plan: a, nodes: 2}]} # one
"""
NEW = {"label": "edge-2", "plan": "vc2-4c-8gb", "nodes": 5}


@pytest.mark.parametrize("text", [*FILES, BLOCK, FLOW])
def test_a_pool_comes_and_goes_without_a_trace(text: str):
    new = with_pool("f", text, "edgefleet", "edge", NEW)
    assert replacing(new) == {"edge": "edge-2"}
    assert text not in new
    assert unmarked(new, "other") == new
    assert without_pool("f", unmarked(new, "edge"), "edgefleet", "edge-2") == text


def test_the_copy_has_all_that_the_pool_has():
    new = unmarked(with_pool("f", BLOCK, "edgefleet", "edge", NEW), "edge")
    assert new == BLOCK.replace(
        "  # ours\n",
        """  # ours
      - label: edge-2   # public
        plan: vc2-4c-8gb
        nodes: 5
        taints:
          - {key: a, effect: NoSchedule}
""",
    )
    assert "[{label: edge, plan: a, nodes: 2}, {label: edge-2, plan: vc2-4c-8gb, nodes: 5}]" in (
        with_pool("f", FLOW, "edgefleet", "edge", NEW)
    )


@pytest.mark.parametrize("text", [*FILES, BLOCK, FLOW])
def test_a_size_alone_changes(text: str):
    new = with_nodes("f", text, "edgefleet", "edge", 7)
    assert [(a, b) for a, b in zip(text, new, strict=True) if a != b] in (
        [("3", "7")],
        [("2", "7")],
    )


def test_what_is_not_there_or_cannot_be_edited_is_said():
    with pytest.raises(SettingsError, match="there is no pool 'gpu'"):
        with_nodes("f", BLOCK, "edgefleet", "gpu", 1)
    anchored = (
        "config:\n  edgefleet:cluster: {pools: [{label: edge, plan: a, nodes: &n 2}], x: *n}\n"
    )
    with pytest.raises(SettingsError, match="Write `nodes: 1 in pool 'edge'` there by hand"):
        with_nodes("f", anchored, "edgefleet", "edge", 1)
