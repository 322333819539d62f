"""What the world sees: what names resolve to, and what URLs answer. Asked from this machine.

Names are asked of Cloudflare's resolver over HTTPS: it answers the same on every network, goes
through a proxy as the rest does, and a resolver on the way can't keep an old answer
(https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json/).
"""

import os
import socket
from collections.abc import Callable, Mapping

import requests

from components.errors import EdgefleetError
from components.ingress.contract import REGION_HEADER
from components.vendors.causes import why
from ops.live.cloudflare import answers
from ops.live.facts import WebAnswer

RESOLVER = "https://cloudflare-dns.com/dns-query"
_TIMEOUT = (4, 8)
_KNOCK_SECONDS = 3.0

Resolver = Callable[[str, str], tuple[str, ...]]
"""Gives the addresses that a name has: `resolve("us.example.com", "A")`. Raises NotSeen."""


class NotSeen(EdgefleetError):
    """This machine couldn't look; the text says why. It says nothing of what was looked for."""


def resolve(name: str, kind: str) -> tuple[str, ...]:
    """Ask Cloudflare's resolver; nothing where there is no such name. Raises NotSeen."""
    try:
        answer = requests.get(
            RESOLVER,
            params={"name": name, "type": kind},
            headers={"Accept": "application/dns-json"},
            timeout=_TIMEOUT,
        )
        if not answer.ok:
            raise NotSeen(f"Cloudflare's resolver answered {answer.status_code}")
        return answers(answer.json(), kind)
    except requests.RequestException as error:
        raise NotSeen(f"Cloudflare's resolver: {why(error)}") from None


def fetch(url: str) -> WebAnswer:
    """GET a URL as a visitor would, following nothing. Raises NotSeen where there is no answer."""
    try:
        with requests.get(url, timeout=_TIMEOUT, allow_redirects=False, stream=True) as answer:
            return WebAnswer(answer.status_code, answer.headers.get(REGION_HEADER, ""))
    except requests.RequestException as error:
        raise NotSeen(f"{url}: {why(error)}") from None


def knock(address: str, port: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a connection to a node is taken from here, past Cloudflare. Raises NotSeen."""
    if environment.get("HTTPS_PROXY") or environment.get("https_proxy"):
        raise NotSeen(
            "HTTPS_PROXY is set: this machine has no way of its own, and what it is refused says "
            "nothing of the node"
        )
    try:
        socket.create_connection((address, port), timeout=_KNOCK_SECONDS).close()
    except (TimeoutError, ConnectionRefusedError):
        return False
    except OSError as error:
        raise NotSeen(f"{address}: {error.strerror or error}") from None
    return True
