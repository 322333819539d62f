"""The state: no visitor meets it, but the next `pulumi up` does."""

from collections.abc import Iterator
from datetime import datetime

from ops.doctor.finding import Blind, Finding, Told, some
from ops.live.asking import Unasked
from ops.live.facts import StateFacts
from ops.live.seen import EdgeSeen, RegionSeen


def of_region(seen: RegionSeen, _: datetime) -> Iterator[Told]:
    """The stack, and the key to the cluster that it holds."""
    stack = seen.expected.stack
    yield from _of(stack, seen.state)
    if seen.stale_key:
        yield _finding(
            stack,
            "kubeconfig-old",
            "the cluster refuses the kubeconfig in the state (401)",
            "It was rotated at Vultr; all of this was asked with Vultr's current one.",
            f"pulumi up -s {stack}",
        )


def of_edge(seen: EdgeSeen, _: datetime) -> Iterator[Told]:
    """The stack."""
    yield from _of(seen.expected.stack, seen.state)


def _of(stack: str, state: StateFacts | Unasked) -> Iterator[Told]:
    if isinstance(state, Unasked):
        yield Blind("Pulumi's state", stack, state.cause)
        return
    if state.locks:
        yield _finding(
            stack,
            "locked",
            f"held by {some([*state.locks])}",
            "An `up` runs, or was killed: the next one is refused.",
            f"wait for it; if it is gone: pulumi cancel -s {stack}, then pulumi up -s {stack}",
        )
    elif state.pending:
        yield _finding(
            stack,
            "cut-off",
            f"cut off: {some([*state.pending])}",
            "An `up` was cut off; the next one finishes it.",
            # The engine keeps a creation that was cut off until then (docs/facts/pulumi.md).
            f"pulumi up -s {stack}; if it stays: pulumi refresh -s {stack} --clear-pending-creates",
        )


def _finding(stack: str, fault: str, came: str, means: str, do: str) -> Finding:
    return Finding("state", fault, stack, stack, f"Pulumi's state of {stack}", came, means, do)
