"""A session for reading from a vendor's API."""

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

TIMEOUT = (5, 30)
"""Seconds to connect, and between two bytes of an answer."""


def reading_session(base_url: str, bearer: str) -> requests.Session:
    """A session that repeats GETs below `base_url` after 429 and 5xx, with growing pauses.

    Only reads are sent through it, so repeating one is safe. `bearer` goes into the Authorization
    header and nowhere else.
    """
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {bearer}"
    retry = Retry(
        total=5,
        connect=2,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET",),
        raise_on_status=False,
    )
    session.mount(base_url, HTTPAdapter(max_retries=retry))
    return session
