"""The edge: the Worker, its table, its routes and its probes; then what visitors get."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from components.edge.router import EVERY_MINUTE
from components.json_object import objects_at
from ops.doctor.finding import Blind, Finding, Note, Told, some
from ops.doctor.rungs.edge_regions import through_worker
from ops.expected import EdgeExpected
from ops.live.asking import Unasked
from ops.live.facts import EdgeFacts
from ops.live.seen import EdgeSeen
from ops.live.status_page import EdgeStatus

HOLDS = timedelta(hours=1)
"""How long the Worker believes a verdict that nobody confirms; worker/region_health.js."""
WARN_DAYS = 30


def of_edge(seen: EdgeSeen, now: datetime) -> Iterator[Told]:
    """Without a Worker nothing else of it can be right."""
    expected, facts = seen.expected, seen.facts
    if isinstance(facts, Unasked):
        yield Blind("Cloudflare", expected.stack, facts.cause)
        return
    if not facts.sha256:
        yield _finding(
            seen,
            "worker-missing",
            expected.script,
            f"the account has no Worker {expected.script}",
            "The routes lead nowhere: visitors go to one region, or to none.",
            f"pulumi up --refresh -s {expected.stack}",
        )
        return
    yield from _script(seen, facts)
    yield from _routes(seen, facts)
    yield from _probes(seen, facts, now)
    yield from _pulls(seen, facts, now)
    yield from through_worker(seen)
    yield from _visitors(seen)


def _script(seen: EdgeSeen, facts: EdgeFacts) -> Iterator[Finding]:
    expected = seen.expected
    if expected.sha256 and facts.sha256 != expected.sha256:
        yield _finding(
            seen,
            "worker-old",
            expected.script,
            f"script {facts.sha256[:12]}…; this checkout has {expected.sha256[:12]}…",
            "Another Worker serves: an `up` is due, or somebody edited it in the dashboard.",
            f"pulumi up --refresh -s {expected.stack}",
        )
    if told := table_differs(expected.config, facts.config):
        yield _finding(
            seen,
            "table-old",
            expected.script,
            told,
            "The Worker sends visitors by another table than the files say.",
            f"pulumi up --refresh -s {expected.stack}",
        )


def table_differs(wanted: str, found: str) -> str:
    """What of the Worker's table differs, in words; "" where nothing does."""
    ours, theirs = _object(wanted), _object(found)
    if ours == theirs:
        return ""
    if theirs is None:
        return "it has no table that can be read"
    mine = {row["name"]: row for row in objects_at(ours, "regions")}
    other = {row["name"]: row for row in objects_at(theirs, "regions")}
    told = [f"lacks region {name}" for name in sorted(mine.keys() - other.keys())]
    told += [f"has region {name}" for name in sorted(other.keys() - mine.keys())]
    told += [
        f"{name}: {told}"
        for name in sorted(mine.keys() & other.keys())
        for told in _fields(mine[name], other[name])
    ]
    told += _fields({**(ours or {}), "regions": None}, {**theirs, "regions": None})
    return some(told) or "its regions are in another order"


def _fields(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {json.dumps(theirs.get(key))}, not {json.dumps(ours.get(key))}"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _routes(seen: EdgeSeen, facts: EdgeFacts) -> Iterator[Told]:
    expected, by_pattern = seen.expected, {r.pattern: r.script for r in facts.routes}
    for host in expected.hosts:
        script = by_pattern.get(f"{host}/*")
        if script == expected.script:
            continue
        came = (
            f"there is no route {host}/*"
            if script is None
            else f"route {host}/* leads to {script or 'no Worker'}"
        )
        yield _finding(
            seen,
            "route-missing",
            host,
            came,
            "Visitors of this host pass the Worker by: all go to the one region that the host's "
            "record names, whether it lives or not.",
            f"pulumi up --refresh -s {expected.stack}",
        )
    beside = [
        f"{r.pattern} ({r.script or 'no Worker'})"
        for r in facts.routes
        if r.script != expected.script
        and r.pattern not in {f"{host}/*" for host in expected.hosts}
        and r.pattern.removeprefix("https://").partition("/")[0] in expected.hosts
    ]
    if beside:
        yield Note("edge", expected.stack, f"routes of others on our hosts: {some(beside)}")


def _probes(seen: EdgeSeen, facts: EdgeFacts, now: datetime) -> Iterator[Finding]:
    expected = seen.expected
    up = f"pulumi up --refresh -s {expected.stack}"
    if not expected.probes:
        return
    if "HEALTH" not in facts.bindings or not facts.schedules:
        bound = "HEALTH" in facts.bindings
        came = "no schedule" if bound else "no binding HEALTH"
        means = "Nobody probes the regions: what visitors meet decides alone, later."
        # Cloudflare's provider doesn't notice lost ones (docs/facts/real-providers.md).
        do = _schedule(expected) if bound else up
        yield _finding(seen, "probes-off", expected.script, f"the Worker has {came}", means, do)
        return
    read = [page for page in seen.status.values() if not isinstance(page, Unasked)]
    for region in expected.regions:
        verdict = facts.verdicts.get(region)
        if down := _down_now(read, region):
            yield _down(seen, region, f"found {region} down just now: {some(down)}")
            continue
        if verdict is None or verdict.up:
            continue
        if now - verdict.confirmed > HOLDS:
            yield _finding(
                seen,
                "verdict-stale",
                region,
                f"{region} was down ({verdict.detail}), last confirmed "
                f"{verdict.confirmed:%Y-%m-%d %H:%M}",
                "The Worker no longer believes it, and nobody writes a new one: its cron stopped.",
                f"look at the Worker's cron events in the dashboard, then {up}",
            )
        else:
            yield _down(seen, region, f"found {region} down: {verdict.detail}")


def _schedule(expected: EdgeExpected) -> str:
    where = f"accounts/{expected.account_id}/workers/scripts/{expected.script}/schedules"
    return (
        f"curl -X PUT https://api.cloudflare.com/client/v4/{where} "
        '-H "Authorization: Bearer $CLOUDFLARE_API_TOKEN" -H "Content-Type: application/json" '
        f"-d '{json.dumps([{'cron': EVERY_MINUTE}])}'"
    )


def _down_now(read: Iterable[EdgeStatus], region: str) -> list[str]:
    found = [(page.place, page.regions[region]) for page in read if region in page.regions]
    return [f"{told.detail} (at {place or 'one place'})" for place, told in found if not told.up]


def _down(seen: EdgeSeen, region: str, came: str) -> Finding:
    expected = seen.expected
    return _finding(
        seen,
        "region-down",
        region,
        f"the Worker's probe {came}",
        "Visitors are sent to other regions.",
        f"curl -sSI https://{_host(expected.config, region)}{expected.health_path}",
        symptom=True,
    )


def _host(config: str, region: str) -> str:
    rows = objects_at(_object(config), "regions")
    return next((str(row["host"]) for row in rows if row["name"] == region), "")


def _pulls(seen: EdgeSeen, facts: EdgeFacts, now: datetime) -> Iterator[Finding]:
    expected, up = seen.expected, f"pulumi up --refresh -s {seen.expected.stack}"
    if expected.pulls == "off":
        return
    subject = "Authenticated Origin Pulls"
    if not facts.pulls or not facts.pulls_end:
        came = "they are off" if not facts.pulls else "no certificate was uploaded"
        means = "Cloudflare shows origins no client certificate: what requires one refuses all."
        yield _finding(seen, "pulls-off", subject, came, means, up)
        return
    end = facts.pulls_end[-1]
    left = (end - now).days
    if left < WARN_DAYS:
        yield _finding(
            seen,
            "pulls-ending",
            subject,
            f"the client certificate ends on {end:%Y-%m-%d}",
            "Then origins that require one refuse every visitor.",
            up,
        )


def _visitors(seen: EdgeSeen) -> Iterator[Told]:
    expected = seen.expected
    for host, answer in seen.web.items():
        if isinstance(answer, Unasked):
            yield Note("edge", expected.stack, f"what visitors get: {answer.cause}")
        elif answer.status >= 500 and not expected.maintenance:
            yield _finding(
                seen,
                "host-failing",
                host,
                f"https://{host}/ answered {answer.status}",
                "The regions are well by all that was asked: it is the application, or the way "
                "from the Worker to it.",
                f"curl -sSI https://{host}/; docs/edge.md, When a region fails",
                symptom=True,
            )


def _finding(
    seen: EdgeSeen,
    fault: str,
    subject: str,
    came: str,
    means: str,
    do: str,
    *,
    symptom: bool = False,
) -> Finding:
    asked = f"Worker {seen.expected.script}, its routes, schedule and verdicts at Cloudflare"
    return Finding("edge", fault, seen.expected.stack, subject, asked, came, means, do, symptom)
