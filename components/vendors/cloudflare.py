"""Reads from Cloudflare's API, for finding what an interrupted update made."""

from typing import Any

import requests

from .causes import why
from .session import TIMEOUT, reading_session


class CloudflareError(Exception):
    """Cloudflare refused or didn't answer; the text is for a person."""


class CloudflareApi:
    """Reads from Cloudflare's API.

    Args:
        token: an API token.
        base_url: where the API is; `credentials.cloudflare_access` knows.
    """

    def __init__(self, token: str, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._session = reading_session(self._base, token)

    def dns_records(self, zone_id: str, name: str) -> list[dict[str, Any]]:
        """The records of one name. Raises CloudflareError."""
        return self._list(f"/zones/{zone_id}/dns_records", {"name": name, "per_page": "100"})

    def worker_routes(self, zone_id: str) -> list[dict[str, Any]]:
        """The zone's Worker routes. Raises CloudflareError."""
        return self._get(f"/zones/{zone_id}/workers/routes", {})["result"]

    def kv_namespaces(self, account_id: str) -> list[dict[str, Any]]:
        """The account's KV namespaces. Raises CloudflareError."""
        return self._list(f"/accounts/{account_id}/storage/kv/namespaces", {"per_page": "100"})

    def workers(self, account_id: str) -> list[dict[str, Any]]:
        """The account's Workers. Raises CloudflareError."""
        return self._list(f"/accounts/{account_id}/workers/workers", {"per_page": "100"})

    def entrypoint(self, zone_id: str, phase: str) -> dict[str, Any] | None:
        """The ruleset with the zone's own rules of a phase. Raises CloudflareError."""
        path = f"/zones/{zone_id}/rulesets"
        for ruleset in self._get(path, {})["result"]:
            if ruleset["kind"] == "zone" and ruleset["phase"] == phase:
                return self._get(f"{path}/{ruleset['id']}", {})["result"]
        return None

    def _list(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = self._get(path, {**query, "page": str(page)})
            found += answer["result"]
            if page >= (answer.get("result_info") or {}).get("total_pages", 1):
                return found
            page += 1

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._session.get(self._base + path, params=query, timeout=TIMEOUT)
            body = answer.json()
        except requests.RequestException as error:
            raise CloudflareError(f"Cloudflare did not answer GET {path}: {why(error)}") from error
        if not body.get("success"):
            said = "; ".join(f"{e['message']} ({e['code']})" for e in body.get("errors") or [])
            raise CloudflareError(
                f"Cloudflare answered GET {path} with {answer.status_code}: {said}. Check "
                "CLOUDFLARE_API_TOKEN, its permissions, and edgefleet:zoneId"
            )
        return body
