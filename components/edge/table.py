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
    """A region as the Worker knows it; docs/edge.md says what each does."""

    name: str
    """Short and unique (us); the header x-edge-region has it."""
    host: str
    """Host name that the Worker asks, unique (us.example.com)."""
    lat: float
    """Latitude in degrees, -90 to 90."""
    lon: float
    """Longitude in degrees, -180 to 180."""
    drain: bool
    """It gets no visitors."""
    countries: NotRequired[list[str]]
    """ISO codes (US) of countries whose visitors go here first. Default: by distance."""
    continents: NotRequired[list[str]]
    """Codes (NA) of continents whose visitors go here first. Default: by distance."""
    weight: NotRequired[int]
    """Percent, 0 to 100, of the visitors for whom it comes first that it takes. Default: 100."""
    strict: NotRequired[bool]
    """Its visitors go nowhere else, and get a 503 while it fails or drains. Default: false."""


class WorkerOptions(TypedDict):
    """What the Worker is told besides its regions; what isn't given is the Worker's default, which
    stands at the head of worker/worker.js."""

    health_path: str
    """The path that a working ingress answers with 200 (/nginx-health)."""
    hedge_after_ms: NotRequired[int]
    """Milliseconds that a region may be silent before the next is asked as well, 0 to 18000; 0 is
    never. Default: 3000."""
    retry_on_5xx: NotRequired[bool]
    """502, 503 and 504 go on to the next region. Default: true."""
    retry_idempotency_key: NotRequired[bool]
    """A request with an Idempotency-Key may be sent twice. Default: false."""
    maintenance: NotRequired[bool]
    """Visitors get a page, and no region a request. Default: false."""
    maintenance_retry_after: NotRequired[int]
    """Seconds that the page tells in Retry-After. Default: 3600."""
    affinity_seconds: NotRequired[int]
    """How long a cookie keeps a visitor in his region. Default: 0, no cookie."""
    response_headers: NotRequired[str]
    """What answers say of their way: region (the header x-edge-region), server-timing (that, too)
    or none. Default: region."""
    down_ms: NotRequired[int]
    """Milliseconds that a failure holds a region back. Default: 10000."""
    default_regions: NotRequired[list[str]]
    """Names of regions, in the order used where a visitor's place isn't known. Default: all."""
    hosts: NotRequired[dict[str, dict[str, Any]]]
    """What differs for a host, by its name, in the Worker's own words."""
    outlier_detection: NotRequired[dict[str, Any]]
    """When a region that answers is left out for its errors, in the Worker's own words. Default:
    the Worker's."""


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
