"""The emulated Cloudflare's resolver: DNS over HTTPS, in its JSON form, for the zones that it has.

https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json/.
A proxied record answers with addresses of Cloudflare's, whatever its content.
"""

from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.state import CloudflareState, zone_of
from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi

HOST = "cloudflare-dns.com"
PATH = "/dns-query"
_TYPES = {"A": 1, "CNAME": 5, "AAAA": 28}
_PROXIED = {
    "A": ("104.21.48.1", "172.67.160.1"),
    "AAAA": ("2606:4700:3030::6815:3001", "2606:4700:3035::ac43:a001"),
}
_NO_SUCH_NAME = 3
_LONGEST_CHAIN = 8


def add_resolver(api: RestApi, state: CloudflareState) -> None:
    """Add ``/dns-query``."""

    def query(request: Request) -> Response:
        name = request.args.get("name", "").rstrip(".").lower()
        kind = request.args.get("type", "A").upper()
        if kind not in _TYPES:
            return json_response({"error": f"Invalid query type `{kind}`."}, 400)
        zone = zone_of(state.read(), name)
        records = list(zone["records"].values()) if zone else []
        known = [r for r in records if r["name"] == name]
        answer = [
            {"name": owner, "type": _TYPES[type_], "TTL": 300, "data": data}
            for owner, type_, data in _answers(records, name, kind)
        ]
        return json_response(
            {
                "Status": 0 if known else _NO_SUCH_NAME,
                "TC": False,
                "RD": True,
                "RA": True,
                "Question": [{"name": name, "type": _TYPES[kind]}],
                **({"Answer": answer} if answer else {}),
            }
        )

    api.add("GET", PATH, query)


def _answers(records: list[dict[str, Any]], name: str, kind: str) -> Iterator[tuple[str, str, str]]:
    for _ in range(_LONGEST_CHAIN):
        here = [r for r in records if r["name"] == name and r["type"] in ("CNAME", kind)]
        if any(r["proxied"] for r in records if r["name"] == name):
            yield from ((name, kind, address) for address in _PROXIED.get(kind, ()))
            return
        yield from ((name, r["type"], r["content"]) for r in here)
        aliases = [r["content"] for r in here if r["type"] == "CNAME"]
        if not aliases:
            return
        name = aliases[0]
