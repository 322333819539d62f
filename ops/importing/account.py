"""What the accounts at Vultr and Cloudflare hold, for `fleet import`. Reads only."""

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import requests

from components.vendors.causes import why
from components.vendors.cloudflare import CloudflareApi, CloudflareError
from components.vendors.session import TIMEOUT, reading_session
from components.vendors.vultr import BASE, VultrApi, VultrError
from infra.credentials import CLOUDFLARE_API


class Account:
    """Both vendors' accounts, by credentials from the environment.

    A credential is asked for when its vendor is: an edge stack needs Cloudflare's alone. Raises
    VultrError, CloudflareError then, where it is missing.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    @cached_property
    def vultr(self) -> VultrApi:
        """Vultr's API. Raises VultrError."""
        return VultrApi(self._key)

    @cached_property
    def cloudflare(self) -> CloudflareApi:
        """Cloudflare's API. Raises CloudflareError."""
        return CloudflareApi(self._token, self._cloudflare_base)

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
        session = reading_session(self._cloudflare_base, self._token)
        try:
            answer = session.get(self._cloudflare_base + path, timeout=TIMEOUT)
            body = answer.json()
        except requests.RequestException as error:
            raise CloudflareError(f"Cloudflare did not answer GET {path}: {why(error)}") from None
        if not body.get("success"):
            raise CloudflareError(
                f"Cloudflare answered GET {path} with {answer.status_code}. Check "
                "CLOUDFLARE_API_TOKEN (it needs Workers Scripts: Read) and edgefleet:accountId"
            )
        return any(script["id"] == name for script in body["result"])

    @property
    def _key(self) -> str:
        key = self._environment.get("VULTR_API_KEY")
        if not key:
            raise VultrError("No credential for vultr: set VULTR_API_KEY")
        return key

    @property
    def _token(self) -> str:
        token = self._environment.get("CLOUDFLARE_API_TOKEN")
        if not token:
            raise CloudflareError("No credential for cloudflare: set CLOUDFLARE_API_TOKEN")
        return token

    @property
    def _cloudflare_base(self) -> str:
        return (self._environment.get("CLOUDFLARE_BASE_URL") or CLOUDFLARE_API).rstrip("/")

    def _clusters(self) -> list[dict[str, Any]]:
        session = reading_session(BASE, self._key)
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = {"per_page": "500"} | ({"cursor": cursor} if cursor else {})
            try:
                answer = session.get(f"{BASE}/kubernetes/clusters", params=query, timeout=TIMEOUT)
                page = answer.json()
            except requests.RequestException as error:
                raise VultrError(f"Vultr did not answer: {why(error)}") from None
            if not answer.ok:
                raise VultrError(
                    f"Vultr answered GET /kubernetes/clusters with {answer.status_code}: check "
                    "VULTR_API_KEY, and that this machine's address is allowed"
                )
            found += page["vke_clusters"]
            cursor = ((page.get("meta") or {}).get("links") or {}).get("next") or ""
            if not cursor:
                return found
