"""Previews as the engine printed them (3.246.0, on a sandbox, cut to what is read here), each held
against changes of the files: it passes with the change that it is of, and with no other."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ops.approval.comparison import Verdict, approved, compare
from ops.approval.steps import Planned, Step, kind_and_name, parse, steps
from ops.render.cli import comparison
from ops.render.offline import render_project
from ops.render.resources import Rendering
from ops.render.revisions import Fleet
from tests.projects import CLUSTER, copy_project, region, write_stack

RECORDED = Path(__file__).parent / "recorded"

CHANGES: dict[str, Mapping[str, Any]] = {
    "nothing": region(),
    "image": {**region(), "ingress": {"image": "nginx/nginx-ingress:5.7.0"}},
    "more-nodes": region(pools=[{**CLUSTER["pools"][0], "nodes": 4}]),
    "administrators": {**region(), "firewall": {"adminCidrs": ["198.51.100.0/24"]}},
}
"""Of the files, by the recorded preview that is of them."""


@cache
def rendered(change: str) -> tuple[Rendering, set[Planned]]:
    """us with the change, and what that changes."""
    with TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        write_stack(project, "us", CHANGES["nothing"])
        before = render_project(project, ["us"])
        write_stack(project, "us", CHANGES[change])
        after = render_project(project, ["us"])
        (diff,) = comparison(project, "HEAD", Fleet(before), after, ["us"]).plain()["stacks"]
    return after["us"], approved(diff)


def recorded(name: str) -> list[Step]:
    return steps(parse((RECORDED / f"{name}.json").read_text()))


def names(verdict: Verdict) -> list[str]:
    return [kind_and_name(step.planned.urn)[1] for step, _ in verdict.unapproved]


def held(change: str, preview: str) -> Verdict:
    return compare([rendered(change)[1]], recorded(preview), False)


@pytest.mark.parametrize("change", CHANGES)
def test_the_change_that_was_approved_passes(change: str):
    verdict = held(change, change)
    assert names(verdict) == []
    assert bool(verdict.approved) == (change != "nothing")
    assert verdict.settled == []


@pytest.mark.parametrize(
    ("change", "preview", "stopped"),
    [
        (change, preview, stopped)
        for preview, stopped in {
            "image": ["us-ingress-controller"],
            "more-nodes": ["us-pool-edge-settings"],
            "administrators": [
                "us-firewall-rules",
                "us-node-firewall-daemon-set",
                "us-node-firewall-files",
            ],
        }.items()
        for change in CHANGES
        if change != preview
    ],
)
def test_a_change_that_is_not_the_approved_one_is_stopped(
    change: str, preview: str, stopped: list[str]
):
    assert sorted(names(held(change, preview))) == stopped


@pytest.mark.parametrize("change", ["nothing", "image"])
def test_what_was_done_by_hand_is_stopped(change: str):
    """Somebody switched eBPF off; the plain `up` would put it back."""
    verdict = held(change, "by-hand")
    assert names(verdict) == ["us-calico-felix"]
    assert [kind_and_name(step.planned.urn)[1] for step in verdict.follows] == ["us-calico-rollout"]


def test_another_kubeconfig_is_stopped_where_resources_are_looked_at_anew():
    assert names(held("nothing", "rotated-kubeconfig")) == ["us-calico-felix"]


def test_a_recycled_nodes_records_follow_it():
    verdict = held("nothing", "recycled-node")
    assert names(verdict) == []
    assert len(verdict.follows) == 4


@pytest.mark.parametrize("preview", ["image", "administrators", "more-nodes"])
def test_each_step_that_is_injected_is_found(preview: str):
    """Whatever resource of the stack it is of, and whatever would happen to it."""
    rendering, said = rendered(preview)
    untouched = [r.urn for r in rendering.resources if r.urn not in {each.urn for each in said}]
    assert len(untouched) > 20
    clean = recorded(preview)
    for urn in untouched:
        for operation in (Planned(urn, "delete"), Planned(urn, "update", True)):
            verdict = compare([said], [*clean, Step(operation)], False)
            assert [step.planned for step, _ in verdict.unapproved] == [operation]


def test_a_replacement_in_place_of_a_change_is_found():
    (image,) = recorded("image")
    worse = Step(Planned(image.planned.urn, "update", True), image.differs, ("spec",))
    ((step, sentence),) = compare([rendered("image")[1]], [worse], False).unapproved
    assert step.planned.replaced
    assert "would be REPLACED, deleted and made anew for spec" in sentence
    assert sentence.endswith("the files say that it is changed in place")


def test_another_secret_changes_what_holds_it_and_nothing_else():
    with TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        secret = {"secure": "v1:a:b"}
        write_stack(project, "us", {**region(), "originHeader": "observe", "originSecret": secret})
        before = render_project(project, ["us"])
        secret["secure"] = "v1:c:d"
        write_stack(project, "us", {**region(), "originHeader": "observe", "originSecret": secret})
        after = render_project(project, ["us"])
        (diff,) = comparison(project, "HEAD", Fleet(before), after, ["us"]).plain()["stacks"]
    changed = {kind_and_name(each.urn)[1] for each in approved(diff)}
    assert changed == {"us-ingress-config", "us-ingress-controller", "us-ingress-files"}
