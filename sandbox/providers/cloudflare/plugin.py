"""The emulated Cloudflare provider (``pulumi_cloudflare``), on the HTTP API at its base URL."""

import os
import re

import pulumi
import pulumi_cloudflare

from sandbox.providers.base.http import HttpClient, Retries
from sandbox.providers.base.operations import Call, Failure
from sandbox.providers.base.resource import ResourcePlugin
from sandbox.providers.base.server import Server
from sandbox.providers.base.server import serve as serve_plugin
from sandbox.providers.base.values import Properties
from sandbox.providers.cloudflare import workers, zone
from sandbox.providers.cloudflare.rest import Cloudflare

API = "https://api.cloudflare.com/client/v4"
_ATTEMPTS, _FIRST_SECONDS, _LONGEST_SECONDS = 11, 2.0, 30.0
_TOKEN = re.compile(r"[0-9A-Za-z\-_]{40,80}")


class CloudflarePlugin(ResourcePlugin[Cloudflare]):
    """``speed`` is what waits between retries are divided by (2 to 30 s, 10 times)."""

    package = "cloudflare"
    distribution = "pulumi_cloudflare"
    provider_sdk: type[pulumi.ProviderResource] = pulumi_cloudflare.Provider

    def __init__(self, speed: float = 1.0) -> None:
        resources = [
            zone.DnsRecord(),
            zone.WorkersRoute(),
            zone.AuthenticatedOriginPullsCertificate(),
            zone.AuthenticatedOriginPullsSettings(),
            zone.ZoneSetting(),
            zone.Ruleset(),
            zone.OriginCaCertificate(),
            workers.WorkersScript(),
            workers.WorkersCronTrigger(),
            workers.WorkersKvNamespace(),
            workers.Worker(),
            workers.WorkerVersion(),
            workers.WorkersDeployment(),
        ]
        functions = {
            "cloudflare:index/getZone:getZone": zone.get_zone,
            "cloudflare:index/getIpRanges:getIpRanges": zone.get_ip_ranges,
        }
        super().__init__(resources, functions)
        self._speed = speed

    def check_config(self, call: Call, news: Properties) -> tuple[Properties, list[Failure]]:
        """A token must have the form of one; that there is none shows only at up."""
        news, failures = super().check_config(call, news)
        token = news.get("apiToken", os.environ.get("CLOUDFLARE_API_TOKEN"))
        if isinstance(token, str) and token and not _TOKEN.fullmatch(token):
            reason = (
                "Invalid Attribute Value Match: Attribute api_token API tokens must be 40 to 80 "
                "characters long and only contain characters a-z, A-Z, 0-9, hyphens and "
                f"underscores; this one has {len(token)} characters"
            )
            failures = [*failures, Failure("apiToken", reason)]
        return news, failures

    def configure(self, config: Properties) -> Cloudflare:
        """A client; arguments win over CLOUDFLARE_API_TOKEN and CLOUDFLARE_BASE_URL."""
        token = config.get("apiToken") or os.environ.get("CLOUDFLARE_API_TOKEN")
        base = config.get("baseUrl") or os.environ.get("CLOUDFLARE_BASE_URL") or API
        headers = {"User-Agent": "edgefleet-sandbox"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        retries = Retries(_ATTEMPTS, _FIRST_SECONDS, _LONGEST_SECONDS, self._speed)
        return Cloudflare(HttpClient(base, headers, retries))


def serve(port: int = 0, *, speed: float = 1.0) -> Server:
    """Serve the plugin on 127.0.0.1; on any free port where ``port`` is 0 or taken."""
    return serve_plugin(CloudflarePlugin(speed), port)
