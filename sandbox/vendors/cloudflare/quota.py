"""Cloudflare's limit of API calls: 1,200 in five minutes, then 429 until they are over.

Limits and headers: https://developers.cloudflare.com/fundamentals/api/reference/limits. The body is
the one quoted in https://github.com/cloudflare/terraform-provider-cloudflare/issues/5505.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import refuse
from sandbox.vendors.faults import StartResponse, WsgiApp

CALLS = 1200
WINDOW_SECONDS = 300
_FREE = ("/_sandbox/", "/client/v4/ips", "/ips-v")


class Quota:
    """Counts the calls to ``app`` by the token's only user; ``clock`` gives seconds.

    A window begins with its first call. How Cloudflare's begin isn't published.
    """

    def __init__(self, app: WsgiApp, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock
        self._ends = 0.0
        self._calls = 0

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if Request(environ).path.startswith(_FREE):
            return self._app(environ, start_response)
        now = self._clock()
        if now >= self._ends:
            self._ends, self._calls = now + WINDOW_SECONDS, 0
        self._calls += 1
        left, seconds = CALLS - self._calls, math.ceil(self._ends - now)
        if left < 0:
            text = "Please wait and consider throttling your request speed"
            response = refuse(429, 971, text).response
            response.headers["Retry-After"] = str(seconds)
        else:
            response = Response.from_app(self._app, environ)
        response.headers["Ratelimit"] = f'"default";r={max(left, 0)};t={seconds}'
        response.headers["Ratelimit-Policy"] = f'"default";q={CALLS};w={WINDOW_SECONDS}'
        return response(environ, start_response)
