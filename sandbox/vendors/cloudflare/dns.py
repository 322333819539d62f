"""The emulated Cloudflare's DNS records."""

import ipaddress
import re
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import new_id, ok, page, refuse
from sandbox.vendors.cloudflare.state import CloudflareState, Zone
from sandbox.vendors.cloudflare.zones import RANGES
from sandbox.vendors.rest import RestApi, json_body

Record = dict[str, Any]

RECORDS = "/client/v4/zones/<zone_id>/dns_records"
MAX_COMMENT = 100
_PROXIABLE = ("A", "AAAA", "CNAME")
_TYPES = (*_PROXIABLE, "TXT", "MX", "NS", "CAA")
_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")
_FILTERED = ("name", "type", "content", "comment")


def new_record(zone: Zone, body: dict[str, Any]) -> Record:
    """A record as the API keeps it, without id and dates; refused where the API refuses.

    Names are made lower-case and completed with the zone's, AAAA addresses compressed
    (docs/facts/real-providers.md, Cloudflare 1; docs/facts/cloudflare.md §1).
    """
    kind = str(body.get("type", "")).upper()
    if kind not in _TYPES:
        raise refuse(400, 1004, "DNS Validation Error", {9001: f"Invalid type: {kind}"})
    name = _full_name(zone, str(body.get("name") or ""))
    content = _content(kind, body.get("content"))
    proxied = body.get("proxied") or False
    if not isinstance(proxied, bool):
        raise refuse(
            400, 1004, "DNS Validation Error", {9003: "Invalid 'proxied' value, must be a boolean"}
        )
    ttl = body.get("ttl", 1)
    if proxied:
        _check_proxied(kind, content, ttl)
    if not isinstance(ttl, int | float) or (ttl != 1 and not 60 <= ttl <= 86400):
        text = "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."
        raise refuse(400, 9021, text)
    comment = body.get("comment") or None
    if comment is not None and len(comment) > MAX_COMMENT:
        text = f"DNS record comment exceeds the maximum length of {MAX_COMMENT} characters."
        raise refuse(400, 9313, text)
    if body.get("tags"):
        raise refuse(400, 9300, "DNS record has 1 tags, exceeding the quota of 0.")
    record: Record = {
        "name": name,
        "type": kind,
        "content": content,
        "proxiable": kind in _PROXIABLE and _is_proxiable(kind, content),
        "proxied": proxied,
        "ttl": int(ttl),
        "settings": {},
        "meta": {},
        "comment": comment,
        "tags": [],
    }
    if kind == "MX":
        record["priority"] = body.get("priority", 10)
    return record


def check_conflicts(zone: Zone, record: Record, own_id: str | None) -> None:
    """Refuse a record that exists already, or that can't stand beside another of its name."""
    for other in zone["records"].values():
        if other["id"] == own_id or other["name"] != record["name"]:
            continue
        if (other["type"], other["content"]) == (record["type"], record["content"]):
            raise refuse(400, 81058, "An identical record already exists.")
        kinds = {other["type"], record["type"]}
        if "CNAME" in kinds and kinds <= set(_PROXIABLE):
            text = "An A, AAAA, or CNAME record with that host already exists."
            raise refuse(400, 81053, text)


def _full_name(zone: Zone, name: str) -> str:
    name = name.lower().rstrip(".")
    if name in ("", "@"):
        name = zone["name"]
    if name != zone["name"] and not name.endswith(f".{zone['name']}"):
        name = f"{name}.{zone['name']}"
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise refuse(400, 9000, "DNS name is invalid.")
    return name


def _content(kind: str, content: Any) -> str:
    if not isinstance(content, str) or not content:
        raise refuse(400, 1004, "DNS Validation Error", {9002: "Content is required"})
    try:
        if kind == "A":
            return str(ipaddress.IPv4Address(content))
        if kind == "AAAA":
            return ipaddress.IPv6Address(content).compressed
    except ValueError:
        version, code = ("4", 9005) if kind == "A" else ("6", 9006)
        text = f"Content for {kind} record must be a valid IPv{version} address."
        raise refuse(400, code, text) from None
    if kind in ("CNAME", "NS", "MX"):
        target = content.lower().rstrip(".")
        if not _NAME.fullmatch(target):
            raise refuse(400, 9007, f"Content for {kind} record is invalid.")
        return target
    return content


def _check_proxied(kind: str, content: str, ttl: Any) -> None:
    if kind not in _PROXIABLE:
        text = "This kind of record cannot be proxied"
        raise refuse(400, 1004, "DNS Validation Error", {9004: text})
    if not _is_proxiable(kind, content):
        raise refuse(400, 9003, f"Target {content} is not allowed for a proxied record.")
    if ttl != 1:
        raise refuse(400, 9021, "Invalid TTL. Must be 1 (Automatic) for a proxied record.")


def _is_proxiable(kind: str, content: str) -> bool:
    """Cloudflare's own addresses and private ones can't be proxied; those for documentation
    can: its docs use 192.0.2.1 and 100:: where no origin is wanted."""
    if kind == "CNAME":
        return True
    address = ipaddress.ip_address(content)
    documentation = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "100::/64")
    if any(address in ipaddress.ip_network(cidr) for cidr in documentation):
        return True
    if any(address in cidr for cidr in RANGES):
        return False
    return address.is_global and not address.is_multicast


def add_dns(api: RestApi, state: CloudflareState) -> None:
    """Add ``/zones/{id}/dns_records``, and the same under ``/_sandbox``: what the zone's own name
    servers know, for who looks often and calls no API."""

    def list_records(request: Request, zone_id: str) -> Response:
        records = state.zone(state.read(), zone_id)["records"].values()
        return page(request, [r for r in records if _wanted(r, request.args)], per_page=100)

    def create(request: Request, zone_id: str) -> Response:
        body = json_body(request)
        with state.change() as document:
            zone = state.zone(document, zone_id)
            record = {"id": new_id(), **new_record(zone, body)}
            check_conflicts(zone, record, None)
            record["created_on"] = record["modified_on"] = state.date()
            zone["records"][record["id"]] = record
        return ok(record)

    def get(_: Request, zone_id: str, record_id: str) -> Response:
        return ok(_find(state.zone(state.read(), zone_id), record_id))

    def put(request: Request, zone_id: str, record_id: str) -> Response:
        return update(zone_id, record_id, {}, json_body(request))

    def patch(request: Request, zone_id: str, record_id: str) -> Response:
        before = _find(state.zone(state.read(), zone_id), record_id)
        return update(zone_id, record_id, before, json_body(request))

    def update(zone_id: str, record_id: str, base: Record, body: dict[str, Any]) -> Response:
        with state.change() as document:
            zone = state.zone(document, zone_id)
            before = _find(zone, record_id)
            record = {"id": record_id, **new_record(zone, {**base, **body})}
            check_conflicts(zone, record, record_id)
            record["created_on"] = before["created_on"]
            record["modified_on"] = state.date()
            zone["records"][record_id] = record
        return ok(record)

    def delete(_: Request, zone_id: str, record_id: str) -> Response:
        with state.change() as document:
            zone = state.zone(document, zone_id)
            _find(zone, record_id)
            del zone["records"][record_id]
        return ok({"id": record_id})

    api.add("GET", RECORDS, list_records)
    api.add("GET", "/_sandbox/zones/<zone_id>/dns_records", list_records)
    api.add("POST", RECORDS, create)
    api.add("GET", f"{RECORDS}/<record_id>", get)
    api.add("PUT", f"{RECORDS}/<record_id>", put)
    api.add("PATCH", f"{RECORDS}/<record_id>", patch)
    api.add("DELETE", f"{RECORDS}/<record_id>", delete)


def _find(zone: Zone, record_id: str) -> Record:
    if record_id not in zone["records"]:
        raise refuse(404, 81044, "Record does not exist.")
    return zone["records"][record_id]


def _wanted(record: Record, arguments: Any) -> bool:
    tests = {
        "": lambda value, wanted: value == wanted,
        ".exact": lambda value, wanted: value == wanted,
        ".contains": lambda value, wanted: wanted in value,
        ".startswith": lambda value, wanted: value.startswith(wanted),
        ".endswith": lambda value, wanted: value.endswith(wanted),
    }
    results = [
        test((record[name] or "").lower(), arguments[name + suffix].lower())
        for name in _FILTERED
        for suffix, test in tests.items()
        if arguments.get(name + suffix)
    ]
    if "proxied" in arguments:
        results.append(record["proxied"] == (arguments["proxied"] == "true"))
    if "comment.present" in arguments:
        results.append(bool(record["comment"]))
    if "comment.absent" in arguments:
        results.append(not record["comment"])
    return any(results) if arguments.get("match") == "any" and results else all(results)
