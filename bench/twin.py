"""The whole path with real packets: what it adds to nginx alone, and what faults cost visitors.

Needs root and Linux: sandbox/README.md, "The twin". Takes about five minutes. No distances: packets
take no time between namespaces, so what is added is what the programs take.
"""

import statistics
import subprocess
import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from bench.report import entry
from components.firewall import cloudflare_ranges
from ops.twin.changes import Changes
from sandbox.twin import run as visits
from sandbox.twin.account import AFFECTED_MS, Outcome
from sandbox.twin.chaos import NODE_KINDS, REGION_KINDS
from sandbox.twin.site import PLACES, Site
from tests.fleet.fleet import Fleet

SEED, REQUESTS, RATE = 20, 10_000, 50.0
ASKED, WARM_UP = 600, 100
# A Worker that hears nothing asks another region after so long: docs/edge.md, hedgeAfterMs.
HEDGE_SECONDS = 3.0


def run_twin() -> tuple[float, float, Outcome]:
    """Median milliseconds by the whole path and of nginx alone, and a run."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as text:
        folder = Path(text)
        fleet = Fleet.make(folder)
        try:
            changes = Changes(fleet.project, folder / "changed", fleet.environment)
            changes.require_client_certificates()
            changes.protect_twice(changes.regions[0])
            changes.all_up()
            ranges = cloudflare_ranges.load().cidrs
            with Site(fleet.directory, folder / "site", ranges, SEED, print) as site:
                whole, alone = latencies(site)
                plan = visits.Plan(SEED, REQUESTS, RATE, (*NODE_KINDS, *REGION_KINDS))
                return whole, alone, visits.run(site, None, plan, print)
        finally:
            fleet.stop()


def latencies(site: Site) -> tuple[float, float]:
    """By one connection each, in turns: whatever else the machine does hits both alike."""
    place = PLACES[0]
    host = min(site.published.visited, key=len)
    visit = site.curl_command(str(ip_network(place.networks[0])[7]))
    region = f"eu.{site.published.zone.name}"
    address = next(a for a in site.published.zone.addresses[region] if ":" not in a)
    client = site.folder / "client.pem"
    client.write_text("".join(site.published.zone.client or ()))
    origin = site.cloudflare.here.command(
        "curl", "-sSk", "--interface", site.cloudflare.sources[0], "--cert", str(client),
        "--resolve", f"{host}:443:{address}", files=False,
    )  # fmt: skip
    rounds = [[_median(each, f"https://{host}/") for each in (visit, origin)] for _ in range(5)]
    whole, alone = zip(*rounds, strict=True)
    return statistics.median(whole), statistics.median(alone)


def _median(command: list[str], url: str) -> float:
    urls = [word for _ in range(ASKED) for word in ("-o", "/dev/null", url)]
    done = subprocess.run(
        [*command, "-w", "%{time_starttransfer} %{http_code}\\n", *urls],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {status for _, status in rows} == {"200"}
    return 1000 * statistics.median(float(seconds) for seconds, _ in rows[WARM_UP:])


def run() -> list[dict[str, Any]]:
    """Figures in milliseconds, requests and seconds."""
    whole, alone, outcome = run_twin()
    assert outcome.broken == []
    gets = sum(each.method == "GET" for each in outcome.asked)
    posts = len(outcome.asked) - gets
    lasted = [outcome.until_unaffected(each) for each in outcome.happened]
    slow = sum(each.ms >= AFFECTED_MS for each in outcome.asked)
    return [
        entry("twin: the whole path beside nginx alone, median", whole, alone, "ms"),
        entry("twin: GETs lost, of those sent while nodes and regions fail",
              len(outcome.lost), gets, "requests"),
        entry("twin: POSTs that failed, once each, of those sent",
              len(outcome.refused), posts, "requests"),
        entry("twin: requests slower than a second, of all", slow, len(outcome.asked), "requests"),
        entry("twin: from a fault to the last request that shows it, median, beside the hedge",
              statistics.median(lasted), HEDGE_SECONDS),
        entry("twin: the same, the longest", max(lasted), HEDGE_SECONDS),
    ]  # fmt: skip
