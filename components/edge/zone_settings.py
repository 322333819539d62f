"""`ZoneSettings`: settings of the whole zone, put back as they were found on destroy.

They hold for every host of the zone, ours or not, so nothing here is set unless it is asked for.
"""

from collections.abc import Mapping
from typing import TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..vendors import cloudflare_resources as cloudflare
from .zone_memory import ZoneMemory, zone_setting


class ZoneSettingsArgs(TypedDict):
    """What holds for the whole zone."""

    zone_id: pulumi.Input[str]
    """Cloudflare's id of the zone. Another one: the settings go back here, and are made there."""
    settings: Mapping[str, str]
    """Values by Cloudflare's names (`ssl`, `min_tls_version`). A value changes in place; a setting
    that is taken out goes back to what it was."""


class ZoneSettings(pulumi.ComponentResource):
    """Each setting, with the memory of what it was. Of each there is one in a zone."""

    def __init__(
        self, name: str, args: ZoneSettingsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("ZoneSettings", name, ZoneSettingsArgs, args)
        super().__init__("edgefleet:index:ZoneSettings", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for setting, value in args["settings"].items():
            memory = ZoneMemory(
                f"{name}-{setting}-found",
                args["zone_id"],
                zone_setting(setting),
                child,
            )
            cloudflare.ZoneSetting(
                f"{name}-{setting}",
                zone_id=args["zone_id"],
                setting_id=setting,
                value=value,
                opts=pulumi.ResourceOptions.merge(
                    child, pulumi.ResourceOptions(depends_on=[memory])
                ),
            )
        self.register_outputs({})
