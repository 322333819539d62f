"""`ZoneMemory`: remembers how a setting of a zone was found, and puts it back on destroy.

The provider's own resources leave a zone's settings as they set them (docs/facts/real-providers.md,
Cloudflare 6 and 7). A resource that only reads is checkpointed before another one changes the
setting, so an update that dies in between doesn't take our own value for the one it found.

The provider class runs in a process of its own (Pulumi's dynamic provider) and may block.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
)

from ..errors import CloudflareError
from ..own_resource import OwnResource
from ..vendors.cloudflare import CloudflareApi
from ..vendors.credentials import cloudflare_access
from ..vendors.provider import VendorProvider


class Setting(NamedTuple):
    """Where a setting is: `path` below the zone, its `field`, and the `method` that writes it."""

    path: str
    field: str
    method: str


ORIGIN_PULLS = Setting("origin_tls_client_auth/settings", "enabled", "PUT")


def zone_setting(setting_id: str) -> Setting:
    """One of a zone's plain settings, such as `ssl`."""
    return Setting(f"settings/{setting_id}", "value", "PATCH")


class _Provider(VendorProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        found = self._ask(props, "GET")[props["field"]]
        return CreateResult(f"{props['zone_id']}/{props['path']}", {**props, "found": found})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        changed = [key for key in ("zone_id", "path") if olds[key] != news[key]]
        return DiffResult(changes=bool(changed), replaces=changed, delete_before_replace=False)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        now = self._ask(props, "GET")[props["field"]]
        if now != props["found"]:
            self._ask(props, props["method"], {props["field"]: props["found"]})

    def _ask(
        self, props: Mapping[str, Any], method: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        cloudflare = CloudflareApi(cloudflare_access(self.config))
        try:
            return cloudflare.of_zone(method, props["zone_id"], props["path"], body)
        except CloudflareError as error:
            hint = (
                "Run the command again"
                if error.status is None
                else "The token must be allowed to edit the zone's settings, SSL and certificates"
            )
            raise CloudflareError(f"{error}. {hint}", error.status) from None


class ZoneMemory(OwnResource, name="ZoneMemory", provider=_Provider):
    """How a setting was when this resource was made: `found`.

    What changes the setting comes after it (`depends_on`), and so goes before it.
    """

    found: pulumi.Output[Any]

    def __init__(
        self,
        name: str,
        zone_id: pulumi.Input[str],
        setting: Setting,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"zone_id": zone_id, **setting._asdict(), "found": None}
        super().__init__(name, props, opts)
