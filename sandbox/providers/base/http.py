"""HTTP as the real providers do it: retries, Retry-After, errors that show the answer's body."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from sandbox.providers.base.operations import Call, PluginError

_TIMEOUT_SECONDS = 60
_POOL = 128

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retries:
    """How often to try (429, 5xx, no connection; every method, POST too) and how far apart.

    ``first`` and ``longest`` are seconds; the time between doubles from the one to the other.
    ``speed`` divides them, but never what a Retry-After asks for.
    """

    attempts: int
    first: float
    longest: float
    speed: float = 1.0

    def delay(self, attempt: int, response: requests.Response | None) -> float:
        """Seconds to wait after the ``attempt``-th try (from 1) failed."""
        after = response.headers.get("Retry-After", "") if response is not None else ""
        if after.isdigit():
            return float(after)
        return min(self.first * 2 ** (attempt - 1), self.longest) / self.speed


class HttpError(PluginError):
    """The API refused, or didn't answer. ``status`` is 0 without an answer."""

    def __init__(self, what: str, status: int, body: str) -> None:
        super().__init__(f"{what}: {status or 'no answer'} {body}".strip())
        self.status = status
        self.body = body


class HttpClient:
    """A REST API behind one base URL. Proxies and CA bundles come from the environment."""

    def __init__(self, base_url: str, headers: Mapping[str, str], retries: Retries) -> None:
        self._base = base_url.rstrip("/")
        self._retries = retries
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=_POOL)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._session.headers.update(headers)

    def send(self, call: Call, method: str, path: str, **options: Any) -> requests.Response:
        """Send until answered; raises HttpError for 4xx at once and for 5xx in the end.

        ``options`` are those of ``requests.request``: json, params, data, files, headers.
        """
        url = self._base + path
        attempt = 0
        while True:
            attempt += 1
            response, problem = self._try(method, url, options)
            if response is not None and response.status_code < 400:
                return response
            status = response.status_code if response is not None else 0
            final = 400 <= status < 500 and status != 429
            if final or attempt >= self._retries.attempts:
                tried = "" if final else f" giving up after {attempt} attempt(s)"
                raise HttpError(f"{method} {url}{tried}", status, problem)
            log.info("%s %s: %s, attempt %d", method, url, status or problem, attempt)
            call.wait(self._retries.delay(attempt, response))

    def json(self, call: Call, method: str, path: str, **options: Any) -> Any:
        """Send, and read the answer's JSON; None where the answer is empty."""
        response = self.send(call, method, path, **options)
        return response.json() if response.content else None

    def _try(
        self, method: str, url: str, options: Mapping[str, Any]
    ) -> tuple[requests.Response | None, str]:
        try:
            response = self._session.request(method, url, timeout=_TIMEOUT_SECONDS, **options)
        except (requests.ConnectionError, requests.Timeout) as error:
            return None, str(error)
        except requests.RequestException as error:
            raise PluginError(f"{method} {url}: {error}") from error
        return response, response.text
