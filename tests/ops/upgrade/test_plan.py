"""The plan, from every state that a kill can leave behind; and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from ops.approval.steps import Planned, Step
from ops.doctor.finding import Blind, Finding
from ops.doctor.ladder import Report
from ops.upgrade.plan import World, beyond, blocking, plan, refusals
from ops.upgrade.text import document, text

OLD, NEW = "v1.35.5+1", "v1.36.2+1"
START = World(
    stack="us",
    file="Pulumi.us.yaml",
    region="us",
    hostname="us.example.com",
    to=NEW,
    said=OLD,
    kept=OLD,
    live=OLD,
    nodes=3,
    minutes=60,
    carriers=("apac", "eu"),
    edge="edge",
)
TWIN = replace(START, twins=("us-2",))
ALONE = replace(START, carriers=())


def left(world: World) -> list[str]:
    return [step.kind for step in plan(world) if not step.done]


ALL = ["drain", "look", "upgrade", "look", "undrain", "look"]
VERSION = {"said": NEW, "kept": NEW, "live": NEW}

# In the order of what the command does to the world: each line has what is so from then on.
AT_THE_EDGE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing was done", {}, ALL),
    ("the file drains", {"mark": True}, ALL),
    ("the Worker knows it", {"edge_drains": True}, ALL[1:]),
    ("the file has the version", {"said": NEW}, ALL[2:]),
    ("Vultr has it, and nodes come", {"live": NEW}, ALL[2:]),
    ("the state has it, and records are left", {"kept": NEW, "rest": ("us-dns-1-a",)}, ALL[2:]),
    ("`up` went to its end", {"rest": ()}, ALL[3:]),
    ("the file no longer drains", {"mark": False}, ALL[4:]),
    ("the Worker knows it", {"edge_drains": False}, ALL[5:]),
]
BY_A_TWIN: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing was done", {}, ALL),
    ("the file drains", {"mark": True}, ALL),
    ("its records left", {"published": False}, ALL[1:]),
    ("the file has the version", {"said": NEW}, ALL[2:]),
    ("Vultr has it, and nodes come", {"live": NEW}, ALL[2:]),
    ("the state has it, and a patch is left", {"kept": NEW, "rest": ("us-felix",)}, ALL[2:]),
    ("`up` went to its end", {"rest": ()}, ALL[3:]),
    ("the file no longer drains", {"mark": False, "rest": ("us-dns-1-a",)}, ALL[4:]),
    ("some records are there", {"published": True}, ALL[4:]),
    ("all are", {"rest": ()}, ALL[5:]),
]
BY_NOBODY: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing was done", {}, ["upgrade", "look"]),
    ("the file has the version", {"said": NEW}, ["upgrade", "look"]),
    ("Vultr has it", {"live": NEW}, ["upgrade", "look"]),
    ("records are left", {"kept": NEW, "rest": ("us-dns-1-a",)}, ["upgrade", "look"]),
    ("`up` went to its end", {"rest": ()}, ["look"]),
]


@pytest.mark.parametrize(
    ("start", "kills"),
    [
        (START, AT_THE_EDGE),
        (TWIN, BY_A_TWIN),
        (ALONE, BY_NOBODY),
        (replace(START, drained=True, edge_drains=True), BY_NOBODY),
    ],
    ids=["at the edge", "by a twin", "alone", "drained by somebody"],
)
def test_after_a_kill_the_plan_is_the_rest(start: World, kills: Any):
    world = start
    for what, change, rest in kills:
        world = replace(world, **change)
        assert left(world) == rest, what


@pytest.mark.parametrize("world", [START, TWIN], ids=["edge", "twin"])
def test_nobody_drains_for_a_version_that_vultr_has(world: World):
    """It upgrades by itself after a version's end: the file follows."""
    assert left(replace(world, live=NEW)) == ["upgrade", "look"]


def test_the_stack_that_is_brought_up_is_the_one_that_drains():
    assert [step.stack for step in plan(START)] == ["edge", "", "us", "", "edge", ""]
    assert {step.stack for step in plan(TWIN)} == {"us", ""}
    assert "apac, eu" in plan(START)[0].does
    assert "us-2 carry us.example.com" in plan(TWIN)[0].does


def test_every_step_says_what_it_waits_for_and_how_long():
    for world in (START, TWIN, ALONE):
        for step in plan(world):
            assert "at most" in step.waits
            assert "minutes" in step.waits
            assert step.undo


def test_the_text_marks_what_is_done_and_says_what_moves():
    told = text(START, plan(START), ipv6=True)
    assert "v1.35.5+1 (ends on 2027-02-28) → v1.36.2+1 (its end isn't known here)" in told
    assert "6 records of us.example.com move (A and AAAA)" in told
    assert "✓" not in told
    assert "3 records" in text(START, plan(START), ipv6=False)
    drained = replace(START, mark=True, edge_drains=True)
    assert "✓ 1. drain us" in text(drained, plan(drained), ipv6=True)
    assert "NOBODY carries" in text(ALONE, plan(ALONE), ipv6=True)
    by_somebody = replace(START, drained=True)
    assert "drains already" in text(by_somebody, plan(by_somebody), ipv6=True)
    over = replace(START, **VERSION)
    assert "at Vultr already" in text(over, plan(over), ipv6=True)
    assert [s["done"] for s in document(drained, plan(drained))["steps"]] == [True] + [False] * 5


# --- refusals ---------------------------------------------------------------------------------


def planned(kind: str, name: str, op: Any = "update", *differs: str, replaced: bool = False):
    urn = f"urn:pulumi:us::edgefleet::edgefleet:index:X${kind}::{name}"
    return Step(Planned(urn, op, replaced), differs)


def test_what_a_preview_shows_beyond_the_version():
    dynamic = "pulumi-python:dynamic/index"
    version = planned(f"{dynamic}:ClusterVersion", "us-version", "update", "version")
    felix = planned(f"{dynamic}:ServerSidePatch", "us-felix", "update", "cluster_version")
    more = planned(f"{dynamic}:ServerSidePatch", "us-x", "update", "cluster_version", "fields")
    pool = planned(f"{dynamic}:PoolSettings", "us-pool", "update", "nodes")
    made = planned("cloudflare:index/dnsRecord:DnsRecord", "us-dns-1-a", "create")
    anew = planned(f"{dynamic}:ClusterVersion", "us-version", "update", replaced=True)
    assert beyond([version, felix]) == []
    assert beyond([version, more, pool, made]) == ["us-x", "us-pool", "us-dns-1-a"]
    assert beyond([anew]) == ["us-version"]


def test_undeployed_changes_are_refused_before_it_begins_and_only_then():
    (refused,) = refusals(START, ["us-pool"], [])
    assert refused.startswith("us: `pulumi up` would change more than the version: us-pool.")
    assert refused.endswith("pulumi up -s us")
    assert len(refusals(START, ["us-pool"], ["edgefleet"])) == 2
    assert refusals(START, [], []) == []
    for begun in ({"mark": True}, {"live": NEW}):
        assert refusals(replace(START, **begun), ["us-pool"], ["edgefleet"]) == []


def finding(stack: str, fault: str) -> Finding:
    return Finding("node", fault, stack, stack, "asked", "came", "means", "do")


def report(*findings: Finding, blind: tuple[Blind, ...] = ()) -> Report:
    return Report(findings, blind, (), (), ())


CARRIERS = {"eu": "eu", "apac": "apac"}


def test_what_the_doctor_finds_of_the_stack_or_its_edge_is_in_the_way():
    own, edge = finding("us", "node-not-ready"), finding("edge", "table-old")
    assert blocking(report(own, edge), START, CARRIERS) == [own, edge]
    assert blocking(report(finding("us", "version-ended")), START, CARRIERS) == []
    blind = Blind("Vultr", "us", "401")
    assert blocking(report(blind=(blind,)), START, CARRIERS) == ["us: Vultr: 401"]


def test_one_that_is_well_is_enough_to_carry_visitors():
    eu, apac = finding("eu", "node-not-ready"), finding("apac", "node-not-ready")
    assert blocking(report(eu), START, CARRIERS) == []
    (said,) = blocking(report(eu, apac), START, CARRIERS)
    assert said == "none of those that would carry visitors is well: eu, apac"
    assert blocking(report(eu, apac), START, {}) == []


def test_a_version_that_stands_in_the_file_already_is_no_fault_before_the_first_step():
    told = report(finding("us", "version-other"), finding("us", "cut-off"))
    written = replace(START, said=NEW)
    assert blocking(told, written, CARRIERS, first=True) == []
    assert len(blocking(told, written, CARRIERS)) == 2
    assert len(blocking(told, START, CARRIERS, first=True)) == 2
