"""The plan of a pool's replacement, from every state that a kill can leave behind."""

from dataclasses import replace
from typing import Any

import pytest

from ops.replace_pool.plan import World, document, plan, refusals, successor, text

FIRST = World(
    stack="us",
    file="Pulumi.us.yaml",
    hostname="us.example.com",
    edge="edge",
    old="edge",
    new="edge-2",
    was="vc2-2c-4gb",
    plan="vc2-4c-8gb",
    nodes=3,
    first=True,
    there=3,
    minutes=30,
    monthly=(60.0, 120.0),
)
FURTHER = replace(FIRST, first=False, old="big", new="big-2")

# In the order of what the command does to the world: each line has what is so from then on.
OF_FIRST: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing was done", {}, ["add", "look", "drain", "shrink", "look"]),
    (
        "the file has the new pool",
        {"added": True, "rest": ("us-pool-edge-2",), "busy": 3},
        ["add", "look", "drain", "shrink", "look"],
    ),
    ("it is up", {"rest": ()}, ["look", "drain", "shrink", "look"]),
    ("one node is empty", {"busy": 2}, ["look", "drain", "shrink", "look"]),
    # Nothing says whether the doctor was asked: it is asked again.
    ("all are", {"busy": 0}, ["look", "shrink", "look"]),
    (
        "the file says one node",
        {"gone": True, "rest": ("us-pool-edge-settings",), "busy": 3},
        ["shrink", "look"],
    ),
    ("it is up", {"rest": (), "busy": 1}, ["shrink", "look"]),
    ("the last one takes pods", {"busy": 0}, ["look"]),
]
OF_FURTHER: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing was done", {}, ["add", "look", "remove", "look"]),
    (
        "the file has the new pool",
        {"added": True, "rest": ("us-pool-big-2",)},
        ["add", "look", "remove", "look"],
    ),
    ("it is up", {"rest": ()}, ["look", "remove", "look"]),
    ("the file lacks the old one", {"gone": True, "rest": ("us-pool-big",)}, ["remove", "look"]),
    ("it is up", {"rest": ()}, ["look"]),
]


@pytest.mark.parametrize(
    ("start", "kills"), [(FIRST, OF_FIRST), (FURTHER, OF_FURTHER)], ids=["the first", "a further"]
)
def test_after_a_kill_the_plan_is_the_rest(start: World, kills: Any):
    world = start
    for what, change, rest in kills:
        world = replace(world, **change)
        assert [step.kind for step in plan(world) if not step.done] == rest, what


def test_the_text_says_what_stays_what_it_costs_and_how_each_step_is_undone():
    told = text(FIRST, plan(FIRST))
    assert "pool edge (vc2-2c-4gb) → pool edge-2 (vc2-4c-8gb), 3 nodes, $60.00 → $120.00" in told
    assert "that pool stays, with one node" in told
    assert "stays" not in text(FURTHER, plan(FURTHER))
    for world in (FIRST, FURTHER):
        for step in plan(world):
            assert "at most" in step.waits
            assert step.undo
    assert [s["done"] for s in document(FIRST, plan(FIRST))["steps"]] == [False] * 5


def test_undeployed_changes_are_refused_before_it_begins_and_only_then():
    undeployed = replace(FIRST, rest=("us-dns-1-a",))
    (refused,) = refusals(undeployed)
    assert refused.endswith("Bring that up first: pulumi up -s us")
    assert refusals(FIRST) == refusals(replace(undeployed, added=True)) == []


@pytest.mark.parametrize(
    ("label", "taken", "wanted"),
    [
        ("edge", ["edge"], "edge-2"),
        ("edge-2", ["edge", "edge-2"], "edge-3"),
        ("edge", ["edge", "edge-2"], "edge-3"),
        ("gpu-big", [], "gpu-big-2"),
    ],
)
def test_a_label_for_what_takes_its_place(label: str, taken: list[str], wanted: str):
    assert successor(label, taken) == wanted
