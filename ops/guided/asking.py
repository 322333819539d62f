"""What every guided change of a region asks first."""

import json
from pathlib import Path

from components.json_object import object_at, objects_at
from infra.errors import SettingsError
from infra.fleet.files import meant
from infra.fleet.inventory import Inventory, RegionStack
from infra.state.checkpoint import StackState
from ops.live.outputs import pulumi


def region_of(inventory: Inventory, name: str) -> RegionStack:
    """The region stack of this name, whose cluster is Vultr's. Raises SettingsError."""
    stack = inventory.stacks.get(name)
    if isinstance(stack, RegionStack) and stack.vke is None:
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:cluster.existing: `fleet upgrade` and `fleet "
                "replace-pool` are for VKE clusters. This one is upgraded, and its machines "
                "replaced, by what made it; the nodes' records follow (docs/bare-metal.md, Upgrade)"
            ]
        )
    if isinstance(stack, RegionStack):
        return stack
    names = [each.name for each in inventory.region_stacks]
    known = ", ".join(names) or "none"
    raise SettingsError(
        [f"{name}: is no region stack of this fleet; these are: {known}{meant(name, names)}"]
    )


def state_of(project: Path, stack: str) -> StackState:
    """What a stack has made. Raises PulumiFailed."""
    deployment = object_at(json.loads(pulumi(project, stack, "stack", "export")), "deployment")
    return StackState(
        {str(r["urn"]): object_at(r, "outputs") for r in objects_at(deployment, "resources")}
    )
