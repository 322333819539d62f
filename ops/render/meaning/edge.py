"""What a change of the Worker's table does to visitors."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from components.json_object import object_at, objects_at
from infra.state.resource_types import RECORD
from ops.render.resources import UNKNOWN, Rendering


def routing(before: Rendering, after: Rendering) -> Iterator[str]:
    """Regions that get visitors or lose them, and what is left to a host's."""
    was, now = _table(before), _table(after)
    if was is None or now is None:
        return
    old, new = _regions(was), _regions(now)
    serving = [name for name, row in new.items() if not row.get("drain")]
    for name in sorted(old.keys() | new.keys()):
        lost = name in old and not old[name].get("drain") and name not in serving
        come = name in serving and (name not in old or old[name].get("drain"))
        row = old.get(name, {})
        if lost:
            how = "is drained" if name in new else "leaves the Worker's table"
            yield f"{name} {how}: {_where(row, name in new, serving)}"
        elif come and name in old:
            yield f"{name} is undrained: it gets visitors again"
        elif come:
            yield (
                f"{name} gets visitors as soon as this is up: bring its own stack up before, or "
                "they find nothing there until the Worker notices"
            )
    yield from _last(was, now, _hosts(before), _hosts(after))
    yield from _bypass(before, after)


def _bypass(before: Rendering, after: Rendering) -> Iterator[str]:
    """Where the hosts' records lead, which nobody follows who is answered by the Worker."""
    was, now = _contents(before), _contents(after)
    moved: dict[tuple[str, str], list[str]] = {}
    for host in sorted(was.keys() & now.keys()):
        if was[host] != now[host]:
            moved.setdefault((was[host], now[host]), []).append(host)
    for (old, new), hosts in moved.items():
        yield (
            f"The records of {', '.join(hosts)} lead to {new}, no longer to {old}: that is only "
            "for requests that pass the Worker by"
        )


def _contents(rendering: Rendering) -> dict[str, str]:
    records = [each.inputs for each in rendering.resources if each.type == RECORD]
    return {
        str(record["name"]): str(record["content"])
        for record in records
        if record.get("type") == "CNAME" and record.get("content") not in (None, UNKNOWN)
    }


def open_regions(stacks: Mapping[str, Rendering]) -> frozenset[str]:
    """Regions that Workers send visitors to."""
    tables = [table for each in stacks.values() if (table := _table(each))]
    return frozenset(
        name for table in tables for name, row in _regions(table).items() if not row.get("drain")
    )


def _where(row: Mapping[str, Any], known: bool, serving: list[str]) -> str:
    if row.get("strict") and known:
        return (
            "as it is strict, its visitors go only to a strict region that they also belong to, "
            "else they get 503"
        )
    return f"its visitors go to {', '.join(serving)}" if serving else "its visitors get no region"


def _last(
    was: Mapping[str, Any], now: Mapping[str, Any], old: list[str], new: list[str]
) -> Iterator[str]:
    """Hosts that one region is left for."""
    alone: dict[str, list[str]] = {}
    for host in new:
        before = _serving(was, host) if host in old else []
        left = _serving(now, host)
        if len(left) == 1 and left != before and before:
            alone.setdefault(left[0], []).append(host)
    for region, hosts in alone.items():
        yield (
            f"{region} is the only region left for {', '.join(hosts)}: while it fails, visitors "
            "get an error page"
        )


def _serving(table: Mapping[str, Any], host: str) -> list[str]:
    said = object_at(table, "hosts", host)
    closed = said.get("maintenance", table.get("maintenance", False))
    allowed = said.get("regions")
    return [
        name
        for name, row in _regions(table).items()
        if not closed and not row.get("drain") and (allowed is None or name in allowed)
    ]


def _regions(table: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(row["name"]): row for row in objects_at(table, "regions")}


def _hosts(rendering: Rendering) -> list[str]:
    return [str(host) for host in rendering.outputs.get("hosts") or []]


def _table(rendering: Rendering) -> Mapping[str, Any] | None:
    for each in rendering.resources:
        for binding in each.inputs.get("bindings") or []:
            if binding.get("name") == "CONFIG":
                return json.loads(binding["json"])
    return None
