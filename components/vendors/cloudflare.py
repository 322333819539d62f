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
        patient: ask again and again where it doesn't answer.
    """

    def __init__(self, access: Access, patient: bool = True) -> None:
        self._session = Session(
            "Cloudflare", access.base_url.rstrip("/"), access.token, CloudflareError, patient
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

    def worker_settings(self, account_id: str, script: str) -> Json:
        """A Worker's bindings and what else it is told. Secrets have no value there."""
        return self._get(f"/accounts/{account_id}/workers/scripts/{script}/settings")["result"]

    def worker_schedules(self, account_id: str, script: str) -> list[str]:
        """When a Worker is called by the clock, as crons."""
        found = self._get(f"/accounts/{account_id}/workers/scripts/{script}/schedules")["result"]
        return [schedule["cron"] for schedule in objects_at(found, "schedules")]

    def worker_modules(self, account_id: str, script: str) -> dict[str, bytes]:
        """What of a Worker is deployed: its modules by name."""
        # Here, because no program needs it.
        from email import message_from_bytes
        from email.policy import HTTP

        path = f"/accounts/{account_id}/workers/scripts/{script}/content/v2"
        answer = self._session.ask("GET", path)
        if not answer.ok:
            # Only answers that went well are no JSON.
            self._checked("GET", path, answer)
        # A part is what mail has, headers and all.
        head = f"Content-Type: {answer.headers.get('Content-Type', '')}\r\n\r\n".encode()
        message = message_from_bytes(head + answer.content, policy=HTTP)
        return {
            str(part.get_param("name", header="content-disposition")): payload
            for part in message.walk()
            if isinstance(payload := part.get_payload(decode=True), bytes)
        }

    def token(self, account_id: str | None) -> Json:
        """The token itself, as the user's or an account's: `status`, and `expires_on` where it
        ends (https://developers.cloudflare.com/api/resources/user/subresources/tokens/)."""
        owner = f"/accounts/{account_id}" if account_id else "/user"
        return self._get(f"{owner}/tokens/verify")["result"]

    def kv_value(self, account_id: str, namespace_id: str, key: str) -> str | None:
        """A value of Workers KV, None where there is none of this key."""
        path = f"/accounts/{account_id}/storage/kv/namespaces/{namespace_id}/values/{key}"
        answer = self._session.ask("GET", path)
        if answer.status_code == 404:
            return None
        if not answer.ok:
            self._checked("GET", path, answer)
        return answer.text

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
        return self._checked(method, path, self._session.ask(method, path, query=query, body=body))

    def _checked(self, method: str, path: str, answer: requests.Response) -> Json:
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
