"""What was approved, and what `pulumi up` would do now: pure, from plain values.

Approved is what the difference of the files said: from the commit that a stack was last brought up
from, to the one that is brought up now. What `pulumi preview` would do beyond that, somebody did
outside of the repository, or a vendor did, or the time: a person looks before it is carried out.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.approval.steps import Planned, Step, kind_and_name, node_of_record

_LOOKS = {
    f"pulumi-python:dynamic/index:{name}"
    for name in ("HostEndpointsMade", "NodeNetworks", "NodesInStep", "OwnNames", "Rollout")
}
"""Resources whose update only looks again, or waits."""
_WAY_IN = {"kubeconfig", "version", "pluginDownloadURL", "pluginChecksums"}
"""Inputs of a provider that say how it gets in, and which plugin it is: no resource's."""


@dataclass(frozen=True)
class Verdict:
    """A preview held against what was approved.

    `unapproved` is what nobody approved, with the sentence; `follows` what only follows the nodes
    and the way into the cluster; `settled` what was approved and is so already.
    """

    unapproved: list[tuple[Step, str]] = field(default_factory=list)
    follows: list[Step] = field(default_factory=list)
    settled: list[Planned] = field(default_factory=list)
    approved: int = 0

    @property
    def digest(self) -> str:
        """Names just this difference: who agrees to it agrees to no other."""
        lines = sorted(repr(tuple(step)) for step, _ in self.unapproved)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def agreed_to(self, stack: str, codes: str) -> bool:
        """Whether somebody agreed to what nobody approved, by `STACK:CODE`s with commas."""
        wanted = f"{stack}:{self.digest}"
        return bool(self.unapproved) and wanted in codes.replace(" ", "").split(",")


def approved(diff: Mapping[str, Any]) -> set[Planned]:
    """What a stack of `fleet render --diff REF --json` says will happen."""
    return {
        *(Planned(each["urn"], "create") for each in diff["added"]),
        *(Planned(each["urn"], "update", bool(each["replaced"])) for each in diff["changed"]),
        *(Planned(each["urn"], "delete") for each in diff["removed"]),
    }


def compare(diffs: Sequence[set[Planned]], steps: Iterable[Step], unfinished: bool) -> Verdict:
    """Hold a preview's steps against what was approved.

    Args:
        diffs: what the files said, since the last commit that was brought up and since each that
            was tried in vain after it: the state may have something of any.
        unfinished: a run since then was broken off, or something was imported, so that the state
            may have half of what was approved.
    """
    said: dict[str, set[Planned]] = {}
    for each in (planned for diff in diffs for planned in diff):
        said.setdefault(each.urn, set()).add(each)
    unapproved: list[tuple[Step, str]] = []
    follows: list[Step] = []
    count, seen = 0, set[str]()
    for step in steps:
        seen.add(step.planned.urn)
        known = said.get(step.planned.urn, set())
        if step.planned in known or (unfinished and _half(step.planned, known)):
            count += 1
        elif _follows(step):
            follows.append(step)
        else:
            unapproved.append((step, _sentence(step, known)))
    settled = sorted(
        each for urn in said.keys() - seen for each in said[urn] if not _is_component(each)
    )
    return Verdict(unapproved, follows, settled, count)


def _half(planned: Planned, known: set[Planned]) -> bool:
    """Whether it is the rest of what was approved and begun."""
    urn = planned.urn
    made, remade = Planned(urn, "create"), Planned(urn, "update", True)
    rests = {
        # Made, but not to its end: the engine updates it. Made, and its answer lost: taken over.
        made: {Planned(urn, "update"), Planned(urn, "import")},
        # The old one is deleted already; or the new one is there, and the old one is to go.
        remade: {made, Planned(urn, "import"), Planned(urn, "delete", True)},
    }
    return any(planned in rests.get(each, ()) for each in known)


def _follows(step: Step) -> bool:
    """Whether nobody writes it into a file: it follows the nodes, or the way into the cluster."""
    urn, operation, replaced = step.planned
    if replaced:
        return False
    if operation == "update":
        kind, _ = kind_and_name(urn)
        way_in = bool(step.differs) and set(step.differs) <= _WAY_IN
        return kind in _LOOKS or (kind.startswith("pulumi:providers:") and way_in)
    return node_of_record(urn) is not None


def _is_component(planned: Planned) -> bool:
    """One of ours that only holds others; the engine shows no change of it."""
    kind, _ = kind_and_name(planned.urn)
    return kind.startswith("edgefleet:index:")


_WOULD = {
    ("create", False): "would be created",
    ("update", False): "would be changed",
    ("update", True): "would be REPLACED, deleted and made anew",
    ("delete", False): "would be deleted",
    ("delete", True): "has an old copy, left by a replacement, that would be deleted",
    ("import", False): "would be taken over as it is",
}
_SAID = {
    ("create", False): "created",
    ("update", False): "changed in place",
    ("update", True): "replaced",
    ("delete", False): "deleted",
}
_WHY = {
    "create": "it isn't in the stack's state: somebody deleted it, or `pulumi refresh` missed it",
    "update": (
        "somebody changed it outside of the repository and `pulumi up` puts it back, or it is due "
        "by itself, as a certificate near its end, or follows from what else changes"
    ),
    "delete": "it is in the stack's state, and the files didn't have it: a run from elsewhere",
    "import": "it is at the vendor, and not in the stack's state",
}


def _sentence(step: Step, known: set[Planned]) -> str:
    kind, name = kind_and_name(step.planned.urn)
    key = (step.planned.operation, step.planned.replaced)
    fields = ", ".join(step.replaces or step.differs)
    what = f"{name} ({kind}) {_WOULD[key]}" + (f" for {fields}" if fields else "")
    if known:
        said = " or ".join(sorted(_SAID[each.operation, each.replaced] for each in known))
        return f"{what}; the files say that it is {said}"
    return f"{what}; the files say nothing of it: {_WHY[step.planned.operation]}"
