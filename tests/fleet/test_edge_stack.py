"""The edge stack on the sandbox: probes, strict regions, gradual deployments, the WAF rule."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.edge.worker_filter import PHASE, REF
from tests.fleet.fleet import ZONE, Fleet, lost
from tests.fleet.walking import blocks, walk

ACCOUNT = "8765be9597757f48c916e09754a92d51"
WORKERS = f"/accounts/{ACCOUNT}/workers"
NAMESPACES = f"/accounts/{ACCOUNT}/storage/kv/namespaces"
RULESETS = f"/zones/{ZONE}/rulesets"
ENTRYPOINT = f"{RULESETS}/phases/{PHASE}/entrypoint"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet.make(tmp_path_factory.mktemp("edge"))
    yield fleet
    fleet.stop()


@pytest.fixture
def fleet(sandbox: Fleet) -> Iterator[Fleet]:
    """Files as committed, and no edge: its table is made from files, so no cluster is needed."""
    yield sandbox
    try:
        sandbox.healthy()
    finally:
        sandbox.pulumi("edge", "destroy", "--yes", "--skip-preview").require()
        sandbox.restore()
    assert left(sandbox) == {"workers": [], "kv": [], "routes": [], "rulesets": [], "records": []}


def left(fleet: Fleet) -> dict[str, list[Any]]:
    """What of ours Cloudflare holds."""
    return {
        "workers": names(fleet),
        "kv": [n["title"] for n in result(fleet, NAMESPACES)],
        "routes": fleet.routes(),
        "rulesets": result(fleet, RULESETS),
        "records": result(fleet, f"/zones/{ZONE}/dns_records"),
    }


def result(fleet: Fleet, path: str) -> Any:
    return fleet.cloudflare("GET", path)["result"]


def configure(fleet: Fleet, stack: str, key: str, value: Any) -> None:
    path = fleet.project / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"][f"edgefleet:{key}"] = value
    path.write_text(yaml.safe_dump(document))


def up(fleet: Fleet) -> str:
    return fleet.up("edge")[0].require().output


def settled(fleet: Fleet, *options: str) -> None:
    fleet.preview("edge", "--expect-no-changes", *options).require()


def names(fleet: Fleet) -> list[str]:
    return [worker["name"] for worker in result(fleet, f"{WORKERS}/workers")]


def values(fleet: Fleet, *settings: str) -> list[str]:
    return [result(fleet, f"/zones/{ZONE}/settings/{name}")["value"] for name in settings]


def refused(fleet: Fleet, sentence: str) -> None:
    ran = fleet.preview("edge")
    assert ran.code != 0
    assert sentence in ran.output


def result_of(fleet: Fleet, method: str, ruleset: dict[str, Any], *rules: Any) -> dict[str, Any]:
    path = RULESETS if method == "POST" else f"{RULESETS}/{ruleset['id']}"
    return fleet.cloudflare(method, path, {**ruleset, "rules": rules})["result"]


def set_secret(fleet: Fleet, key: str, value: str) -> None:
    subprocess.run(
        ["pulumi", "config", "set", "--secret", key, "-s", "edge"],
        cwd=fleet.project,
        env=fleet.environment,
        input=value,
        text=True,
        check=True,
        capture_output=True,
    )


def schedules(fleet: Fleet, script: str = "edgefleet") -> list[str]:
    found = result(fleet, f"{WORKERS}/scripts/{script}/schedules")["schedules"]
    return [schedule["cron"] for schedule in found]


def drained(fleet: Fleet) -> list[str]:
    """Regions that the Worker's table spares."""
    config = bindings(fleet)["CONFIG"]["json"]
    table = json.loads(config) if isinstance(config, str) else config
    return sorted(row["name"] for row in table["regions"] if row["drain"])


def serving(fleet: Fleet, script: str = "edgefleet") -> dict[str, float]:
    """Percent of the requests by version."""
    newest = result(fleet, f"{WORKERS}/scripts/{script}/deployments")["deployments"][0]
    return {share["version_id"]: share["percentage"] for share in newest["versions"]}


def bindings(fleet: Fleet, script: str = "edgefleet") -> dict[str, dict[str, Any]]:
    found = result(fleet, f"{WORKERS}/scripts/{script}/settings")["bindings"]
    return {binding["name"]: binding for binding in found}


def test_probes_status_strict_regions_settings_and_the_waf_rule(fleet: Fleet):
    token = "s" * 40
    set_secret(fleet, "statusToken", token)
    configure(fleet, "eu", "routing", {"countries": ["DE", "FR"], "strict": True})
    zone = {"http3": False, "zeroRtt": True}
    more = {"metrics": {"dataset": "edge_site"}, "logs": {"headSamplingRate": 0.5}}
    (fleet.project / "down.html").write_text("<p>Nobody there")
    pages = {"unavailable": "down.html"}
    said = {"blockForeignWorkers": True, "zoneSettings": zone, "pages": pages, **more}
    configure(fleet, "edge", "edge", said)
    assert token not in up(fleet)
    settled(fleet)
    settled(fleet, "--refresh")
    (namespace,) = result(fleet, NAMESPACES)
    assert namespace["title"] == "edgefleet-health"
    assert bindings(fleet)["HEALTH"]["namespace_id"] == namespace["id"]
    assert bindings(fleet)["METRICS"]["dataset"] == "edge_site"
    assert bindings(fleet)["PAGE_UNAVAILABLE"]["text"] == "<p>Nobody there"
    assert bindings(fleet)["STATUS_TOKEN"]["type"] == "secret_text"
    assert schedules(fleet) == ["* * * * *"]
    (rule,) = result(fleet, ENTRYPOINT)["rules"]
    assert (rule["ref"], rule["action"]) == (REF, "block")
    assert values(fleet, "http3", "0rtt") == ["off", "on"]
    before = fleet.records("example.com")
    assert list(before.values()) == ["no-region.example.com"]
    assert list(fleet.records("no-region.example.com").values()) == ["100::"]
    (row,) = (r for r in fleet.outputs("edge")["regions"] if r["name"] == "eu")
    assert row["countries"] == ["DE", "FR"]

    configure(fleet, "eu", "routing", {"countries": ["DE", "FR"]})
    configure(fleet, "apac", "drain", True)
    configure(fleet, "edge", "edge", {"probes": False})
    up(fleet)
    settled(fleet)
    assert result(fleet, NAMESPACES) == []
    assert schedules(fleet) == []
    assert result(fleet, RULESETS) == []
    assert values(fleet, "http3", "0rtt") == ["on", "off"]
    # The same record: the host was never off the air.
    assert fleet.records("example.com") == dict.fromkeys(before, "eu.example.com")
    assert fleet.records("no-region.example.com") == {}

    drain, undrain = blocks("operations.md", "Drain a region")
    walk(fleet, drain)
    assert drained(fleet) == ["apac", "us"]
    walk(fleet, undrain)
    assert drained(fleet) == ["apac"]


def test_versions_are_deployed_gradually(fleet: Fleet):
    configure(fleet, "edge", "edge", {"deployment": {"percentage": 10}})
    up(fleet)
    assert list(serving(fleet).values()) == [100], "nothing was there before"
    (first,) = serving(fleet)
    assert schedules(fleet) == ["* * * * *"]

    configure(fleet, "us", "drain", True)
    up(fleet)
    settled(fleet)
    settled(fleet, "--refresh")
    second = next(version for version in serving(fleet) if version != first)
    assert serving(fleet) == {second: 10, first: 90}
    (worker,) = result(fleet, f"{WORKERS}/workers")
    versions = result(fleet, f"{WORKERS}/workers/{worker['id']}/versions")
    assert {version["id"] for version in versions} == {first, second}

    for percentage, share in ((0, {first: 100}), (100, {second: 100})):
        configure(fleet, "edge", "edge", {"deployment": {"percentage": percentage}})
        up(fleet)
        assert serving(fleet) == share

    # Back to the script as a whole, over another name.
    configure(fleet, "edge", "edge", {})
    ran = fleet.preview("edge")
    assert ran.code != 0
    assert "Give edge.script another name" in ran.output
    configure(fleet, "edge", "edge", {"script": "front"})
    up(fleet)
    settled(fleet)
    assert names(fleet) == ["front"]
    scripts = [route["script"] for route in result(fleet, f"/zones/{ZONE}/workers/routes")]
    assert scripts == ["front", "front"]
    assert schedules(fleet, "front") == ["* * * * *"]


def test_lost_answers_are_made_good_and_rules_of_others_left_alone(fleet: Fleet):
    options = {"blockForeignWorkers": True, "deployment": {"percentage": 100}}
    configure(fleet, "edge", "edge", options)
    theirs = {"action": "block", "expression": "true", "description": "no bots"}
    made = result_of(fleet, "POST", {"kind": "zone", "phase": PHASE, "name": "x"}, theirs)
    refused(fleet, "has custom WAF rules already ('no bots')")
    fleet.cloudflare("DELETE", f"{RULESETS}/{made['id']}")

    # The provider sends each again, and is told that it is there already.
    posts = (
        "namespaces$",
        "workers/workers$",
        "rulesets$",
        "workers/routes$",
        f"/zones/{ZONE}/dns_records$",
    )
    fleet.faulty("cloudflare", *(lost(path) for path in posts))
    for _ in posts:
        ran = fleet.up("edge")[0]
        if ran.code == 0:
            break
    assert ran.require()
    fleet.healthy()
    settled(fleet, "--refresh")
    found = left(fleet)
    assert (found["workers"], found["kv"]) == (["edgefleet"], ["edgefleet-health"])
    assert found["routes"] == ["api.example.com/*", "example.com/*"]
    assert len({record["name"] for record in found["records"]}) == len(found["records"])
    (ours,) = found["rulesets"]

    (rule,) = result(fleet, ENTRYPOINT)["rules"]
    result_of(fleet, "PUT", ours, rule, theirs)
    refused(fleet, "has rules that others made ('no bots')")
    configure(fleet, "edge", "edge", {"deployment": {"percentage": 100}})
    refused(fleet, "has rules that others made ('no bots')")
