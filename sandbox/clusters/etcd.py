"""etcd by its JSON gateway: whether it is there, and the end of a cluster's keys."""

import base64
import contextlib
import json
from urllib import request

_DIRECT = request.build_opener(request.ProxyHandler({}))


def ready(port: int) -> bool:
    """Whether the etcd on this port of 127.0.0.1 says that it is healthy."""
    try:
        with _DIRECT.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return json.load(answer)["health"] == "true"
    except (OSError, ValueError):
        return False


def forget(port: int, prefix: str) -> None:
    """Delete every key below ``prefix``; without an etcd nothing happens."""
    body = json.dumps({"key": _base64(prefix + "/"), "range_end": _base64(prefix + "0")}).encode()
    url = f"http://127.0.0.1:{port}/v3/kv/deleterange"
    with contextlib.suppress(OSError):
        _DIRECT.open(request.Request(url, data=body), timeout=10).close()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
