"""What the accounts at Vultr and Cloudflare hold, for `fleet import`. Reads only."""

import os
from collections.abc import Mapping
from typing import Any

import requests

from components.http_reads import TIMEOUT, reading_session
from components.vultr_api import BASE, VultrApi, VultrError
from infra.cloudflare_api import CloudflareApi, CloudflareError


class Account:
    """Both vendors' accounts, by credentials from the environment.

    Raises VultrError, CloudflareError where a credential is missing.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        key = environment.get("VULTR_API_KEY")
        if not key:
            raise VultrError("No credential for vultr: set VULTR_API_KEY")
        token = environment.get("CLOUDFLARE_API_TOKEN")
        if not token:
            raise CloudflareError("No credential for cloudflare: set CLOUDFLARE_API_TOKEN")
        self.vultr = VultrApi(key)
        self.cloudflare = CloudflareApi.from_environment(token)
        self._vultr = reading_session(BASE, key)
        self._cloudflare_base = environment.get(
            "CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4"
        ).rstrip("/")
        self._cloudflare = reading_session(self._cloudflare_base, token)

    def cluster(self, wanted: str) -> dict[str, Any]:
        """The cluster with this id or label, as the API gives it. Raises VultrError."""
        found = self._clusters()
        chosen = [c for c in found if c["id"] == wanted] or [
            c for c in found if c["label"] == wanted
        ]
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            ids = ", ".join(sorted(c["id"] for c in chosen))
            raise VultrError(
                f"Vultr has {len(chosen)} clusters labelled {wanted!r}: name one: {ids}"
            )
        there = ", ".join(sorted(f"{c['label']} ({c['id']})" for c in found)) or "none"
        raise VultrError(f"Vultr has no cluster {wanted!r}; there are: {there}")

    def vpcs(self) -> list[dict[str, Any]]:
        """The account's VPCs, as the API gives them. Raises VultrError."""
        return self.vultr.vpcs()

    def has_script(self, account_id: str, name: str) -> bool:
        """Whether a Worker of this name is there. Raises CloudflareError."""
        path = f"/accounts/{account_id}/workers/scripts"
        try:
            answer = self._cloudflare.get(self._cloudflare_base + path, timeout=TIMEOUT)
            body = answer.json()
        except requests.RequestException as error:
            raise CloudflareError(f"Cloudflare did not answer GET {path}: {error}") from error
        if not body.get("success"):
            raise CloudflareError(
                f"Cloudflare answered GET {path} with {answer.status_code}. The token needs "
                "Workers Scripts: Read"
            )
        return any(script["id"] == name for script in body["result"])

    def _clusters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = {"per_page": "500"} | ({"cursor": cursor} if cursor else {})
            try:
                answer = self._vultr.get(
                    f"{BASE}/kubernetes/clusters", params=query, timeout=TIMEOUT
                )
                page = answer.json()
            except requests.RequestException as error:
                raise VultrError(f"Vultr did not answer: {error}") from error
            if not answer.ok:
                raise VultrError(
                    f"Vultr answered GET /kubernetes/clusters with {answer.status_code}: check "
                    "VULTR_API_KEY, and that this machine's address is allowed"
                )
            found += page["vke_clusters"]
            cursor = ((page.get("meta") or {}).get("links") or {}).get("next") or ""
            if not cursor:
                return found
