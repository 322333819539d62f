"""Which resources of a program are looked up at the vendors before they are made."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import alias_pb2, resource_pb2

from infra.state import orphans
from infra.state.checkpoint import StackState
from infra.state.live_twins import Twin
from infra.state.orphans import TAKEN_OVER, held, take_over_orphans
from infra.state.resource_types import CLUSTER, KV_NAMESPACE, RECORD, RULESET

URN = "urn:pulumi:us::edgefleet::edgefleet:index:RegionalDns$"
A = {"zoneId": "z", "name": "us.example.com", "type": "A", "content": "192.0.2.1"}
STATE = StackState({f"{URN}{RECORD}::us-dns-1-a": {**A, "proxied": True}})


class Twins:
    """Everything is there already."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    def of(self, type_token: str, props: Mapping[str, Any]) -> Iterator[Twin]:
        self.asked.append(props)
        yield Twin("z/1", True)


class Monitor:
    """The engine's: keeps what arrives."""

    def __init__(self) -> None:
        self.came: list[resource_pb2.RegisterResourceRequest] = []

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> None:
        self.came.append(request)


def registered(
    monkeypatch: pytest.MonkeyPatch, props: Mapping[str, Any], **more: Any
) -> resource_pb2.RegisterResourceRequest:
    monitor = Monitor()
    monkeypatch.setattr(orphans, "get_monitor", lambda: monitor)
    monkeypatch.setattr("pulumi.log.info", lambda text: None)
    take_over_orphans(STATE, Twins())  # pyright: ignore[reportArgumentType]
    fields = {"type": RECORD, "name": "us-dns-new", **more}
    request = resource_pb2.RegisterResourceRequest(**fields)
    json_format.ParseDict({**props}, request.object)
    monitor.RegisterResource(request)
    [came] = monitor.came
    return came


def test_what_the_state_lacks_is_taken_over(monkeypatch: pytest.MonkeyPatch):
    other = {**A, "content": "192.0.2.2"}
    assert registered(monkeypatch, other).importId == "z/1"
    typed = [alias_pb2.Alias(spec=alias_pb2.Alias.Spec(type="cloudflare:index/record:Record"))]
    assert registered(monkeypatch, other, aliases=typed).importId == "z/1"


@pytest.mark.parametrize(("preview", "taken", "waited"), [(True, "", []), (False, "c1", ["c1"])])
def test_a_cluster_that_is_still_being_made_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, preview: bool, taken: str, waited: list[str]
):
    """The provider can't import one that has no kubeconfig yet."""
    found: list[str] = []

    class Pending(Twins):
        def of(self, type_token: str, props: Mapping[str, Any]) -> Iterator[Twin]:
            yield Twin("c1", True, "ewr", pending=True)

        def cluster_is_made(self, cluster_id: str, say: Any) -> None:
            found.append(cluster_id)

    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: preview)
    monkeypatch.setattr("tests.infra.state.test_orphans.Twins", Pending)
    cluster = {"label": "edgefleet-us"}
    assert registered(monkeypatch, cluster, type=CLUSTER, name="us-cluster").importId == taken
    assert found == waited


def test_what_the_state_has_by_its_name_is_left(monkeypatch: pytest.MonkeyPatch):
    other = {**A, "content": "192.0.2.2"}
    assert registered(monkeypatch, other, name="us-dns-1-a").importId == ""


def test_what_the_state_has_by_another_name_is_left(monkeypatch: pytest.MonkeyPatch):
    """Imported, it would be deleted as the old one in the same update."""
    assert registered(monkeypatch, A).importId == ""


@pytest.mark.parametrize(
    "renamed",
    [
        {"aliases": [alias_pb2.Alias(urn=f"{URN}{RECORD}::us-dns-old")]},
        {"aliases": [alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name="us-dns-old"))]},
        {"aliases": [alias_pb2.Alias(spec=alias_pb2.Alias.Spec(parentUrn=URN))]},
        {"aliases": [alias_pb2.Alias(spec=alias_pb2.Alias.Spec(noParent=True))]},
        {"aliasURNs": [f"{URN}{RECORD}::us-dns-old"]},
    ],
)
def test_what_was_called_otherwise_is_left(
    monkeypatch: pytest.MonkeyPatch, renamed: dict[str, Any]
):
    """Pulumi's own way to rename: the new one is the old one."""
    other = {**A, "content": "192.0.2.2"}
    assert registered(monkeypatch, other, **renamed).importId == ""


@pytest.mark.parametrize("key", A)
def test_a_record_is_told_from_others_by_every_part(key: str):
    known = {"there": {**A, "proxied": False}}
    assert held(known, RECORD, A) == "there"
    assert held(known, RECORD, {**A, key: "other"}) is None
    assert held(known, RECORD, {k: v for k, v in A.items() if k != key}) is None


def test_of_every_kind_that_is_taken_over():
    assert {RECORD, KV_NAMESPACE, RULESET} <= TAKEN_OVER
    for type_token in TAKEN_OVER:
        assert held({"there": {}}, type_token, {}) is None
