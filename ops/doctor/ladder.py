"""The ladder: rung after rung, from the top, until one fails."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from ops.doctor.finding import RUNGS, Blind, Finding, Note, OfEdge, OfRegion, Rung, Told
from ops.doctor.rungs import (
    cloud_firewall,
    dataplane,
    dns,
    edge,
    edge_regions,
    node,
    node_firewall,
    process,
    state,
)
from ops.live.seen import Seen

_OF_REGION: Mapping[Rung, OfRegion] = {
    "dns": dns.of_region,
    "cloud-firewall": cloud_firewall.of_region,
    "node-firewall": node_firewall.of_region,
    "node": node.of_region,
    "process": process.of_region,
    "dataplane": dataplane.of_region,
    "edge": edge_regions.of_region,
    "state": state.of_region,
}
_OF_EDGE: Mapping[Rung, OfEdge] = {
    "dns": dns.of_edge,
    "edge": edge.of_edge,
    "state": state.of_edge,
}


@dataclass(frozen=True)
class Report:
    """What the ladder found. `well` are the rungs that nothing was found on, `left` those that
    nobody looked at, as one above them failed."""

    findings: tuple[Finding, ...]
    blind: tuple[Blind, ...]
    notes: tuple[Note, ...]
    well: tuple[Rung, ...]
    left: tuple[Rung, ...]


def climb_down(
    seen: Seen,
    now: datetime,
    rungs: Collection[Rung] = RUNGS,
    *,
    whole: bool = False,
    symptoms: bool = False,
) -> Report:
    """Go down these rungs; `whole` doesn't stop at the first that fails. `symptoms` are told also
    where something explains them."""
    concerned = of_stacks(bool(seen.regions), bool(seen.edges))
    told: dict[Rung, list[Told]] = {
        rung: [*_rung(rung, seen, now)] for rung in concerned if rung in rungs
    }
    # A symptom is told where nothing else explains it, on whatever rung that is.
    causes = {t.stack for each in told.values() for t in each if _is_cause(t)}
    regions = {each.expected.stack for each in seen.regions}
    vultrs = any(each.expected.given is None for each in seen.regions)
    empty: tuple[Rung, ...] = () if vultrs else ("cloud-firewall",)
    findings: list[Finding] = []
    blind: dict[tuple[str, str], Blind] = {}
    notes: dict[Note, None] = {}
    well: list[Rung] = []
    left: list[Rung] = []
    for rung in told:
        if findings and not whole:
            left.append(rung)
            continue
        here = [
            t
            for t in told[rung]
            if isinstance(t, Finding) and (symptoms or not _explained(t, causes, regions))
        ]
        findings += here
        missing = [t for t in told[rung] if isinstance(t, Blind)]
        for each in missing:
            blind.setdefault((each.system, each.stack), each)
        notes |= dict.fromkeys(t for t in told[rung] if isinstance(t, Note))
        if not here and not missing and rung not in empty:
            well.append(rung)
    unknown = _unmade(findings, blind)
    return Report(tuple(findings), tuple(unknown), tuple(notes), tuple(well), tuple(left))


def of_stacks(regions: bool, edges: bool) -> tuple[Rung, ...]:
    """The rungs that there are where some stacks are region stacks, or edge stacks."""
    of = {**(_OF_REGION if regions else {}), **(_OF_EDGE if edges else {})}
    return tuple(rung for rung in RUNGS if rung in of)


def _rung(rung: Rung, seen: Seen, now: datetime) -> Iterator[Told]:
    for region in seen.regions:
        yield from _OF_REGION[rung](region, now)
    if of_edge := _OF_EDGE.get(rung):
        for each in seen.edges:
            yield from of_edge(each, now)


def _is_cause(told: Told) -> bool:
    return isinstance(told, Blind) or (isinstance(told, Finding) and not told.symptom)


def _explained(finding: Finding, causes: Collection[str], regions: Collection[str]) -> bool:
    """A region's symptom by something of its own; the edge's by anything at all."""
    if not finding.symptom:
        return False
    return finding.stack in causes if finding.stack in regions else bool(causes)


def _unmade(findings: list[Finding], blind: Mapping[tuple[str, str], Blind]) -> Iterator[Blind]:
    """A cluster that isn't there, or is another, isn't asked: that is told already."""
    gone = {f.stack for f in findings if f.fault in ("cluster-missing", "cluster-other")}
    for each in blind.values():
        if each.system != "its API server" or each.stack not in gone:
            yield each
