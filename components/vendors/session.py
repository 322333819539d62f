"""The one HTTP session that both vendors' clients use."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError
from urllib3.util import Retry

from ..errors import VendorError
from .causes import why

TIMEOUT = (5, 30)
"""Seconds to connect, and between two bytes of an answer."""


LONGEST_PAUSE = 20
"""Seconds. An API that asks for a longer one isn't asked again: nobody would know what for."""


class _Repeated(Retry):
    """Gives the answer back that asks for a long pause, as it does the last one."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if response and _pool and (self.get_retry_after(response) or 0) > LONGEST_PAUSE:
            raise MaxRetryError(_pool, url or "", ResponseError("asks for a long pause"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


class Session:
    """Requests to one vendor, with its bearer token.

    Args:
        vendor: its name, for messages.
        base_url: where the API is, without a slash at the end.
        bearer: goes into the Authorization header and nowhere else.
        error: what is raised.
        patient: repeat a GET five times, else once: who only looks tells what it met.

    A GET is repeated after 429 and 5xx, with growing pauses, or those that the answer asks for, up
    to LONGEST_PAUSE. Nothing else is: it may have been carried out.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        bearer: str,
        error: type[VendorError],
        patient: bool = True,
    ) -> None:
        self._vendor = vendor
        self._base = base_url
        self._error = error
        self._timeout = TIMEOUT if patient else (TIMEOUT[0], 10)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {bearer}"
        retry = _Repeated(
            total=5 if patient else 1,
            connect=2 if patient else 1,
            backoff_factor=0.5,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET",),
            raise_on_status=False,
        )
        self._session.mount(base_url, HTTPAdapter(max_retries=retry))

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        """The answer, whatever its status. Raises the vendor's error where there is none."""
        try:
            return self._session.request(
                method, self._base + path, params=query, json=body, timeout=self._timeout
            )
        except requests.RequestException as error:
            raise self._error(
                f"{self._vendor} did not answer {method} {path}: {why(error)}"
            ) from error
