"""What a preview would do, held against what may happen when nobody looks: pure.

Records of nodes that came or went, and where it is asked for a certificate that is due. Everything
else is somebody's decision, so then nothing is done. That also keeps Pulumi's history of the stack
true: where only these differ, the commit that this runs from is the one that the stack is like.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.json_object import object_at, objects_at
from ops.approval.steps import Step, kind_and_name, node_of_record, steps

_NAMED = 5
"""Refused changes that are named; the preview has all."""
_SECRET = "edgefleet:index:IngressDaemonSet$kubernetes:core/v1:Secret"  # noqa: S105 (a type)
_CONTENT = {"data", "stringData"}
_DUE: Mapping[str, frozenset[str]] = {
    "edgefleet:index:OriginTls$tls:index/selfSignedCert:SelfSignedCert": frozenset(
        {"readyForRenewal"}
    ),
    "edgefleet:index:OriginTls$tls:index/certRequest:CertRequest": frozenset({"subject"}),
    "edgefleet:index:OriginTls$cloudflare:index/originCaCertificate:OriginCaCertificate": frozenset(
        {"csr"}
    ),
}
"""What is made anew when a certificate is due, and for which inputs: for others it isn't that."""


@dataclass(frozen=True)
class Plan:
    """What may be done to a stack.

    Attributes:
        came, went: addresses of nodes that get records, and that lose theirs, by the nodes' ids.
        moved: new addresses of nodes that keep their records.
        certificate: the certificate is due. It is renewed only where `targets` has it.
        targets: URNs of what is to be touched, and nothing besides.
        refused: why nothing is done, in sentences.
    """

    came: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    went: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    moved: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    certificate: bool = False
    targets: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def plan(preview: Mapping[str, Any], withdrawn: bool, certificates: bool) -> Plan:
    """Hold a preview of a region stack.

    Args:
        preview: what `pulumi preview --json --show-replacement-steps` printed, of all resources.
        withdrawn: the files take the cluster's records away, as it drains beside another.
        certificates: renew what is due.

    Raises PreviewError.
    """
    would = steps(preview)
    records = [step for step in would if _is_record(step)]
    due = _due(would)
    others = [step for step in would if step not in records and step not in due]
    contents = _contents(preview)
    came = _by_node((s for s in records if s.planned.operation in ("create", "import")), contents)
    refused = [
        *_others(others),
        *(_withdrawn() if withdrawn and records else ()),
        *_first(came, _known(preview)),
    ]
    touched = [*records, *(due if certificates else ())]
    return Plan(
        came=came,
        went=_by_node((s for s in records if s.planned.operation == "delete"), contents),
        moved=_by_node((s for s in records if s.planned.operation == "update"), contents),
        certificate=bool(due),
        targets=() if refused else tuple(dict.fromkeys(step.planned.urn for step in touched)),
        refused=tuple(refused),
    )


def _is_record(step: Step) -> bool:
    """A record of a node that comes, goes, or has another address."""
    urn, operation, replaced = step.planned
    if replaced or node_of_record(urn) is None:
        return False
    return operation != "update" or step.differs == ("content",)


def _due(would: Sequence[Step]) -> list[Step]:
    """A certificate's renewal, or what one that was cut off left to be done."""
    made = [step for step in would if _is_made_anew(step)]
    return [*made, *(step for step in would if _is_its_secret(step))] if made else []


def _is_made_anew(step: Step) -> bool:
    urn, operation, replaced = step.planned
    if not replaced or _type(urn) not in _DUE:
        return False
    return operation == "delete" or {*step.replaces} == _DUE[_type(urn)]


def _is_its_secret(step: Step) -> bool:
    urn, operation, replaced = step.planned
    if _type(urn) != _SECRET or not urn.endswith("-ingress-certificate"):
        return False
    differs = {*step.differs}
    return operation == "update" and not replaced and set[str]() < differs <= _CONTENT


def _type(urn: str) -> str:
    """With its parents' types."""
    return urn.split("::", 3)[2]


def _contents(preview: Mapping[str, Any]) -> dict[str, str]:
    """Addresses by URN: as they will be, or were."""
    return {
        str(step["urn"]): str(
            object_at(step, "newState", "inputs").get("content")
            or object_at(step, "oldState", "inputs").get("content", "")
        )
        for step in objects_at(preview, "steps")
    }


def _by_node(found: Iterable[Step], contents: Mapping[str, str]) -> dict[str, list[str]]:
    nodes: dict[str, list[str]] = {}
    for step in found:
        node = node_of_record(step.planned.urn)
        assert node
        nodes.setdefault(node, []).append(contents[step.planned.urn])
    return nodes


def _known(preview: Mapping[str, Any]) -> set[str]:
    """Addresses of the nodes as the last `up` knew them: the stack's output."""
    stack = (s for s in objects_at(preview, "steps") if "::pulumi:pulumi:Stack::" in str(s["urn"]))
    nodes = object_at(next(stack, {}), "oldState", "outputs", "nodes")
    return {str(address) for each in nodes.values() for address in each.values() if address}


def _others(others: Sequence[Step]) -> list[str]:
    if not others:
        return []
    named = [_told(step) for step in others[:_NAMED]]
    more = [f"and {len(others) - _NAMED} more"] if len(others) > _NAMED else []
    return [
        f"more than records of nodes would change: {', '.join([*named, *more])}. Somebody has to "
        "look: `pulumi preview`, then `pulumi up`"
    ]


def _told(step: Step) -> str:
    kind, name = kind_and_name(step.planned.urn)
    operation = "replace" if step.planned.replaced else step.planned.operation
    return f"{name} ({kind.rpartition(':')[2]}) {operation}"


def _withdrawn() -> list[str]:
    return [
        "the stack file drains this cluster beside others of its region, and the nodes have "
        "records: taking them away is what `pulumi up` does"
    ]


def _first(came: Mapping[str, Collection[str]], known: Collection[str]) -> list[str]:
    """Nodes that were there at the last `up` and had no records: the files publish them now. A few
    may be the rest of an `up` that was cut off."""
    made = {address for addresses in came.values() for address in addresses}
    if 2 * len(made & {*known}) <= len(known):
        return []
    return [
        "most of its nodes were there at the last `pulumi up`, without records: publishing a "
        "cluster is what `pulumi up` does"
    ]
