"""A client of the emulated Cloudflare, without a server."""

import io
import json
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from sandbox.vendors.cloudflare.api import API_TOKEN, create_app
from sandbox.vendors.cloudflare.state import ACCOUNT_ID

MISSING = "0" * 32
NOW = 1_800_000_000.0


class Cloudflare:
    """The app with a client; ``zone`` and ``account`` are paths."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = NOW
        self.restart()
        self.zone_id = self.result("GET", "/zones?name=example.com")[0]["id"]
        self.zone = f"/zones/{self.zone_id}"
        self.account = f"/accounts/{ACCOUNT_ID}"

    def restart(self) -> None:
        self.client: Any = Client(create_app(self.directory, lambda: self.now))

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        if body is not None:
            options["json"] = body
        answer = self.client.open(
            f"/client/v4{path}", **{"method": method, "headers": headers, **options}
        )
        if answer.mimetype == "application/json":
            assert {"success", "errors", "messages", "result"} <= answer.json.keys()
            assert answer.json["success"] == (answer.status_code < 400)
        return answer

    def result(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.call(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json["result"]

    def record(self, **changes: Any) -> Any:
        return self.call("POST", f"{self.zone}/dns_records", {**RECORD, **changes})

    def script(self, name: str = "router", module: bytes | None = None, **metadata: Any) -> Any:
        """Upload a script of one module."""
        metadata = {"main_module": "main.js", **metadata}
        data = {
            "metadata": json.dumps(metadata),
            "main.js": (io.BytesIO(module or MODULE), "main.js", "application/javascript+module"),
        }
        return self.call("PUT", f"{self.account}/workers/scripts/{name}", data=data)


RECORD = {"name": "us.example.com", "type": "A", "content": "45.76.1.10", "ttl": 1, "proxied": True}
MODULE = b"export default { fetch() { return new Response('hi') } }\n"


def error(answer: Any) -> tuple[int, int]:
    assert answer.status_code >= 400
    assert answer.json["result"] is None
    return answer.status_code, answer.json["errors"][0]["code"]
