"""The one HTTP session that both vendors' clients use."""

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ..errors import VendorError
from .causes import why

TIMEOUT = (5, 30)
"""Seconds to connect, and between two bytes of an answer."""


class Session:
    """Requests to one vendor, with its bearer token.

    Args:
        vendor: its name, for messages.
        base_url: where the API is, without a slash at the end.
        bearer: goes into the Authorization header and nowhere else.
        error: what is raised.

    A GET is repeated after 429 and 5xx, with growing pauses. Nothing else is: it may have been
    carried out.
    """

    def __init__(self, vendor: str, base_url: str, bearer: str, error: type[VendorError]) -> None:
        self._vendor = vendor
        self._base = base_url
        self._error = error
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {bearer}"
        retry = Retry(
            total=5,
            connect=2,
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
                method, self._base + path, params=query, json=body, timeout=TIMEOUT
            )
        except requests.RequestException as error:
            raise self._error(
                f"{self._vendor} did not answer {method} {path}: {why(error)}"
            ) from error
