"""Cloudflare's API, for what the provider can't tell: what is there already, and how it was."""

from collections.abc import Mapping
from typing import Any

import requests

from ..errors import CloudflareError
from ..json_object import Json, object_at, objects_at
from .credentials import Access
from .session import Session


class CloudflareApi:
    """Cloudflare's API (v4). Every method raises CloudflareError.

    Args:
        access: a token, and where the API is.
    """

    def __init__(self, access: Access) -> None:
        self._session = Session(
            "Cloudflare", access.base_url.rstrip("/"), access.token, CloudflareError
        )

    def dns_records(self, zone_id: str, name: str) -> list[Json]:
        """The records of one name."""
        return self._list(f"/zones/{zone_id}/dns_records", {"name": name, "per_page": "100"})

    def worker_routes(self, zone_id: str) -> list[Json]:
        """The zone's Worker routes."""
        return self._get(f"/zones/{zone_id}/workers/routes")["result"]

    def kv_namespaces(self, account_id: str) -> list[Json]:
        """The account's KV namespaces."""
        return self._list(f"/accounts/{account_id}/storage/kv/namespaces", {"per_page": "100"})

    def workers(self, account_id: str) -> list[Json]:
        """The account's Workers, as the API of Workers and versions has them."""
        return self._list(f"/accounts/{account_id}/workers/workers", {"per_page": "100"})

    def worker_scripts(self, account_id: str) -> list[Json]:
        """The account's Workers, as the API of scripts has them; it needs Workers Scripts: Read."""
        return self._get(f"/accounts/{account_id}/workers/scripts")["result"]

    def entrypoint(self, zone_id: str, phase: str) -> Json | None:
        """The ruleset with the zone's own rules of a phase."""
        path = f"/zones/{zone_id}/rulesets"
        for ruleset in self._get(path)["result"]:
            if ruleset["kind"] == "zone" and ruleset["phase"] == phase:
                return self._get(f"{path}/{ruleset['id']}")["result"]
        return None

    def of_zone(
        self, method: str, zone_id: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Json:
        """The result of one call below a zone, for its settings."""
        return self._call(method, f"/zones/{zone_id}/{path}", body=body)["result"]

    def _list(self, path: str, query: dict[str, str]) -> list[Json]:
        found: list[Json] = []
        page = 1
        while True:
            answer = self._get(path, {**query, "page": str(page)})
            found += answer["result"]
            if page >= object_at(answer, "result_info").get("total_pages", 1):
                return found
            page += 1

    def _get(self, path: str, query: dict[str, str] | None = None) -> Json:
        return self._call("GET", path, query=query)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Json:
        answer = self._session.ask(method, path, query=query, body=body)
        said = f"Cloudflare answered {method} {path} with"
        try:
            found: Json = answer.json()
        except requests.exceptions.JSONDecodeError:
            raise CloudflareError(
                f"{said} no JSON: {answer.text[:300]}", answer.status_code
            ) from None
        if not found.get("success"):
            errors = "; ".join(f"{e['message']} ({e['code']})" for e in objects_at(found, "errors"))
            raise CloudflareError(
                f"{said} {answer.status_code}: {errors}. {_advice(answer)}", answer.status_code
            )
        return found


def _advice(refusal: requests.Response) -> str:
    if refusal.status_code != 429:
        return "Check CLOUDFLARE_API_TOKEN, its permissions, and the zone's or the account's id"
    pause = refusal.headers.get("Retry-After")
    return (
        "The token's user has made all the calls that Cloudflare allows in five minutes (1,200, "
        f"the dashboard's among them). Run this again {f'in {pause} s' if pause else 'later'}"
    )
