"""What an interrupted update left behind is found by what only we would have given it."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import resource_pb2

from components.edge.worker_filter import REF
from components.errors import CloudflareError
from components.vendors.vultr_cluster import LiveCluster, Pool
from infra.state import orphans
from infra.state.checkpoint import StackState
from infra.state.live_twins import LiveTwins, Twin
from infra.state.orphans import take_over_orphans
from infra.state.resource_types import (
    CLUSTER,
    FIREWALL_RULE,
    KV_NAMESPACE,
    POOL,
    RECORD,
    ROUTE,
    RULESET,
    SCRIPT,
    VPC,
    WORKER,
)
from tests.rendered import live_cluster, live_nodes

MADE = live_cluster(live_nodes(2))


class Vultr:
    def __init__(self, cluster: LiveCluster | None = MADE, **lists: list[dict[str, Any]]) -> None:
        self._cluster = cluster
        self._lists = lists

    def find_cluster(self, label: str) -> LiveCluster | None:
        return self._cluster

    def cluster(self, cluster_id: str) -> LiveCluster:
        assert self._cluster
        return self._cluster

    def firewall_rules(self, group_id: str) -> list[dict[str, Any]]:
        return self._lists["rules"]

    def vpcs(self) -> list[dict[str, Any]]:
        return self._lists["vpcs"]


class Cloudflare:
    def __init__(self, **lists: list[dict[str, Any]]) -> None:
        self._lists = lists

    def dns_records(self, zone_id: str, name: str) -> list[dict[str, Any]]:
        return self._lists["records"]

    def worker_routes(self, zone_id: str) -> list[dict[str, Any]]:
        return self._lists["routes"]

    def kv_namespaces(self, account_id: str) -> list[dict[str, Any]]:
        return self._lists["namespaces"]

    def workers(self, account_id: str) -> list[dict[str, Any]]:
        return self._lists["workers"]

    def worker_scripts(self, account_id: str) -> list[dict[str, Any]]:
        return self._lists["scripts"]

    def entrypoint(self, zone_id: str, phase: str) -> dict[str, Any] | None:
        return next(iter(self._lists["rulesets"]), None)


def find(
    kind: str, props: dict[str, Any], vultr: Vultr | None = None, **cloudflare: Any
) -> str | None:
    """The id of what only we can have made."""
    twins = LiveTwins(lambda: vultr or Vultr(None), lambda: Cloudflare(**cloudflare))
    return next((twin.id for twin in twins.of(kind, props) if twin.ours), None)


CLUSTER_PROPS = {"label": "edgefleet-us", "region": "ewr", "nodePools": {"label": "edge"}}


def test_a_cluster_by_its_label():
    assert find(CLUSTER, CLUSTER_PROPS, Vultr()) == "c1"
    assert find(CLUSTER, CLUSTER_PROPS, Vultr(None)) is None


def test_a_pool_by_its_label():
    assert find(POOL, {"clusterId": "c1", "label": "edge"}, Vultr()) == "c1 p1"
    assert find(POOL, {"clusterId": "c1", "label": "big"}, Vultr()) is None
    assert find(POOL, {"clusterId": None, "label": "edge"}, Vultr()) is None


def test_a_vpc_by_description_place_and_network():
    props = {"description": "edgefleet-us", "region": "ewr", "v4Subnet": "10.20.0.0"}
    theirs = {
        "id": "v1",
        "description": "edgefleet-us",
        "region": "ewr",
        "v4_subnet": "10.20.0.0",
    }
    assert find(VPC, props, Vultr(vpcs=[theirs])) == "v1"
    assert find(VPC, props, Vultr(vpcs=[{**theirs, "v4_subnet": "10.9.0.0"}])) is None


def test_a_rule_by_all_that_it_admits():
    props = {
        "firewallGroupId": "g1",
        "ipType": "v4",
        "protocol": "tcp",
        "port": "80",
        "source": "cloudflare",
    }
    theirs = {
        "id": 7,
        "ip_type": "v4",
        "protocol": "tcp",
        "port": "80",
        "source": "cloudflare",
    }
    assert find(FIREWALL_RULE, props, Vultr(rules=[theirs])) == "g1,7"
    for key, value in (
        ("port", "443"),
        ("protocol", "udp"),
        ("source", "0.0.0.0/0"),
        ("ip_type", "v6"),
    ):
        assert find(FIREWALL_RULE, props, Vultr(rules=[{**theirs, key: value}])) is None
    assert find(FIREWALL_RULE, {**props, "firewallGroupId": None}, Vultr(rules=[theirs])) is None


def test_a_record_by_content_and_our_comment():
    props = {
        "zoneId": "z",
        "name": "us.example.com",
        "type": "A",
        "content": "192.0.2.1",
        "comment": "edgefleet us node n1",
    }
    theirs = {"id": "r1", **{k: v for k, v in props.items() if k != "zoneId"}}
    assert find(RECORD, props, records=[theirs]) == "z/r1"
    for key, value in (("comment", "mine"), ("content", "192.0.2.2"), ("type", "AAAA")):
        assert find(RECORD, props, records=[{**theirs, key: value}]) is None


def test_a_route_by_pattern_and_script():
    props = {"zoneId": "z", "pattern": "example.com/*", "script": "edgefleet"}
    theirs = {"id": "w1", "pattern": "example.com/*", "script": "edgefleet"}
    assert find(ROUTE, props, routes=[theirs]) == "z/w1"
    assert find(ROUTE, props, routes=[{**theirs, "script": "another"}]) is None


def test_other_types_are_never_looked_up():
    twins = LiveTwins(Vultr, Cloudflare)
    assert list(twins.of("kubernetes:core/v1:ConfigMap", {})) == []


def test_what_stands_in_a_place_is_told_though_it_differs():
    """For `fleet import`, which takes it over; an interrupted update leaves it alone."""
    record = {"id": "r1", "type": "CNAME", "content": "old.example.net", "comment": None}
    route = {"id": "w1", "pattern": "example.com/*", "script": "another"}
    script = {"id": "edgefleet"}
    twins = LiveTwins(Vultr, lambda: Cloudflare(records=[record], routes=[route], scripts=[script]))
    cname = {"zoneId": "z", "name": "example.com", "type": "CNAME", "content": "new", "comment": ""}
    assert list(twins.of(RECORD, cname)) == [Twin("z/r1", False)]
    there = {"zoneId": "z", "pattern": "example.com/*", "script": "edgefleet"}
    assert list(twins.of(ROUTE, there)) == [Twin("z/w1", False)]
    named = {"accountId": "a", "scriptName": "edgefleet"}
    assert list(twins.of(SCRIPT, named)) == [Twin("a/edgefleet", False)]
    assert list(twins.of(SCRIPT, {**named, "scriptName": "other"})) == []


def test_a_kv_namespace_by_its_title():
    props = {"accountId": "a", "title": "edgefleet-health"}
    theirs, ours = ({"id": i, "title": t} for i, t in (("1", "other"), ("2", "edgefleet-health")))
    assert find(KV_NAMESPACE, props, namespaces=[theirs, ours]) == "a/2"
    assert find(KV_NAMESPACE, props, namespaces=[theirs]) is None


def test_a_worker_by_its_name_unless_it_serves_somebody():
    props = {"accountId": "a", "name": "edgefleet"}
    made = {"id": "1", "name": "edgefleet", "deployed_on": None}
    assert find(WORKER, props, workers=[made]) == "a/1"
    assert find(WORKER, props, workers=[{**made, "deployed_on": "2026-11-21"}]) is None
    assert find(WORKER, props, workers=[{**made, "name": "other"}]) is None


def test_a_ruleset_that_holds_our_rule_alone():
    props = {"zoneId": "z", "phase": "http_request_firewall_custom"}
    ours = {"id": "1", "rules": [{"ref": REF}]}
    assert find(RULESET, props, rulesets=[ours]) == "zones/z/1"
    assert find(RULESET, props, rulesets=[]) is None
    assert find(RULESET, props, rulesets=[{"id": "1", "rules": []}]) is None
    assert (
        find(RULESET, props, rulesets=[{"id": "1", "rules": [{"ref": REF}, {"id": "x"}]}]) is None
    )


class Monitor:
    """The engine: takes registrations down."""

    def __init__(self) -> None:
        self.imported: dict[str, str] = {}

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> str:
        self.imported[request.name] = request.importId
        return "answer"


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Monitor:
    monitor = Monitor()
    monkeypatch.setattr(orphans, "get_monitor", lambda: monitor)
    return monitor


def registration(kind: str, name: str, **props: Any) -> resource_pb2.RegisterResourceRequest:
    body = struct_pb2.Struct()
    body.update(props)
    return resource_pb2.RegisterResourceRequest(type=kind, name=name, object=body)


NAMESPACE = {"accountId": "a", "title": "edgefleet-health"}


def test_what_the_state_lacks_and_the_vendor_has_is_imported(monitor: Monitor):
    theirs = {"id": "1", "title": "edgefleet-health"}
    known = {"urn:pulumi:edge::edgefleet::" + KV_NAMESPACE + "::known": {}}
    twins = LiveTwins(Vultr, lambda: Cloudflare(namespaces=[theirs]))
    take_over_orphans(StackState(known), twins)
    for request in (
        registration(KV_NAMESPACE, "new", **NAMESPACE),
        registration(KV_NAMESPACE, "known", **NAMESPACE),
        registration(KV_NAMESPACE, "another", accountId="a", title="another"),
        registration("kubernetes:core/v1:ConfigMap", "map"),
    ):
        assert monitor.RegisterResource(request) == "answer"
    assert monitor.imported == {"new": "a/1", "known": "", "another": "", "map": ""}


@pytest.mark.parametrize(
    "theirs",
    [
        replace(MADE, location="ord"),
        replace(MADE, pools=(Pool("p1", "edge"), Pool("p2", "databases"))),
    ],
    ids=["elsewhere", "other pools"],
)
def test_a_cluster_that_somebody_else_made_is_not_taken(theirs: LiveCluster, monitor: Monitor):
    take_over_orphans(StackState({}), LiveTwins(lambda: Vultr(theirs), Cloudflare))
    request = registration(CLUSTER, "us-cluster", **CLUSTER_PROPS)
    with pytest.raises(pulumi.RunError, match="that this stack didn't make"):
        monitor.RegisterResource(request)
    assert monitor.imported == {}


def test_a_vendor_that_fails_ends_the_registration_in_one_sentence(monitor: Monitor):
    """What isn't a RunError, Pulumi shows with a traceback."""

    def refusing() -> Cloudflare:
        raise CloudflareError("Cloudflare did not answer")

    take_over_orphans(StackState({}), LiveTwins(Vultr, refusing))
    with pytest.raises(pulumi.RunError, match=r"^new: Cloudflare did not answer$"):
        monitor.RegisterResource(registration(KV_NAMESPACE, "new", **NAMESPACE))
    assert monitor.imported == {}
