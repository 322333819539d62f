"""The Worker's table, its versions' shares, and the rule against other zones' Workers.

What is registered of it: tests/infra/stacks/test_edge.py. What the real engine makes of that:
tests/fleet/test_edge_stack.py.
"""

import json
from typing import Any

import pytest

from components.edge.deployment import Share, shares
from components.edge.table import (
    CONFIG_BYTES,
    MAX_REGIONS,
    EdgeMistake,
    RegionRow,
    WorkerOptions,
    fallback_region,
    worker_config,
)
from components.edge.worker_filter import REF, expression, foreign_rules


def row(name: str, **more: Any) -> RegionRow:
    place: dict[str, Any] = {"host": f"{name}.example.com", "lat": 1.5, "lon": 2, "drain": False}
    return {"name": name, **place, **more}  # type: ignore[typeddict-item]


def share(version_id: str, percentage: float) -> Share:
    return {"version_id": version_id, "percentage": percentage}


def test_the_table_in_the_workers_words():
    eu = row("eu", countries=["DE"], weight=5, strict=True)
    config = worker_config(
        [eu, row("us")],
        {"health_path": "/up", "hedge_after_ms": 0, "retry_on_5xx": True, "down_ms": 1},
    )
    assert json.loads(config) == {
        "regions": [eu, row("us")],
        "healthPath": "/up",
        "hedgeAfterMs": 0,
        "retryOn5xx": True,
        "downMs": 1,
    }
    assert json.loads(worker_config([eu], {"health_path": "/up"})).keys() == {
        "regions",
        "healthPath",
    }


@pytest.mark.parametrize(
    ("regions", "sentence"),
    [
        ([], "0 regions: the Worker takes 1 to 20"),
        ([row(f"r{i}") for i in range(MAX_REGIONS + 1)], "21 regions"),
        ([row("us"), row("us", host="x.example.com")], "two regions have the name us"),
        ([row("us"), row("eu", host="us.example.com")], "have the host us.example.com"),
        (
            [row(f"r{i}", countries=["DE"] * 40) for i in range(MAX_REGIONS)],
            "in one variable of a Worker: name continents in place of countries",
        ),
    ],
    ids=["none", "too many", "names", "hosts", "too large"],
)
def test_a_table_that_would_not_work_is_refused(regions: list[RegionRow], sentence: str):
    with pytest.raises(EdgeMistake, match=sentence):
        worker_config(regions, {"health_path": "/healthz"})


def test_twenty_regions_fit():
    regions = [row(f"region-{i}", continents=["EU", "AF"]) for i in range(MAX_REGIONS)]
    assert len(worker_config(regions, {"health_path": "/healthz"})) < CONFIG_BYTES


@pytest.mark.parametrize(
    ("regions", "found"),
    [
        ([row("us"), row("eu")], "us"),
        ([row("us", drain=True), row("eu")], "eu"),
        ([row("canary", weight=5), row("eu"), row("us")], "eu"),
        ([row("us"), row("eu", strict=True)], None),
        ([row("us"), row("eu", strict=True, drain=True)], None),
    ],
    ids=["first", "drained", "canary", "strict", "strict and drained"],
)
def test_where_hosts_point_besides_the_worker(regions: list[RegionRow], found: str | None):
    region = fallback_region(regions)
    assert (region and region["name"]) == found


def test_all_may_drain_in_maintenance():
    assert fallback_region([row("us", drain=True)], closed=True) is None
    hosts: dict[str, dict[str, Any]] = {"a.example.com": {"regions": ["us"], "maintenance": True}}
    worker_config([row("us", drain=True)], {"health_path": "/up", "hosts": hosts})
    hosts["a.example.com"]["maintenance"] = False
    options: WorkerOptions = {"health_path": "/up", "maintenance": True, "hosts": hosts}
    with pytest.raises(EdgeMistake, match=r"all of them drain.*or say `maintenance: true`"):
        worker_config([row("us", drain=True)], options)


def test_hosts_never_point_to_a_drained_region():
    with pytest.raises(EdgeMistake, match="every region drains"):
        fallback_region([row("us", drain=True)])


@pytest.mark.parametrize(
    ("percentage", "deployed", "expected"),
    [
        (10, [], [("new", 100)]),
        (10, [("new", 100)], [("new", 100)]),
        (10, [("old", 100)], [("new", 10), ("old", 90)]),
        (0, [("old", 100)], [("old", 100)]),
        (0, [], [("new", 100)]),
        (100, [("old", 100)], [("new", 100)]),
        (50, [("new", 10), ("old", 90)], [("new", 50), ("old", 50)]),
        (10, [("newer", 20), ("old", 80)], [("new", 10), ("old", 90)]),
        (0.1, [("old", 100)], [("new", 0.1), ("old", 99.9)]),
    ],
)
def test_who_serves(
    percentage: float, deployed: list[tuple[str, float]], expected: list[tuple[str, float]]
):
    found = shares("new", percentage, [share(*each) for each in deployed])
    assert found == [share(*each) for each in expected]
    assert shares("new", percentage, found) == found, "the next run changes nothing"


def test_the_rule_spares_our_zone_and_the_probe():
    assert expression("example.com", ["us.example.com", "eu.example.com"], "/healthz") == (
        '(http.host in {"eu.example.com" "us.example.com"} and cf.worker.upstream_zone ne "" '
        'and cf.worker.upstream_zone ne "example.com" and http.request.uri.path ne "/healthz")'
    )


def test_rules_of_others_are_named():
    rules = [{"ref": REF}, {"id": "1", "description": "no bots"}, {"id": "2", "ref": "geo"}]
    assert foreign_rules({"rules": rules}) == ["no bots", "geo"]
    assert foreign_rules({"rules": [{"ref": REF}]}) == []
    assert foreign_rules(None) == []
