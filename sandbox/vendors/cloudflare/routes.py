"""The emulated Cloudflare's Worker routes."""

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import new_id, ok, refuse
from sandbox.vendors.cloudflare.state import CloudflareState, Zone
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

ROUTES = "/client/v4/zones/<zone_id>/workers/routes"
_PATTERN = re.compile(r"(?:https?://)?(\*?[a-z0-9.-]*)(?:/.*)?")


def check_route(document: Document, zone: Zone, body: dict[str, Any], own_id: str | None) -> None:
    """Refuse a route that Cloudflare would refuse."""
    pattern = str(body.get("pattern") or "")
    match = _PATTERN.fullmatch(pattern)
    host = match[1].removeprefix("*").removeprefix(".") if match else ""
    if not (host == zone["name"] or host.endswith(f".{zone['name']}")):
        raise refuse(400, 10022, "workers.api.error.invalid_route_pattern")
    for route in zone["routes"].values():
        if route["pattern"] == pattern and route["id"] != own_id:
            raise refuse(409, 10020, "A route with the same pattern already exists.")
    script = body.get("script")
    if script and script not in document.get("account", {}).get("workers", {}):
        text = (
            "Cannot configure a route for a Worker which does not exist. "
            "Please ensure this Worker exists and try again."
        )
        raise refuse(400, 10019, text)


def add_routes(api: RestApi, state: CloudflareState) -> None:
    """Add ``/zones/{id}/workers/routes``."""

    def list_routes(_: Request, zone_id: str) -> Response:
        return ok(list(state.zone(state.read(), zone_id)["routes"].values()))

    def create(request: Request, zone_id: str) -> Response:
        return keep(zone_id, new_id(), json_body(request), None)

    def get(_: Request, zone_id: str, route_id: str) -> Response:
        return ok(_find_route(state.zone(state.read(), zone_id), route_id))

    def put(request: Request, zone_id: str, route_id: str) -> Response:
        _find_route(state.zone(state.read(), zone_id), route_id)
        return keep(zone_id, route_id, json_body(request), route_id)

    def keep(zone_id: str, route_id: str, body: dict[str, Any], own: str | None) -> Response:
        with state.change() as document:
            zone = state.zone(document, zone_id)
            check_route(document, zone, body, own)
            route = {"id": route_id, "pattern": body["pattern"]}
            if body.get("script"):
                route["script"] = body["script"]
            zone["routes"][route_id] = route
        return ok(route)

    def delete(_: Request, zone_id: str, route_id: str) -> Response:
        with state.change() as document:
            zone = state.zone(document, zone_id)
            _find_route(zone, route_id)
            del zone["routes"][route_id]
        return ok({"id": route_id})

    api.add("GET", ROUTES, list_routes)
    api.add("POST", ROUTES, create)
    api.add("GET", f"{ROUTES}/<route_id>", get)
    api.add("PUT", f"{ROUTES}/<route_id>", put)
    api.add("DELETE", f"{ROUTES}/<route_id>", delete)


def _find_route(zone: Zone, route_id: str) -> dict[str, Any]:
    if route_id not in zone["routes"]:
        raise refuse(404, 10009, "workers.api.error.route_not_found")
    return zone["routes"][route_id]
