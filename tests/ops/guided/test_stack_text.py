"""Edits of stack files: one value is another, and all else stands there as it stood."""

import pytest

from infra.errors import SettingsError
from ops.guided.stack_text import MARK, marked, with_mark, with_version, without_mark
from tests.projects import ROOT

FILES = [path.read_text() for path in sorted(ROOT.glob("Pulumi.*.yaml")) if "edge" not in path.name]
COMMENTED = """\
# ours
config:
  edgefleet:region: us   # east
  edgefleet:drain: "false"   # lifted in May
  edgefleet:cluster: {location: ewr, version: 'v1.35.5+1', pools: [{label: a, nodes: 1}]} # one line
"""


@pytest.mark.parametrize("text", [*FILES, COMMENTED])
def test_a_version_alone_changes(text: str):
    new = with_version("f", text, "edgefleet", "v1.36.2+1")
    was = "'v1.35.5+1'" if text == COMMENTED else "v1.35.5+1"
    assert new == text.replace(was, "v1.36.2+1")
    assert new != text


@pytest.mark.parametrize("text", [*FILES, COMMENTED])
def test_a_drain_comes_with_its_mark_and_goes_without_a_trace(text: str):
    assert not marked(text)
    new = with_mark("f", text, "edgefleet")
    assert marked(new)
    assert f"edgefleet:drain: true  {MARK}" in new
    assert with_mark("f", new, "edgefleet") == new
    assert without_mark(new) == text
    assert without_mark(text) == text


def test_a_version_by_way_of_the_drain_and_back():
    new = with_mark("f", COMMENTED, "edgefleet")
    new = without_mark(with_version("f", new, "edgefleet", "v1.36.2+1"))
    assert new == with_version("f", COMMENTED, "edgefleet", "v1.36.2+1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {edgefleet:cluster: {version: v1}}\n", "must be a block"),
        ("config:\n  edgefleet:region: us\n", "cluster.version: isn't there"),
        (
            "config:\n  edgefleet:cluster: {a: &v v1, version: *v}\n",
            "Write `edgefleet:cluster.version: v1.36.2+1` there by hand",
        ),
    ],
)
def test_what_cannot_be_edited_is_left_to_a_person(text: str, said: str):
    with pytest.raises(SettingsError, match=said.replace("+", r"\+")):
        with_version("Pulumi.us.yaml", text, "edgefleet", "v1.36.2+1")
