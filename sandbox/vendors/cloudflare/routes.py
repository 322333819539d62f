"""The emulated Cloudflare's Worker routes and custom domains."""

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import new_id, ok, refuse, stable_id
from sandbox.vendors.cloudflare.state import CloudflareState, Zone, zone_of
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

ROUTES = "/client/v4/zones/<zone_id>/workers/routes"
DOMAINS = "/client/v4/accounts/<account_id>/workers/domains"
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
    """Add ``/zones/{id}/workers/routes`` and ``/accounts/{id}/workers/domains``."""

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

    def list_domains(request: Request, account_id: str) -> Response:
        domains = state.account(state.read(), account_id).get("domains", {}).values()
        hostname = request.args.get("hostname")
        return ok([d for d in domains if hostname in (None, d["hostname"])])

    def put_domain(request: Request, account_id: str) -> Response:
        body = json_body(request)
        with state.change() as document:
            account = state.account(document, account_id)
            zone = zone_of(document, str(body.get("hostname", "")))
            if zone is None:
                raise refuse(400, 100114, "The hostname is not in a zone of this account")
            if body.get("service") not in account.get("workers", {}):
                raise refuse(404, 10007, "This Worker does not exist on your account.")
            # One id a host name, so that a changed service keeps it (docs/facts/real-providers.md,
            # Cloudflare 3: the provider then deletes that id).
            domain = {
                "id": stable_id(f"domain {body['hostname']}"),
                "hostname": body["hostname"],
                "service": body["service"],
                "environment": body.get("environment") or "production",
                "zone_id": zone["id"],
                "zone_name": zone["name"],
                "cert_id": "00000000-0000-4000-8000-000000000000",
            }
            account.setdefault("domains", {})[domain["id"]] = domain
        return ok(domain)

    def get_domain(_: Request, account_id: str, domain_id: str) -> Response:
        return ok(_find_domain(state.account(state.read(), account_id), domain_id))

    def delete_domain(_: Request, account_id: str, domain_id: str) -> Response:
        with state.change() as document:
            account = state.account(document, account_id)
            _find_domain(account, domain_id)
            del account["domains"][domain_id]
        return ok(None)

    api.add("GET", ROUTES, list_routes)
    api.add("POST", ROUTES, create)
    api.add("GET", f"{ROUTES}/<route_id>", get)
    api.add("PUT", f"{ROUTES}/<route_id>", put)
    api.add("DELETE", f"{ROUTES}/<route_id>", delete)
    api.add("GET", DOMAINS, list_domains)
    api.add("PUT", DOMAINS, put_domain)
    api.add("GET", f"{DOMAINS}/<domain_id>", get_domain)
    api.add("DELETE", f"{DOMAINS}/<domain_id>", delete_domain)


def _find_route(zone: Zone, route_id: str) -> dict[str, Any]:
    if route_id not in zone["routes"]:
        raise refuse(404, 10009, "workers.api.error.route_not_found")
    return zone["routes"][route_id]


def _find_domain(account: Document, domain_id: str) -> dict[str, Any]:
    if domain_id not in account.get("domains", {}):
        raise refuse(404, 100114, "Custom domain not found")
    return account["domains"][domain_id]
