"""What was approved, held against what would be done: each difference is found."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.own_resource import kinds
from components.plugin.own_resources import load_all
from components.server_side.resource import ClusterResource
from ops.approval.comparison import (
    _LOOKS,  # pyright: ignore[reportPrivateUsage]
    Verdict,
    approved,
    compare,
)
from ops.approval.steps import Operation, Planned, Step

PREFIX = "urn:pulumi:us::edgefleet::"
A = f"{PREFIX}edgefleet:index:VkeCluster$vultr:index/kubernetes:Kubernetes::us-cluster"
RECORD = (
    f"{PREFIX}edgefleet:index:RegionalDns$cloudflare:index/dnsRecord:DnsRecord::"
    "us-dns-8c1c5d2e-c5a6-4a52-9d0e-3ac3f9e0b0b1-{}"
)
PROVIDER = f"{PREFIX}pulumi:providers:kubernetes::us-kubernetes"
LOOKS = f"{PREFIX}edgefleet:index:NodeFirewall$pulumi-python:dynamic/index:NodesInStep::us-in-step"

KINDS: list[tuple[Operation, bool]] = [
    ("create", False),
    ("update", False),
    ("update", True),
    ("delete", False),
]
HALF = {
    (("create", False), ("update", False)),
    (("update", True), ("create", False)),
}


def held(said: set[Planned], *would: Planned, unfinished: bool = False) -> Verdict:
    return compare([said], [Step(each) for each in would], unfinished)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_approved_passes(kind: tuple[Operation, bool]):
    verdict = held({Planned(A, *kind)}, Planned(A, *kind))
    assert (verdict.unapproved, verdict.approved) == ([], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_approved_is_stopped(kind: tuple[Operation, bool]):
    for unfinished in (False, True):
        (found,) = held(set(), Planned(A, *kind), unfinished=unfinished).unapproved
        assert "us-cluster (vultr:index/kubernetes:Kubernetes) would be" in found[1]
        assert "the files say nothing of it" in found[1]


@pytest.mark.parametrize(("said", "would"), [(a, b) for a, b in product(KINDS, KINDS) if a != b])
def test_another_operation_than_the_approved_one_is_stopped(
    said: tuple[Operation, bool], would: tuple[Operation, bool]
):
    (found,) = held({Planned(A, *said)}, Planned(A, *would)).unapproved
    assert "the files say that it is " in found[1]
    passes = not held({Planned(A, *said)}, Planned(A, *would), unfinished=True).unapproved
    assert passes == ((said, would) in HALF)


def test_the_rest_of_a_replacement_goes_on_only_where_it_was_begun():
    said = {Planned(A, "update", True)}
    old = Planned(A, "delete", True)
    assert held(said, old).unapproved
    assert not held(said, old, unfinished=True).unapproved
    assert held({Planned(A, "update")}, old, unfinished=True).unapproved


def test_what_was_tried_in_vain_counts_too():
    """The state may have what a failed run made of a commit that the next one takes back."""
    since_base, since_tried = set[Planned](), {Planned(A, "delete")}
    assert compare([since_base], [Step(Planned(A, "delete"))], True).unapproved
    assert not compare([since_base, since_tried], [Step(Planned(A, "delete"))], True).unapproved


def test_what_is_so_already_is_told_and_stops_nothing():
    component = f"{PREFIX}edgefleet:index:RegionalDns::us-dns"
    verdict = held({Planned(A, "update"), Planned(component, "create")})
    assert verdict.settled == [Planned(A, "update")]
    assert not verdict.unapproved


@pytest.mark.parametrize(
    ("step", "passes"),
    [
        (Step(Planned(RECORD.format("a"), "create")), True),
        (Step(Planned(RECORD.format("aaaa"), "delete")), True),
        # An address is its node's for good: who changed the record?
        (Step(Planned(RECORD.format("a"), "update")), False),
        (Step(Planned(RECORD.format("a"), "update", True)), False),
        # A record, but no node's.
        (Step(Planned(RECORD.format("txt"), "create")), False),
        (
            Step(Planned(f"{PREFIX}cloudflare:index/dnsRecord:DnsRecord::us-dns-1-a", "create")),
            False,
        ),
        (Step(Planned(PROVIDER, "update"), ("kubeconfig",)), True),
        (Step(Planned(PROVIDER, "update"), ("kubeconfig", "version")), True),
        (Step(Planned(PROVIDER, "update"), ("namespace",)), False),
        (Step(Planned(PROVIDER, "update")), False),
        (Step(Planned(PROVIDER, "update", True), ("kubeconfig",)), False),
        (Step(Planned(PROVIDER, "create")), False),
        (Step(Planned(LOOKS, "update")), True),
        (Step(Planned(LOOKS, "delete")), False),
    ],
)
def test_what_follows_nodes_and_the_way_in_needs_no_file(step: Step, passes: bool):
    verdict = compare([set()], [step], False)
    assert bool(verdict.follows) == passes
    assert bool(verdict.unapproved) != passes


def test_resources_that_only_look_are_there():
    load_all()
    known = {f"pulumi-python:dynamic/index:{each.kind}" for each in kinds(ClusterResource)}
    assert {*_LOOKS} <= known


def test_a_sentence_names_the_fields():
    step = Step(Planned(A, "update", True), ("label", "region"), ("region",))
    ((_, sentence),) = compare([{Planned(A, "update")}], [step], False).unapproved
    assert sentence == (
        "us-cluster (vultr:index/kubernetes:Kubernetes) would be REPLACED, deleted and made anew "
        "for region; the files say that it is changed in place"
    )


def test_who_agrees_agrees_to_just_that():
    one, more = Step(Planned(A, "update"), ("label",)), Step(Planned(A, "update"), ("version",))
    digests = {
        compare([set()], steps, False).digest
        for steps in ([one], [more], [one, Step(Planned(PROVIDER, "delete"))])
    }
    assert len(digests) == 3
    other = Step(Planned(PROVIDER, "delete"))
    assert (
        compare([set()], [other, one], False).digest == compare([set()], [one, other], False).digest
    )


def resource(urn: str, **more: Any) -> dict[str, Any]:
    return {"urn": urn, "type": "t", "name": "n", **more}


def test_a_difference_of_the_files_as_what_happens():
    diff = {
        "added": [resource("1")],
        "changed": [
            resource("2", fields=[{"path": "x"}], replaced=[]),
            resource("3", fields=[], replaced=["its provider is replaced"]),
        ],
        "removed": [resource("4")],
    }
    assert approved(diff) == {
        Planned("1", "create"),
        Planned("2", "update"),
        Planned("3", "update", True),
        Planned("4", "delete"),
    }


PLANNED = st.builds(
    lambda number, kind: Planned(f"{A}{number}", *kind), st.integers(0, 5), st.sampled_from(KINDS)
)


@given(st.sets(PLANNED), st.sets(PLANNED))
def test_whatever_is_beyond_the_approved_is_stopped_and_nothing_else(
    said: set[Planned], would: set[Planned]
):
    verdict = held(said, *sorted(would))
    assert {step.planned for step, _ in verdict.unapproved} == would - said
    assert verdict.approved == len(would & said)
