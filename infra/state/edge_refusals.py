"""What the edge stack refuses to do: overwrite what others made, or take the site off the air."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from components.edge.deployment import Share
from components.edge.worker_filter import PHASE, foreign_rules
from components.json_object import objects_at
from infra.fleet.inventory import EdgeStack
from infra.state.checkpoint import StackState
from infra.state.resource_types import DEPLOYMENT, RULESET, SCRIPT, WORKER


class Rulesets(Protocol):
    """What is asked of Cloudflare; `CloudflareApi` is one."""

    def entrypoint(self, zone_id: str, phase: str) -> dict[str, Any] | None: ...


def edge_refusals(
    stack: EdgeStack, state: StackState, cloudflare: Callable[[], Rulesets]
) -> Iterator[str]:
    """What must not happen, as sentences. Raises CloudflareError.

    Cloudflare is asked only where custom rules are ours, or are to be.
    """
    yield from one_worker_two_owners(stack, state)
    yield from _rules_of_others(stack, state, cloudflare)


def deployed(state: StackState) -> list[Share]:
    """The versions of the Worker that serve, as the state knows them."""
    return [
        {"version_id": version["versionId"], "percentage": version["percentage"]}
        for outputs in state.of_type(DEPLOYMENT).values()
        for version in objects_at(outputs, "versions")
    ]


def one_worker_two_owners(stack: EdgeStack, state: StackState) -> Iterator[str]:
    """A Worker goes over from a script to versions, or back, by a new name only."""
    edge = stack.settings
    kind, key = (SCRIPT, "scriptName") if edge.deployment else (WORKER, "name")
    if any(outputs.get(key) == edge.script for outputs in state.of_type(kind).values()):
        yield (
            f"{stack.file}: edgefleet:edge.deployment: the Worker {edge.script!r} was made "
            f"{'without' if edge.deployment else 'with'} it, and deleting that would take the new "
            "one along. Give edge.script another name: the routes go over to the new Worker, then "
            "the old one is deleted"
        )


def _rules_of_others(
    stack: EdgeStack, state: StackState, cloudflare: Callable[[], Rulesets]
) -> Iterator[str]:
    ours = bool(state.of_type(RULESET))
    if not (ours or stack.settings.block_foreign_workers):
        return
    found = foreign_rules(cloudflare().entrypoint(stack.fleet.zone_id, PHASE))
    if not found:
        return
    listed = ", ".join(repr(name) for name in found)
    if ours:
        yield (
            f"{stack.file}: edgefleet:edge.blockForeignWorkers: the ruleset of our WAF rule now "
            f"has rules that others made ({listed}), and an update would delete them. Move them "
            "elsewhere; or keep them and let go of the ruleset: `pulumi state delete` its URN, and "
            "blockForeignWorkers: false"
        )
    else:
        yield (
            f"{stack.file}: edgefleet:edge.blockForeignWorkers: the zone {stack.fleet.domain} has "
            f"custom WAF rules already ({listed}), and the provider owns all or none: it would "
            "overwrite them. Leave this false and add the rule by hand (docs/edge.md has it)"
        )
