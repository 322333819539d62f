"""The emulated Cloudflare API (v4) as a WSGI app.

Emulated, not real: what it answers and refuses follows Cloudflare's API library for Go, answers
quoted in public issues, and what the real provider was seen to do with it
(docs/facts/cloudflare.md, docs/facts/real-providers.md). Origin CA certificates are really signed,
by a CA of the sandbox.
"""

import hmac
import re
import time
from collections.abc import Callable
from pathlib import Path

from werkzeug.wrappers import Request

from sandbox.vendors.ca import CertificateAuthority
from sandbox.vendors.cloudflare.certificates import add_certificates
from sandbox.vendors.cloudflare.dns import add_dns
from sandbox.vendors.cloudflare.http import refuse
from sandbox.vendors.cloudflare.kv import add_kv
from sandbox.vendors.cloudflare.origin_pulls import add_origin_pulls
from sandbox.vendors.cloudflare.quota import Quota
from sandbox.vendors.cloudflare.resolver import PATH as RESOLVER
from sandbox.vendors.cloudflare.resolver import add_resolver
from sandbox.vendors.cloudflare.routes import add_routes
from sandbox.vendors.cloudflare.rulesets import add_rulesets
from sandbox.vendors.cloudflare.state import CloudflareState, add_zone
from sandbox.vendors.cloudflare.versions import add_versions
from sandbox.vendors.cloudflare.workers import add_workers
from sandbox.vendors.cloudflare.zones import LISTS, add_zones
from sandbox.vendors.faults import Faults, WsgiApp
from sandbox.vendors.rest import ApiError, RestApi
from sandbox.vendors.store import Store

API_TOKEN = "edgefleet-sandbox-token-0000000000000001"  # noqa: S105 (opens nothing real)
"""The token that the emulator accepts, in the form of Cloudflare's (40 characters)."""

DEFAULT_ZONES = ("example.com",)
_TOKEN_FORMAT = re.compile(r"Bearer [0-9A-Za-z_-]{40,80}")


def create_app(
    directory: Path,
    clock: Callable[[], float] = time.time,
    api_token: str = API_TOKEN,
    zones: tuple[str, ...] = DEFAULT_ZONES,
) -> WsgiApp:
    """The emulated API, at ``/client/v4``, with its state in ``directory``/cloudflare.json.

    ``zones`` are there from the start, beside those that the state has. ``clock`` gives Unix time
    in seconds. Raises ``StoreError`` if the state can't be read.
    """
    store = Store(directory / "cloudflare.json")
    state = CloudflareState(store, clock)
    with state.change() as document:
        for name in zones:
            add_zone(document, name, state.date())
    authority = CertificateAuthority(directory / "origin-ca", "edgefleet sandbox Origin CA")

    api = RestApi(_no_route, lambda request: _check_token(request, api_token))
    add_zones(api, state)
    add_dns(api, state)
    add_workers(api, state)
    add_versions(api, state)
    add_routes(api, state)
    add_kv(api, state)
    add_certificates(api, state, authority)
    add_origin_pulls(api, state)
    add_rulesets(api, state)
    add_resolver(api, state)
    return Faults(store).wrap(Quota(api, clock))


def _check_token(request: Request, api_token: str) -> None:
    if request.path.startswith("/_sandbox/") or request.path in (
        "/client/v4/ips",
        *LISTS,
        RESOLVER,
    ):
        return
    sent = request.headers.get("Authorization")
    if sent is None:
        raise refuse(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    if not _TOKEN_FORMAT.fullmatch(sent):
        cause = {6111: "Invalid format for Authorization header"}
        raise refuse(400, 6003, "Invalid request headers", cause)
    if not hmac.compare_digest(sent.encode(), f"Bearer {api_token}".encode()):
        if request.path == "/client/v4/user/tokens/verify":
            raise refuse(401, 1000, "Invalid API Token")
        raise refuse(401, 10000, "Authentication error")


def _no_route(status: int, text: str) -> ApiError:
    if status == 404:
        cause = {7000: "No route for that URI"}
        return refuse(404, 7003, "Could not route to that URI", cause)
    if status == 405:
        return refuse(405, 10405, "Method not allowed for this authentication scheme")
    return refuse(status, 6007, f"Malformed request: {text}")
