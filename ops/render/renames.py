"""A stack file that got another name: nothing of it moves with the name."""

import json
import re
from collections.abc import Iterator, Mapping

from infra.state.resource_types import CLUSTER
from ops.render.resources import Rendering

ALIKE = 0.5
"""Share of a stack's resources that another stack at the same place has too, from which on it is
the same stack: a file that is renamed, and changed a little."""


def renames(before: Mapping[str, Rendering], after: Mapping[str, Rendering]) -> Iterator[str]:
    """Sentences, one for each stack that seems to have got another name."""
    gone = sorted(before.keys() - after.keys())
    new = {name: _resources(name, after[name]) for name in sorted(after.keys() - before.keys())}
    for old in gone:
        was = _resources(old, before[old])
        likeness = {
            name: _alike(was, now)
            for name, now in new.items()
            if _place(before[old]) == _place(after[name])
        }
        best = max(likeness, key=lambda name: likeness[name], default=None)
        if best is not None and likeness[best] >= ALIKE:
            del new[best]
            yield _sentence(old, best, any(r.type == CLUSTER for r in before[old].resources))


def _place(rendering: Rendering) -> tuple[object, ...]:
    """What a stack serves, and where its cluster is."""
    where = [each.inputs.get("region") for each in rendering.resources if each.type == CLUSTER]
    return rendering.outputs.get("hostname"), rendering.outputs.get("hosts"), where


def _resources(stack: str, rendering: Rendering) -> set[str]:
    """What a stack registers, without its name: that stands in those of its resources."""
    own = re.compile(rf"\b{re.escape(stack)}\b")
    return {
        own.sub("{}", json.dumps([each.type, each.name, each.inputs], sort_keys=True, default=str))
        for each in rendering.resources
    }


def _alike(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(len(one | other), 1)


def _sentence(old: str, new: str, cluster: bool) -> str:
    second = (
        "a second cluster, which is paid too, while the first goes on in nobody's hands"
        if cluster
        else "everything anew, beside what goes on in nobody's hands"
    )
    return (
        f"Pulumi.{old}.yaml → Pulumi.{new}.yaml looks like a rename. The state doesn't follow a "
        f"file's name: `pulumi up -s {new}` makes {second}. Keep the name, or take the state along "
        "(docs/configuration.md, Rename a stack)"
    )
