"""An update that is cut off, and run again, ends where an undisturbed one ends."""

import pytest

from tests.fleet.fleet import COLD, ZONE, Fleet, answering, kill_when, lost

STACK = "apac"
HOST = "apac.example.com"


@pytest.fixture
def nothing_up(fleet: Fleet):
    """The region is not there yet, and is gone again afterwards."""
    yield fleet
    fleet.pulumi(STACK, "cancel", "--yes")
    fleet.pulumi(STACK, "state", "unprotect", "--all", "--yes")
    fleet.pulumi(STACK, "destroy", "--yes", "--skip-preview").require()
    assert fleet.clusters(f"edgefleet-{STACK}") == []
    assert fleet.records(HOST) == {}


def ends_as_undisturbed(fleet: Fleet) -> None:
    fleet.healthy()
    assert len(fleet.clusters(f"edgefleet-{STACK}")) == 1
    assert len(fleet.nodes(STACK)) == 3
    rules = [(r["ip_type"], r["port"], r["source"], r["protocol"]) for r in fleet.rules(STACK)]
    assert len(rules) == len(set(rules))
    assert sorted(rule[:2] for rule in rules if rule[2] == "cloudflare") == sorted(
        (family, port) for family in ("v4", "v6") for port in ("80", "443")
    )
    assert sorted(fleet.records(HOST).values()) == fleet.addresses(STACK)
    assert len(fleet.records(HOST)) == 6
    fleet.preview(STACK, "--expect-no-changes", "--refresh").require()


def test_the_engine_is_killed_at_one_step_after_another(
    nothing_up: Fleet, monkeypatch: pytest.MonkeyPatch
):
    fleet = nothing_up
    monkeypatch.setattr(fleet, "environment", {**fleet.environment, **COLD})
    for step in (
        ("apac-cluster", "creating"),
        ("apac-firewall-cloudflare", "creating"),
        ("apac-calico-felix", "creating"),
        ("apac-ingress-controller", "creating"),
        ("apac-dns-", "-a creating"),
    ):
        process = fleet.command(STACK, "up", "--yes", "--skip-preview")
        kill_when(process, step)
        fleet.pulumi(STACK, "cancel", "--yes").require()
    fleet.up(STACK)[0].require()
    ends_as_undisturbed(fleet)


def test_apis_that_fail_for_a_while_and_lose_answers(nothing_up: Fleet):
    """The edge's resources: tests/fleet/test_edge_stack.py."""
    fleet = nothing_up
    fleet.faulty(
        "vultr",
        lost("^/v2/kubernetes/clusters$"),
        lost("^/v2/firewalls/[^/]+/rules$"),
        answering(500, "^/v2/kubernetes/clusters", 4),
    )
    fleet.faulty(
        "cloudflare",
        lost(f"/zones/{ZONE}/dns_records"),
        answering(429, f"/zones/{ZONE}/", 12),
    )
    runs = 1
    while fleet.up(STACK)[0].code != 0:
        runs += 1
        assert runs <= 8, "three lost answers, four 500s: seven runs fail at most"
    assert runs > 1, "no answer was lost for good"
    ends_as_undisturbed(fleet)
