"""What came of it: a line for each stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.reconcile.plan import Plan

Result = Literal["nothing", "settled", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """A stack's. `why` says what was refused, or what failed."""

    stack: str
    result: Result
    plan: Plan = field(default_factory=Plan)
    why: str = ""


def text(outcome: Outcome) -> str:
    """A line for a person."""
    stack, found = outcome.stack, outcome.plan
    due = "; its certificate is due: --certificates renews it" if _left(outcome) else ""
    if outcome.result == "nothing":
        return f"{stack}: nothing to do{due}"
    if outcome.result == "settled":
        return f"{stack}: {_done(found)}{due}"
    if outcome.result == "refused":
        return f"{stack}: REFUSED, nothing was changed: {outcome.why}"
    return f"{stack}: FAILED: {outcome.why}"


def plain(outcome: Outcome) -> dict[str, Any]:
    """The same for a program."""
    found = outcome.plan
    return {
        "stack": outcome.stack,
        "result": outcome.result,
        "came": _listed(found.came),
        "went": _listed(found.went),
        "moved": _listed(found.moved),
        "certificate": _certificate(outcome),
        "why": outcome.why,
    }


def _done(found: Plan) -> str:
    nodes = [
        f"{len(of)} {'node' if len(of) == 1 else 'nodes'} {verb} ({_first(of)})"
        for verb, of in (("came", found.came), ("went", found.went), ("moved", found.moved))
        if of
    ]
    records = [
        f"{count} {'record' if count == 1 else 'records'} {verb}"
        for verb, of in (("made", found.came), ("deleted", found.went), ("changed", found.moved))
        if (count := sum(len(addresses) for addresses in of.values()))
    ]
    said = [f"{', '.join(nodes)}: {', '.join(records)}"] if nodes else []
    if _renews(found):
        said.append("its certificate was renewed")
    return "; ".join(said)


def _first(nodes: Mapping[str, Sequence[str]]) -> str:
    """An address of each, the shorter."""
    return ", ".join(min(addresses, key=len) for addresses in nodes.values())


def _listed(nodes: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    return [{"node": node, "addresses": list(addresses)} for node, addresses in nodes.items()]


def _renews(found: Plan) -> bool:
    return any("OriginTls$" in urn or "Secret::" in urn for urn in found.targets)


def _left(outcome: Outcome) -> bool:
    return outcome.plan.certificate and not _renews(outcome.plan)


def _certificate(outcome: Outcome) -> str:
    if not outcome.plan.certificate:
        return "not due"
    return "renewed" if outcome.result == "settled" and _renews(outcome.plan) else "due"
