"""Three regions of the sandbox run as a site: what is published is what visitors reach, whatever
happens to it, and nobody else reaches anything."""

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from itertools import count
from typing import Any

import pytest

from components.dataplane.felix_words import fell_back
from components.firewall import cloudflare_ranges
from ops.twin.changes import Changes
from sandbox.felix.node import lacking
from sandbox.toolchain.install import default_cache
from sandbox.twin import account, chaos
from sandbox.twin.namespaces import wait
from sandbox.twin.node import Node
from sandbox.twin.run import Plan, run
from sandbox.twin.site import PLACES, Site
from tests.fleet.fleet import Fleet
from tests.twin.machine import require

THOROUGH = bool(os.environ.get("THOROUGH"))
SEED = random.Random(os.environ.get("EDGEFLEET_SEED", "0")).randrange(1 << 31)
REQUESTS, RATE = (100_000, 150.0) if THOROUGH else (3_000, 40.0)
HURT = {*chaos.NODE_KINDS, *chaos.REGION_KINDS}
BOTH = "eu"
"""The region whose nodes Calico protects, too."""
NEAREST = {"Frankfurt": "eu", "Tokyo": "apac", "New York": "us"}
OUTSIDER, OUTSIDER6 = "198.18.0.77", "2001:db8:bad::77"

World = tuple[Site, Changes]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """us, eu and apac, of two nodes each, and the edge; origins require its client certificate."""
    require()
    folder = tmp_path_factory.mktemp("twin")
    fleet = Fleet.make(folder)
    try:
        for stack in ("us", "eu", "apac"):
            fleet.change(stack, pools=[{"label": "edge", "plan": "vc2-2c-4gb", "nodes": 2}])
        changes = Changes(fleet.project, folder / "changed", fleet.environment)
        changes.require_client_certificates()
        changes.protect_twice(BOTH)
        changes.all_up()
        cidrs = cloudflare_ranges.load().cidrs
        with Site(fleet.directory, folder / "site", cidrs, SEED, print) as site:
            yield site, changes
    finally:
        fleet.stop()


def logged(nodes: list[Node]) -> dict[str, dict[str, Any]]:
    """Lines of the nodes' access logs by path."""
    texts = [node.access_log.read_text() for node in nodes]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return {line["uri"]: line for line in lines}


def test_a_visitor_is_answered_by_his_region_which_knows_his_address(world: World) -> None:
    site, _ = world
    assert len(site.nodes) == 6
    assert site.folder.stat().st_mode & 0o077 == 0, "keys are in it"
    asked: dict[str, tuple[str, str]] = {}
    for place in PLACES:
        for network in place.networks:
            source = str(ip_network(network)[7])
            path = f"/hello/{len(asked)}"
            answer = site.curl(source, "-i", f"https://example.com{path}")
            assert answer.stdout.startswith("HTTP/1.1 200 "), answer
            assert f"x-edge-region: {NEAREST[place.name]}\n" in answer.stdout.replace("\r", "")
            asked[path] = (f"edgefleet-{NEAREST[place.name]}", source)
    ours = set(map(ip_network, cloudflare_ranges.load().cidrs))
    for path, (cluster, source) in asked.items():
        line = logged(site.of(cluster))[path]
        assert (line["client"], line["client_certificate"]) == (source, "SUCCESS")
        assert any(ip_address(line["peer"]) in cidr for cidr in ours)


def test_only_cloudflare_gets_an_answer_and_on_the_web_ports_alone(world: World) -> None:
    site, _ = world
    first = [site.of(cluster)[0] for cluster in site.clusters]
    pairs = [(OUTSIDER6 if ":" in a else OUTSIDER, a) for n in first for a in n.machine.addresses]
    with ThreadPoolExecutor(2) as pool:
        swept = list(pool.map(lambda pair: site.sweep(site.outsiders, *pair), pairs))
    assert swept == [{}] * 6
    # The same question from Cloudflare is answered: it arrives.
    address = first[0].machine.addresses[0]
    found = site.sweep(site.cloudflare.here, site.cloudflare.sources[0], address)
    assert found == {80: "open", 443: "open"}


def test_felix_runs_ebpf_with_our_policies(world: World) -> None:
    site, _ = world
    if not site.felix:
        pytest.skip(f"no felix on this machine: {lacking(default_cache())}")
    for node in site.nodes:
        felix = node.dataplane
        assert felix
        assert fell_back(felix.log, felix.metrics(), felix.readiness()) is False
        found = felix.metrics()
        # Of both families, as the option has it.
        policed = node.machine.cluster == f"edgefleet-{BOTH}"
        assert gauge(found, "felix_active_local_policies") == (3 if policed else 0)


def test_where_calico_protects_too_a_node_without_ufw_is_still_shut(world: World) -> None:
    site, _ = world
    if not site.felix:
        pytest.skip(f"no felix on this machine: {lacking(default_cache())}")
    node = site.of(f"edgefleet-{BOTH}")[0]
    hold = "/var/lib/edgefleet/hold"
    node.here.run("sh", "-c", f"mkdir -p {hold[:-5]}; echo a test >{hold}; ufw disable")
    try:
        assert "inactive" in node.here.run("ufw", "status")
        for own, whence, address in zip(
            (site.cloudflare.sources[0], site.cloudflare.sources[-1]),
            (OUTSIDER, OUTSIDER6),
            node.machine.addresses,
            strict=True,
        ):
            assert site.sweep(site.outsiders, whence, address, 1024) == {}
            edge = site.sweep(site.cloudflare.here, own, address, 1024)
            assert edge == {80: "open", 443: "open"}
    finally:
        node.here.run("rm", hold)
        wait(lambda: "inactive" not in node.here.run("ufw", "status"), "ufw isn't put back")


def gauge(metrics: str, name: str) -> int:
    """A metric's value."""
    (line,) = (line for line in metrics.splitlines() if line.startswith(f"{name} "))
    return int(float(line.split()[1]))


def hurting(site: Site) -> int:
    """A seed by which both lanes begin with what visitors can meet: a slow machine gets no further
    in so few requests."""
    nodes = {cluster: len(site.of(cluster)) for cluster in site.clusters}
    kinds = [kind for kind in chaos.KINDS if site.felix or kind not in chaos.FELIX_KINDS]
    return next(
        seed
        for seed in count(SEED)
        if {next(lane).kind for lane in chaos.lanes(seed, nodes, kinds)} <= HURT
    )


def test_no_get_is_lost_and_no_post_runs_twice_while_the_site_is_hurt(world: World) -> None:
    site, changes = world
    seed = hurting(site)
    outcome = run(site, changes, Plan(seed, REQUESTS, RATE), print)
    print(account.summary(outcome))  # noqa: T201
    assert outcome.broken == [], f"seed {seed}"
    assert len(outcome.asked) == REQUESTS
    assert outcome.knocks > 1000
    kinds = {each.kind for each in outcome.happened}
    # Something was hurt, and it showed.
    assert len(kinds & HURT) >= 2
    assert any(each.attempts > 1 for each in outcome.asked)
    if THOROUGH:
        without = () if site.felix else chaos.FELIX_KINDS
        assert kinds == {*chaos.KINDS} - {*without}
