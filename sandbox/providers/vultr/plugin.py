"""The emulated Vultr provider (``ediri_vultr``), on the HTTP API at https://api.vultr.com."""

import os

import ediri_vultr
import pulumi

from sandbox.providers.base.http import HttpClient, Retries
from sandbox.providers.base.operations import Call, Failure
from sandbox.providers.base.resource import ResourcePlugin
from sandbox.providers.base.server import Server
from sandbox.providers.base.server import serve as serve_plugin
from sandbox.providers.base.values import Properties
from sandbox.providers.vultr.cluster import Kubernetes, KubernetesNodePools
from sandbox.providers.vultr.network import FirewallGroup, FirewallRule, Vpc
from sandbox.providers.vultr.rest import Vultr

API = "https://api.vultr.com"
_KEY = "VULTR_API_KEY"
_DEFAULT_RETRIES, _DEFAULT_RATE_MILLISECONDS = 3, 500


class VultrPlugin(ResourcePlugin[Vultr]):
    """``api`` is the API's address, ``speed`` what every wait is divided by."""

    package = "vultr"
    distribution = "ediri_vultr"
    provider_sdk: type[pulumi.ProviderResource] = ediri_vultr.Provider

    def __init__(self, api: str = API, speed: float = 1.0) -> None:
        resources = [
            Kubernetes(),
            KubernetesNodePools(),
            FirewallGroup(),
            FirewallRule(),
            Vpc(),
        ]
        super().__init__(resources)
        self._api = api
        self._speed = speed

    def check_config(self, call: Call, news: Properties) -> tuple[Properties, list[Failure]]:
        """There must be a key."""
        news, failures = super().check_config(call, news)
        if not failures and news.get("apiKey") in (None, "") and not os.environ.get(_KEY):
            reason = (
                "Provider is missing a required configuration key, try `pulumi config set "
                "vultr:apiKey`: The API Key that allows interaction with the API"
            )
            failures = [Failure("apiKey", reason)]
        return news, failures

    def configure(self, config: Properties) -> Vultr:
        """A client with the key; waits between retries are 2/3 to 1 times rateLimit (ms)."""
        key = config.get("apiKey") or os.environ.get(_KEY, "")
        rate = float(config.get("rateLimit") or _DEFAULT_RATE_MILLISECONDS) / 1000
        # 0 is "not set" to the real one, and below 0 there is one attempt.
        limit = int(config.get("retryLimit") or 0) or _DEFAULT_RETRIES
        retries = Retries(max(1, 1 + limit), rate * 2 / 3, rate, self._speed)
        headers = {"Authorization": f"Bearer {key}", "User-Agent": "edgefleet-sandbox"}
        return Vultr(HttpClient(self._api, headers, retries), self._speed)


def serve(port: int = 0, *, speed: float = 1.0, api: str = API) -> Server:
    """Serve the plugin on 127.0.0.1; on any free port where ``port`` is 0 or taken."""
    return serve_plugin(VultrPlugin(api, speed), port)
