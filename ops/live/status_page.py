"""The Worker's own word on each region: its status page, which nobody opens without the token.

A visitor can't say which region he wants: a header or a cookie that did would let him past drains,
weights and strict regions. The status page asks all of them, from where the Worker runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import requests

from components.json_object import object_at, objects_at
from components.vendors.causes import why
from ops.live.outside import NotSeen

PATH = "/.edge/status"
_TIMEOUT = (4, 15)
"""The Worker asks each region for 5 s at most, and twice where that fails."""


@dataclass(frozen=True)
class RegionStatus:
    """A region as the Worker sees it: its probe of just now, and hosts whose application there it
    leaves alone (`ejected for 25 s`, by host)."""

    up: bool
    detail: str
    ejected: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class EdgeStatus:
    """`place` is the data centre that it was asked in, "" where it doesn't say."""

    place: str
    regions: Mapping[str, RegionStatus]


def read_status(host: str, token: str) -> EdgeStatus:
    """Ask one of the site's hosts. Raises NotSeen."""
    url = f"https://{host}{PATH}"
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    try:
        answer = requests.get(url, headers=headers, timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise NotSeen(f"{url}: {why(error)}") from None
    if answer.status_code == 401:
        raise NotSeen(f"{url}: another statusToken than the stack file's is deployed (401)")
    if answer.status_code != 200:
        raise NotSeen(f"{url}: status {answer.status_code}: no Worker of ours answers there")
    return status(answer.json())


def status(page: object) -> EdgeStatus:
    """The page's JSON in our words."""
    told = object_at({"page": page}, "page")
    regions: dict[str, RegionStatus] = {}
    for region in objects_at(told, "regions"):
        probe, applications = object_at(region, "probe"), object_at(region, "applications")
        regions[str(region["name"])] = RegionStatus(
            up=bool(probe.get("up")),
            detail=str(probe.get("detail", "no probe")),
            ejected={
                str(host): str(said)
                for host, said in applications.items()
                if str(said).startswith("ejected")
            },
        )
    return EdgeStatus(str(told.get("colo") or ""), regions)
