"""The emulated Cloudflare's state: one account, and its zones."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sandbox.vendors.cloudflare.http import iso_date, refuse, stable_id
from sandbox.vendors.store import Document, Store

ACCOUNT_ID = stable_id("account")
Zone = dict[str, Any]


class CloudflareState:
    """The state, and the checks that every path of an account or a zone begins with.

    ``clock`` gives Unix time in seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def read(self) -> Document:
        """A copy of the state."""
        return self._store.read()

    def change(self) -> AbstractContextManager[Document]:
        """The state, to be changed; an exception leaves it as it was."""
        return self._store.transaction()

    def seconds(self) -> float:
        """Unix time."""
        return self._clock()

    def date(self) -> str:
        """The time as the API writes it."""
        return iso_date(self._clock())

    def account(self, document: Document, account_id: str) -> Document:
        """The account's own part of the state; refused for an account that isn't the token's."""
        if account_id != ACCOUNT_ID:
            raise refuse(403, 10000, "Authentication error")
        return document.setdefault("account", {})

    def zone(self, document: Document, zone_id: str) -> Zone:
        """The zone; refused for one that isn't the token's."""
        if zone_id not in zones(document):
            raise refuse(403, 10000, "Authentication error")
        return zones(document)[zone_id]


def zones(document: Document) -> dict[str, Zone]:
    """All zones by id."""
    return document.setdefault("zones", {})


def zone_of(document: Document, hostname: str) -> Zone | None:
    """The zone that a host name (a wildcard too) lies in, or None."""
    for zone in zones(document).values():
        if hostname == zone["name"] or hostname.endswith(f".{zone['name']}"):
            return zone
    return None


def add_zone(document: Document, name: str, date: str) -> Zone:
    """Add a zone, or return the one that has this name. Its id depends on the name alone."""
    name = name.lower().rstrip(".")
    zone_id = stable_id(f"zone {name}")
    if zone_id not in zones(document):
        zones(document)[zone_id] = {
            "id": zone_id,
            "name": name,
            "created_on": date,
            "records": {},
            "routes": {},
            "settings": {},
            "rulesets": {},
            "origin_pulls": {"enabled": False, "certificates": {}},
        }
    return zones(document)[zone_id]
