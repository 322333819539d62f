"""The emulated Cloudflare's zones, their settings, the token, and Cloudflare's addresses."""

import ipaddress
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import ok, page, refuse
from sandbox.vendors.cloudflare.state import ACCOUNT_ID, CloudflareState, Zone, add_zone, zones
from sandbox.vendors.rest import RestApi, json_body

# As of 2026-08-11 (docs/facts/cloudflare.md §3).
IPV4 = [
    "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18",
    "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22",
    "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13",
    "131.0.72.0/22",
]  # fmt: skip
IPV6 = [
    "2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32",
    "2a06:98c0::/29", "2c0f:f248::/32",
]  # fmt: skip
LISTS = {"/ips-v4": IPV4, "/ips-v6": IPV6}
"""The same as texts, at LISTS_HOST."""
LISTS_HOST = "www.cloudflare.com"
ETAG = "38f79d050aa027e3be3865e495dcc9bc"
RANGES = [ipaddress.ip_network(cidr) for cidr in IPV4 + IPV6]

_SWITCH = ("on", "off")
# Setting → what it is at first, and what is allowed.
SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ssl": ("full", ("off", "flexible", "full", "strict", "origin_pull")),
    "min_tls_version": ("1.0", ("1.0", "1.1", "1.2", "1.3")),
    "tls_1_3": ("on", ("on", "off", "zrt")),
    "security_level": ("medium", ("off", "essentially_off", "low", "medium", "high")),
    "always_use_https": ("off", _SWITCH),
    "automatic_https_rewrites": ("on", _SWITCH),
    "opportunistic_encryption": ("on", _SWITCH),
    "tls_client_auth": ("off", _SWITCH),
    "http2": ("on", _SWITCH),
    "http3": ("on", _SWITCH),
    "0rtt": ("off", _SWITCH),
    "ipv6": ("on", _SWITCH),
    "websockets": ("on", _SWITCH),
    "brotli": ("on", _SWITCH),
    "ip_geolocation": ("on", _SWITCH),
}


def zone_view(zone: Zone) -> dict[str, Any]:
    """A zone as the API shows it."""
    return {
        "id": zone["id"],
        "name": zone["name"],
        "status": "active",
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
        "original_name_servers": [],
        "original_registrar": None,
        "original_dnshost": None,
        "created_on": zone["created_on"],
        "modified_on": zone["created_on"],
        "activated_on": zone["created_on"],
        "account": {"id": ACCOUNT_ID, "name": "edgefleet sandbox"},
        "owner": {"id": None, "type": "user", "email": None},
        "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3},
        "plan": {"id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0},
        "permissions": ["#dns_records:edit", "#worker:edit", "#zone:read", "#ssl:edit"],
    }


def add_zones(api: RestApi, state: CloudflareState) -> None:
    """Add the token's check, ``/ips``, zones, and zone settings; ``/_sandbox/zones`` adds one."""

    def verify(_: Request) -> Response:
        return ok({"id": "0" * 32, "status": "active"})

    def ips(_: Request) -> Response:
        return ok({"ipv4_cidrs": IPV4, "ipv6_cidrs": IPV6, "etag": ETAG})

    def listed(request: Request) -> Response:
        return Response("\n".join(LISTS[request.path]), mimetype="text/plain")

    def accounts(request: Request) -> Response:
        return page(request, [{"id": ACCOUNT_ID, "name": "edgefleet sandbox", "type": "standard"}])

    def list_zones(request: Request) -> Response:
        name = request.args.get("name")
        account = request.args.get("account.id", ACCOUNT_ID)
        found = [
            zone_view(zone)
            for zone in zones(state.read()).values()
            if name in (None, zone["name"]) and account == ACCOUNT_ID
        ]
        return page(request, found)

    def get_zone(_: Request, zone_id: str) -> Response:
        zone = zones(state.read()).get(zone_id)
        if zone is None:
            raise refuse(403, 9109, "Unauthorized to access requested resource")
        return ok(zone_view(zone))

    def make_zone(request: Request) -> Response:
        name = json_body(request).get("name")
        if not isinstance(name, str) or "." not in name:
            raise refuse(400, 1001, f"name: {name!r}; a domain name is needed")
        with state.change() as document:
            return ok(zone_view(add_zone(document, name, state.date())))

    def list_settings(_: Request, zone_id: str) -> Response:
        zone = state.zone(state.read(), zone_id)
        return ok([_setting(zone, name) for name in SETTINGS])

    def get_setting(_: Request, zone_id: str, name: str) -> Response:
        return ok(_setting(state.zone(state.read(), zone_id), name))

    def patch_setting(request: Request, zone_id: str, name: str) -> Response:
        value = json_body(request).get("value")
        with state.change() as document:
            zone = state.zone(document, zone_id)
            _setting(zone, name)
            if value not in SETTINGS[name][1]:
                raise refuse(400, 1007, f"Invalid value for zone setting {name}")
            zone["settings"][name] = {"value": value, "modified_on": state.date()}
            return ok(_setting(zone, name))

    api.add("GET", "/client/v4/user/tokens/verify", verify)
    api.add("GET", "/client/v4/ips", ips)
    for path in LISTS:
        api.add("GET", path, listed)
    api.add("GET", "/client/v4/accounts", accounts)
    api.add("GET", "/client/v4/zones", list_zones)
    api.add("GET", "/client/v4/zones/<zone_id>", get_zone)
    api.add("POST", "/_sandbox/zones", make_zone)
    api.add("GET", "/client/v4/zones/<zone_id>/settings", list_settings)
    api.add("GET", "/client/v4/zones/<zone_id>/settings/<name>", get_setting)
    api.add("PATCH", "/client/v4/zones/<zone_id>/settings/<name>", patch_setting)


def _setting(zone: Zone, name: str) -> dict[str, Any]:
    if name not in SETTINGS:
        raise refuse(400, 1006, f"Unrecognized zone setting name: {name}")
    changed = zone["settings"].get(name, {"value": SETTINGS[name][0], "modified_on": None})
    return {"id": name, "editable": True, **changed}
