"""Why a vendor didn't answer, in words."""

from collections.abc import Iterator

import requests
from urllib3 import exceptions


def why(error: requests.RequestException) -> str:
    """The cause, without the layers of libraries that it came through."""
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return "what came back is no JSON; a proxy may have answered in its place"
    causes = list(_causes(error))
    host = str(getattr(error.request, "url", "")).split("/")[2:3]
    name = host[0] if host else "it"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy does not let us through to {name} (HTTPS_PROXY)"
    if any(isinstance(cause, exceptions.NameResolutionError) for cause in causes):
        return f"no address is found for {name}: is this machine online?"
    if isinstance(error, requests.exceptions.SSLError):
        return f"{name} shows a certificate that this machine doesn't trust: {causes[-1]}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{name} took too long"
    cause = str(causes[-1])
    if isinstance(causes[-1], exceptions.NewConnectionError):
        # Without urllib3's object, which it begins with.
        cause = cause.partition("): ")[2] or cause
    return f"{name}: {cause}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was made from, and so on."""
    found: BaseException | None = error
    while found is not None:
        yield found
        inner = getattr(found, "reason", None) or next(
            (each for each in found.args if isinstance(each, BaseException)), None
        )
        found = inner if isinstance(inner, BaseException) else None
