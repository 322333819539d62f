"""The emulated Vultr provider's way with the API: lookups, and waiting for what takes time.

The numbers after "Vultr" are those of docs/facts/real-providers.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.providers.base.http import HttpClient, HttpError
from sandbox.providers.base.operations import Call, PluginError

_FIRST_POLL, _NEXT_POLLS = 10.0, (5.0, 10.0)
_POLL_LIMIT_SECONDS = 3600.0


@dataclass(frozen=True)
class Vultr:
    """A session: the API, and what the waits are divided by."""

    http: HttpClient
    speed: float = 1.0

    def get(self, call: Call, path: str, key: str) -> Any:
        """The object called ``key`` in the answer to a GET of a path under /v2."""
        return (self.http.json(call, "GET", f"/v2{path}") or {}).get(key)

    def gone(self, call: Call, path: str, key: str, *words: str) -> Any:
        """Like ``get``, but None for a 404 that says one of ``words`` (Vultr 9)."""
        try:
            return self.get(call, path, key)
        except HttpError as error:
            if error.status == 404 and any(word in error.body for word in words):
                return None
            raise

    def until_active(self, call: Call, what: str, fetch: Callable[[], Any]) -> None:
        """Poll while pending: after 10 s, then 5, 10, 10 … s (Vultr 1)."""
        delay, waited, round_ = _FIRST_POLL, 0.0, 0
        while True:
            call.wait(delay / self.speed)
            waited += delay / self.speed
            found = fetch()
            status = "pending" if found is None else found.get("status")
            if status == "active":
                return
            if status != "pending":
                raise PluginError(
                    f"error while waiting for {what} to be completed: unexpected state "
                    f"'{status}', wanted target 'active'. last error: %!s(<nil>)"
                )
            if waited > _POLL_LIMIT_SECONDS:
                raise PluginError(f"error while waiting for {what}: timeout (last state: pending)")
            delay = _NEXT_POLLS[min(round_, 1)]
            round_ += 1
