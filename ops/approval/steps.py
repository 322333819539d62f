"""What `pulumi preview --json` would do, as a set: one entry for each resource that it touches.

The engine's format, read in its source (pulumi 3.246.0, pkg/display/json.go, resource/deploy/
step.go): `steps` is left out where there are none; the stack itself is always among them; `same`
stands there only where a resource's protection changes; the physical halves of a replacement
(`create-replacement`, `delete-replaced`) only with --show-replacement-steps; a resource that was
refreshed has `update` or `delete` in place of `refresh`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast

from infra.state.resource_types import RECORD
from ops.command import CommandError

Operation = Literal["create", "update", "delete", "import"]


class Planned(NamedTuple):
    """What happens to a resource. `replaced`: it is deleted and made anew (an update); or an old
    copy of it that a replacement left behind is deleted (a delete)."""

    urn: str
    operation: Operation
    replaced: bool = False


class Step(NamedTuple):
    """A planned step with what the engine says about it: the inputs that differ, and those that
    make the provider replace the resource."""

    planned: Planned
    differs: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


class PreviewError(CommandError):
    """A preview's output that isn't what `pulumi preview --json` writes; the text is for a person.

    Also where the preview failed: it stops at its first error, so its steps are not all of them.
    """


_REPLACING = {"replace", "create-replacement", "read-replacement", "import-replacement"}
_LEFT_BEHIND = {"delete-replaced", "discard-replaced", "remove-pending-replace"}
_PLAIN: Mapping[str, Operation] = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "import": "import",
}
_NOTHING = {"same", "read", "discard", "refresh", "diff"}
"""Operations that change nothing at a vendor, nor what the stack has."""

_STACK = "pulumi:pulumi:Stack"
_NODES_RECORD = re.compile(
    rf"urn:pulumi:[^:]+::[^:]+::edgefleet:index:RegionalDns\${RECORD}::.+-dns-(.+)-(?:a|aaaa)"
)
_DEFAULT_PROVIDER = re.compile(r"default(_.+)?")
"""Providers that the engine makes by itself, named by their version and where they come from:
`default_6_10_1`, `default_2_27_1_github_/api.github.com/dirien/pulumi-vultr`."""


def planned(preview: Mapping[str, Any]) -> set[Planned]:
    """What a preview would do, from its JSON. Raises PreviewError."""
    return {step.planned for step in steps(preview)}


def steps(preview: Mapping[str, Any]) -> list[Step]:
    """What a preview would do, by URN. Raises PreviewError.

    Left out: the stack itself, providers that no program asked for, and what changes nothing.
    """
    by_urn: dict[str, list[Mapping[str, Any]]] = {}
    for step in _listed(preview):
        by_urn.setdefault(step["urn"], []).append(step)
    found = [
        made
        for urn, of in sorted(by_urn.items())
        if not _the_engines(urn)
        for made in _one(urn, of)
    ]
    return found


def names(planned: Iterable[Step]) -> tuple[str, ...]:
    """Of the resources that are touched."""
    return tuple(kind_and_name(step.planned.urn)[1] for step in planned)


def node_of_record(urn: str) -> str | None:
    """The node's id, where it is a node's DNS record."""
    matched = _NODES_RECORD.fullmatch(urn)
    return matched[1] if matched else None


def parse(text: str) -> Mapping[str, Any]:
    """The document in what `pulumi preview --json` printed; plugins may print lines before it.
    Raises PreviewError."""
    start = 0 if text.startswith("{") else text.find("\n{") + 1
    try:
        document = json.JSONDecoder().raw_decode(text[start:])[0] if text[start:] else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        head = text.strip().splitlines()
        raise PreviewError(f"no JSON of `pulumi preview --json`: {head[0] if head else 'empty'}")
    return cast("Mapping[str, Any]", document)


def _listed(preview: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for said in preview.get("diagnostics") or []:
        if said.get("severity") == "error":
            text = str(said.get("message", "")).strip().removeprefix("error: ")
            raise PreviewError(f"the preview failed: {text}")
    if "changeSummary" not in preview:
        raise PreviewError("the preview has no summary: it didn't come to its end")
    for step in preview.get("steps") or []:
        if not isinstance(step, dict) or not {"op", "urn"} <= step.keys():
            raise PreviewError(f"a step without `op` and `urn`: {json.dumps(step)[:200]}")
        yield cast("Mapping[str, Any]", step)


def _one(urn: str, of: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
    """Steps of one resource as one; two where it is made anew and an old copy goes besides."""
    by_op = {step["op"]: step for step in of}
    if unknown := by_op.keys() - _REPLACING - _LEFT_BEHIND - _PLAIN.keys() - _NOTHING:
        raise PreviewError(f"{urn}: {min(unknown)}: an operation that this version doesn't know")
    replacing = [step for op, step in by_op.items() if op in _REPLACING]
    if replacing:
        said = by_op.get("replace", replacing[0])
        yield Step(Planned(urn, "update", True), _keys(said, "diffReasons"), _replaces(said))
        return
    if by_op.keys() & _LEFT_BEHIND:
        yield Step(Planned(urn, "delete", True))
    for op, step in by_op.items():
        if op in _PLAIN:
            yield Step(Planned(urn, _PLAIN[op]), _keys(step, "diffReasons"))
        elif op == "same" and _protected(step, "oldState") != _protected(step, "newState"):
            yield Step(Planned(urn, "update"), ("(protect)",))


def _keys(step: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(sorted(str(each) for each in step.get(key) or []))


def _replaces(step: Mapping[str, Any]) -> tuple[str, ...]:
    return _keys(step, "replaceReasons")


def _protected(step: Mapping[str, Any], side: str) -> bool:
    return bool((step.get(side) or {}).get("protect"))


def _the_engines(urn: str) -> bool:
    kind, name = kind_and_name(urn)
    if kind == _STACK:
        return True
    return kind.startswith("pulumi:providers:") and bool(_DEFAULT_PROVIDER.fullmatch(name))


def kind_and_name(urn: str) -> tuple[str, str]:
    """A URN's own type, without its parents', and its name."""
    parts = urn.split("::", 3)
    if len(parts) != 4:
        raise PreviewError(f"{urn}: is no URN")
    return parts[2].rpartition("$")[2], parts[3]
