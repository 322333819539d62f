"""The emulated Vultr API (v2) as a WSGI app.

Emulated, not real: what it answers and refuses follows Vultr's description of the API, the
Terraform provider's source and what the real provider was seen to do with it
(docs/facts/vultr.md, docs/facts/real-providers.md). Kubernetes API servers are real, and come from
a ``ClusterBackend``.
"""

import hmac
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.clusters.backend import ClusterBackend
from sandbox.vendors.faults import Faults, StartResponse
from sandbox.vendors.rest import RestApi, settings_handlers
from sandbox.vendors.store import Store
from sandbox.vendors.vultr.clusters import add_clusters
from sandbox.vendors.vultr.control import add_control
from sandbox.vendors.vultr.firewalls import add_firewalls
from sandbox.vendors.vultr.fleet import VultrFleet
from sandbox.vendors.vultr.http import no_content, refuse
from sandbox.vendors.vultr.instances import add_instances
from sandbox.vendors.vultr.lifecycle import change_settings, settings
from sandbox.vendors.vultr.pools import add_pools
from sandbox.vendors.vultr.vpcs import add_vpcs

API_KEY = "EDGEFLEETSANDBOXEDGEFLEETSANDBOX0001"
"""The key that the emulator accepts, in the form of Vultr's (36 characters)."""

_NO_KEY_NEEDED = ("/_sandbox/", "/v2/regions", "/v2/plans", "/v2/kubernetes/versions")


class VultrApp:
    """The WSGI app; ``tick`` lets time pass without a request."""

    def __init__(self, fleet: VultrFleet, app: Callable[..., Iterable[bytes]]) -> None:
        self._fleet = fleet
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def tick(self) -> None:
        """Bring nodes and upgrades up to date and tell the backend; every request does so too.

        Call it about once a second, so that nodes come and go while nobody asks.
        """
        self._fleet.tick()


def create_app(
    directory: Path,
    clusters: ClusterBackend,
    clock: Callable[[], float] = time.time,
    api_key: str = API_KEY,
) -> VultrApp:
    """The emulated API with its state in ``directory``/vultr.json.

    ``clock`` gives Unix time in seconds. Raises ``StoreError`` if the state can't be read.
    """
    store = Store(directory / "vultr.json")
    fleet = VultrFleet(store, clusters, clock)

    recent: deque[float] = deque()

    def check_rate(request: Request) -> None:
        limit = settings(store.read())["requests_per_second"]
        if not limit or request.path.startswith("/_sandbox/"):
            return
        now = clock()
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= limit:
            raise refuse(429, f"Rate limit exceeded: {limit:g} requests per second")
        recent.append(now)

    def check_key(request: Request) -> None:
        check_rate(request)
        if request.path.startswith(_NO_KEY_NEEDED):
            return
        sent = request.headers.get("Authorization", "")
        if not hmac.compare_digest(sent.encode(), f"Bearer {api_key}".encode()):
            raise refuse(401, "Invalid API token.")

    def change(changes: dict[str, Any]) -> None:
        with store.transaction() as document:
            change_settings(document, changes)

    def tick(_: Request) -> Response:
        fleet.tick()
        return no_content()

    api = RestApi(refuse, check_key)
    settings_handlers(api, lambda: settings(store.read()), change)
    api.add("POST", "/_sandbox/tick", tick)
    add_clusters(api, fleet)
    add_control(api, fleet)
    add_pools(api, fleet)
    add_firewalls(api, fleet)
    add_instances(api, fleet)
    add_vpcs(api, fleet)
    return VultrApp(fleet, Faults(store).wrap(api))
