"""What `pulumi up` runs: read the fleet's files, refuse what is wrong, deploy this stack."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pulumi

from components.cluster.live_nodes import ClusterReader
from components.cluster.vke import vultr_of_this_stack
from components.errors import CloudflareError, NoCredential, VultrError
from components.firewall import cloudflare_ranges
from components.vendors.cloudflare import CloudflareApi
from components.vendors.credentials import cloudflare_access, stack_config
from infra.errors import SettingsError
from infra.fleet.drains import drain_warnings
from infra.fleet.files import KEYS
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack, Stack
from infra.fleet.reading import load
from infra.stacks import edge, region
from infra.stacks.origin_trust import ReadSecret, contradictions
from infra.stacks.region.cluster import Open, open_existing
from infra.state.checkpoint import StackState, read_state
from infra.state.edge_refusals import edge_refusals
from infra.state.live_refusals import live_refusals, live_warnings
from infra.state.live_twins import LiveTwins
from infra.state.orphans import take_over_orphans
from infra.state.region_refusals import region_refusals
from infra.state.survey import Survey, survey


def main() -> None:
    """Deploy the stack that Pulumi has selected. A mistake of the user's ends in one message."""
    try:
        inventory = load(Path(pulumi.get_root_directory()), current=pulumi.get_stack())
        stack = inventory.stacks[pulumi.get_stack()]
        if foreign := list(_not_from_file(stack)):
            raise SettingsError(foreign)
        for warning in inventory.warnings:
            pulumi.log.warn(warning)
        _deploy(inventory, stack)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def _deploy(inventory: Inventory, stack: Stack) -> None:
    state, found = read_state(), Survey()
    if refused := list(_refusals(stack, state)):
        raise SettingsError(refused)
    if isinstance(stack, RegionStack):
        try:
            found = survey(stack, state, vultr_of_this_stack)
            if refused := list(live_refusals(stack, found, vultr_of_this_stack)):
                raise SettingsError(refused)
        except VultrError as error:
            raise pulumi.RunError(str(error)) from None
        for warning in live_warnings(stack, inventory, found):
            pulumi.log.warn(warning)
    take_over_orphans(state, LiveTwins(vultr_of_this_stack, _cloudflare))
    register(inventory, stack, vultr_of_this_stack, pulumi.Config().require_secret, state, found)


def _refusals(stack: Stack, state: StackState) -> Iterator[str]:
    if isinstance(stack, RegionStack):
        yield from region_refusals(stack, state)
    if isinstance(stack, EdgeStack):
        try:
            yield from edge_refusals(stack, state, _cloudflare)
        except CloudflareError as error:
            yield f"{stack.file}: edgefleet:edge.blockForeignWorkers: {error}"


def _cloudflare() -> CloudflareApi:
    try:
        return CloudflareApi(cloudflare_access(stack_config))
    except NoCredential as error:
        raise pulumi.RunError(str(error)) from None


def register(
    inventory: Inventory,
    stack: Stack,
    vultr: Callable[[], ClusterReader],
    secret: ReadSecret,
    state: StackState,
    found: Survey | None = None,
    opened: Open = open_existing,
) -> None:
    """Register the resources of one stack. Raises SettingsError.

    Args:
        vultr: gives what live nodes are read with; the edge stack doesn't ask for it.
        secret: gives secrets of the stack's configuration.
        state: what the stack's last checkpoint holds.
        found: a region's cluster, as it is there already.
        opened: opens a cluster that somebody else made.
    """
    if wrong := list(contradictions(inventory)):
        raise SettingsError(wrong)
    for warning in drain_warnings(stack, inventory):
        pulumi.log.warn(warning)
    if isinstance(stack, RegionStack):
        ranges = cloudflare_ranges.load()
        region.deploy(stack, inventory, vultr, ranges, secret, found or Survey(), opened)
    if isinstance(stack, EdgeStack):
        edge.deploy(stack, inventory, secret, state)


def _not_from_file(stack: Stack) -> Iterator[str]:
    """Configuration that Pulumi has and the fleet's files haven't, or have otherwise
    (--config-file, an environment of Pulumi ESC): the files are read as files, so the two must
    agree."""
    config = pulumi.Config()
    fleet = stack.fleet.model_dump(by_alias=True)
    for key in sorted(KEYS - stack.config.keys() - stack.secrets):
        if not _same(config.get(key), fleet.get(key)):
            yield (
                f"{stack.file}: {pulumi.get_project()}:{key}: Pulumi has a value that the fleet's "
                "files don't hold (from an environment of Pulumi ESC, or --config). edgefleet "
                "reads the files themselves, and would ignore it: say it in this file"
            )
    for key, value in stack.config.items():
        given = config.get(key)
        text = value if isinstance(value, str) else json.dumps(value)
        if given is None or (given != text and _json(given) != value):
            yield (
                f"{stack.file}: {pulumi.get_project()}:{key}: Pulumi was given another value than "
                "this file holds. edgefleet reads the stack files themselves; --config-file is not "
                "supported"
            )


def _same(given: str | None, ours: object) -> bool:
    """Whether Pulumi gives what we have; where we have nothing, an empty value that Pulumi.yaml
    declares."""
    if not given or given == ours:
        return True
    value = _json(given)
    return value == ours if ours else value in ({}, [], False)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
