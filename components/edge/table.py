"""The Worker's region table: what may stand in it, and what follows from it."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from ..errors import OptionsError

CONFIG_BYTES = 5000
"""Cloudflare's limit for one variable of a Worker is 5 KB; this is the smaller reading of it."""
MAX_REGIONS = 20
"""A request asks every region at most twice, and the free plan allows 50 subrequests."""


class EdgeMistake(OptionsError):
    """Arguments that the Worker could not work with; the text is for a person."""


class RegionRow(TypedDict):
    """A region as the Worker knows it; `lat` and `lon` in degrees, `weight` in percent.

    docs/edge.md says what each does.
    """

    name: str
    host: str
    lat: float
    lon: float
    drain: bool
    countries: NotRequired[list[str]]
    continents: NotRequired[list[str]]
    weight: NotRequired[int]
    strict: NotRequired[bool]


class WorkerOptions(TypedDict):
    """What the Worker is told besides its regions; what isn't given is the Worker's default.

    `hosts` and `outlier_detection` are in the Worker's own words: the head of worker/worker.js.
    """

    health_path: str
    hedge_after_ms: NotRequired[int]
    retry_on_5xx: NotRequired[bool]
    retry_idempotency_key: NotRequired[bool]
    maintenance: NotRequired[bool]
    maintenance_retry_after: NotRequired[int]
    affinity_seconds: NotRequired[int]
    response_headers: NotRequired[str]
    down_ms: NotRequired[int]
    default_regions: NotRequired[list[str]]
    hosts: NotRequired[dict[str, dict[str, Any]]]
    outlier_detection: NotRequired[dict[str, Any]]


_NAMES = {
    "health_path": "healthPath",
    "hedge_after_ms": "hedgeAfterMs",
    "retry_on_5xx": "retryOn5xx",
    "retry_idempotency_key": "retryIdempotencyKey",
    "maintenance": "maintenance",
    "maintenance_retry_after": "maintenanceRetryAfter",
    "affinity_seconds": "affinitySeconds",
    "response_headers": "responseHeaders",
    "down_ms": "downMs",
    "default_regions": "defaultRegions",
    "hosts": "hosts",
    "outlier_detection": "outlierDetection",
}


def worker_config(regions: Sequence[RegionRow], options: WorkerOptions) -> str:
    """The CONFIG binding, as JSON (its contract stands at the head of worker/worker.js).

    Raises EdgeMistake where the Worker would refuse it, or Cloudflare.
    """
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise EdgeMistake(f"{len(regions)} regions: the Worker takes 1 to {MAX_REGIONS}")
    for key in ("name", "host"):
        twice = [value for value, n in Counter(row[key] for row in regions).items() if n > 1]
        if twice:
            raise EdgeMistake(f"two regions have the {key} {', '.join(twice)}: it must differ")
    # Sections are left out where they say nothing: a variable of a Worker holds 5 KB.
    settings = {_NAMES[key]: value for key, value in options.items() if value not in ({}, [])}
    _check_names("defaultRegions", options.get("default_regions", []), regions)
    _check_hosts(regions, options)
    text = json.dumps({"regions": list(regions), **settings}, sort_keys=True, separators=(",", ":"))
    if (size := len(text.encode())) > CONFIG_BYTES:
        raise EdgeMistake(
            f"the table of {len(regions)} regions takes {size} bytes, and Cloudflare holds at most "
            f"{CONFIG_BYTES} in one variable of a Worker: name continents in place of countries, "
            "or fewer countries"
        )
    return text


def _check_names(key: str, names: Sequence[str], regions: Sequence[RegionRow]) -> None:
    known = sorted(row["name"] for row in regions)
    for name in names:
        if name not in known:
            raise EdgeMistake(
                f"{key}: {name!r}: no region has this name; known are {', '.join(known)}"
            )


def _check_hosts(regions: Sequence[RegionRow], options: WorkerOptions) -> None:
    drained = {row["name"]: row["drain"] for row in regions}
    for host, said in options.get("hosts", {}).items():
        serving = said.get("regions", list(drained))
        _check_names(f"hosts.{host}.regions", serving, regions)
        if all(drained[name] for name in serving) and not in_maintenance(host, options):
            raise EdgeMistake(
                f"hosts.{host}.regions: {', '.join(serving)}: all of them drain, and nobody would "
                "serve the host. Name another region, or say `maintenance: true`"
            )


def in_maintenance(host: str, options: WorkerOptions) -> bool:
    """Whether the Worker answers this host itself, and no region."""
    said = options.get("hosts", {}).get(host, {}).get("maintenance")
    return options.get("maintenance", False) if said is None else said


def fallback_region(regions: Sequence[RegionRow], *, closed: bool = False) -> RegionRow | None:
    """Where a site's host points when the Worker is bypassed: of the regions in rotation the
    first with the highest weight, so that no canary gets all visitors.

    None where a region is strict: whoever passes the Worker by would reach one region, wherever he
    comes from. Where every region drains None, too, if all hosts are `closed` for maintenance; else
    raises EdgeMistake.
    """
    if any(row.get("strict") for row in regions):
        return None
    serving = [row for row in regions if not row["drain"]]
    if not serving and closed:
        return None
    if not serving:
        raise EdgeMistake("every region drains, and the site's hosts would point nowhere")
    return max(serving, key=lambda row: row.get("weight", 100))
