"""What Cloudflare holds: the records of a name, and the Worker with what belongs to it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from components.errors import CloudflareError
from components.json_object import Json, is_object, object_at, objects_at
from components.vendors.cloudflare import CloudflareApi
from ops.live.facts import EdgeFacts, Record, Route, Verdict

_VERDICTS = "regions"
"""The key that the Worker keeps them under; components/edge/worker/probe.js."""


def read_records(cloudflare: CloudflareApi, zone_id: str, name: str) -> tuple[Record, ...]:
    """Raises CloudflareError."""
    return tuple(
        Record(
            id=str(found["id"]),
            name=str(found["name"]),
            type=str(found["type"]),
            content=str(found["content"]),
            proxied=bool(found.get("proxied")),
            comment=str(found.get("comment") or ""),
        )
        for found in cloudflare.dns_records(zone_id, name)
    )


def read_edge(
    cloudflare: CloudflareApi, zone_id: str, account_id: str, script: str, main_module: str
) -> EdgeFacts:
    """Raises CloudflareError."""
    routes = tuple(
        Route(str(r.get("id", "")), str(r["pattern"]), str(r.get("script") or ""))
        for r in cloudflare.worker_routes(zone_id)
    )
    pulls = cloudflare.of_zone("GET", zone_id, "origin_tls_client_auth/settings")
    ends: list[datetime] = []
    if pulls.get("enabled"):
        shown: Any = cloudflare.of_zone("GET", zone_id, "origin_tls_client_auth")
        ends = [_date(str(each["expires_on"])) for each in shown]
    facts = EdgeFacts(routes, pulls=bool(pulls.get("enabled")), pulls_end=tuple(sorted(ends)))
    try:
        settings = cloudflare.worker_settings(account_id, script)
    except CloudflareError as error:
        if error.status == 404:
            return facts
        raise
    bindings = {str(each["name"]): each for each in objects_at(settings, "bindings")}
    modules = cloudflare.worker_modules(account_id, script)
    main = modules.get(main_module, b"")
    return EdgeFacts(
        routes,
        sha256=sha256(main).hexdigest(),
        config=_config(bindings.get("CONFIG", {})),
        bindings=tuple(sorted(bindings)),
        schedules=tuple(cloudflare.worker_schedules(account_id, script)),
        verdicts=_verdicts(cloudflare, account_id, bindings.get("HEALTH", {})),
        pulls=facts.pulls,
        pulls_end=facts.pulls_end,
    )


def verdicts(text: str | None) -> dict[str, Verdict]:
    """What the Worker's probe wrote; nothing where it can't be read, as the Worker takes it."""
    try:
        record: object = json.loads(text or "{}")
    except ValueError:
        return {}
    if not is_object(record):
        return {}
    return {
        str(region): Verdict(
            up=bool(said.get("up")),
            confirmed=_date(str(said.get("confirmed") or said.get("since") or "1970-01-01")),
            detail=str(said.get("detail", "")),
        )
        for region, said in record.items()
        if is_object(said)
    }


def _verdicts(
    cloudflare: CloudflareApi, account_id: str, binding: Mapping[str, Any]
) -> dict[str, Verdict]:
    if not (namespace := binding.get("namespace_id")):
        return {}
    return verdicts(cloudflare.kv_value(account_id, str(namespace), _VERDICTS))


def _config(binding: Mapping[str, Any]) -> str:
    """The table, as text however Cloudflare shows it."""
    found = binding.get("json")
    if found is None or isinstance(found, str):
        return found or str(binding.get("text") or "")
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def _date(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def answers(body: Json, kind: str) -> tuple[str, ...]:
    """Addresses in an answer of DNS over HTTPS, in its JSON form."""
    number = {"A": 1, "AAAA": 28}[kind]
    found = objects_at(object_at({"answer": body}, "answer"), "Answer")
    return tuple(str(each["data"]) for each in found if each.get("type") == number)
