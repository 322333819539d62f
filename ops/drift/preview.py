"""What `pulumi preview --refresh` says: the engine and the providers compare, resource by resource.

Of what there is nothing better: each provider knows which fields count. `preview --refresh` reads
and writes no state; `pulumi refresh` would.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.json_object import Json, is_list, is_object, object_at, objects_at
from ops.approval.steps import kind_and_name
from ops.pulumi_cli import PREVIEW_SECONDS, PulumiFailed, of_stack, run

_SECRET = "[secret]"  # noqa: S105 (what stands for one)
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What Pulumi says of a value that only the update will tell."""
_MARK = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a value of a kind of its own, as a secret."""
_LONGEST = 60
_SAYS = {
    "create": "isn't there",
    "delete": "is there, and the code has none",
    "replace": "can't be changed to what the code says, but only made anew",
    "update": "differs",
}


@dataclass(frozen=True)
class Change:
    """A resource that isn't as the code says. `fields` are `name: what is, not what the code has`.

    `op` is the engine's: create, update, replace, delete.
    """

    op: str
    type: str
    name: str
    fields: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """In words."""
        told = _SAYS.get(self.op, self.op)
        return f"{told}: {'; '.join(self.fields)}" if self.fields else told


def preview(project: Path, stack: str) -> tuple[Change, ...]:
    """Ask the engine. It changes nothing. Raises PulumiFailed."""
    return changes(report(project, stack, "--refresh"))


def report(project: Path, stack: str, *options: str) -> Json:
    """What `pulumi preview --json` says. Raises PulumiFailed."""
    command = ("preview", *options, "--json")
    ran = run(project, *command, *of_stack(stack), seconds=PREVIEW_SECONDS)
    found = _report(ran.stdout)
    if ran.returncode or found is None:
        asked = " ".join(["pulumi preview", *options])
        raise PulumiFailed(f"`{asked}`: {_why(found, ran.stderr)}")
    return found


def changes(report: Mapping[str, Any]) -> tuple[Change, ...]:
    """The steps that change something, in the order of their names.

    What only follows from another resource's change, as a rollout does, is left out.
    """
    found = {
        step["urn"]: Change(
            _op(str(step["op"])),
            *kind_and_name(str(step["urn"])),
            tuple(_fields(step)),
        )
        for step in objects_at(report, "steps")
        if step["op"] not in ("same", "read", "refresh", "discard") and not _follows(step)
    }
    return tuple(sorted(found.values(), key=lambda change: (change.name, change.type)))


def _follows(step: Json) -> bool:
    """Whether all that differs isn't known yet: nothing was seen to be otherwise."""
    old, new = _inputs(step)
    differing = [k for k in new.keys() | old.keys() if new.get(k) != old.get(k) and k[:2] != "__"]
    return bool(differing) and all(new.get(key) == _UNKNOWN for key in differing)


def _inputs(step: Json) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return object_at(step, "oldState", "inputs"), object_at(step, "newState", "inputs")


def _op(op: str) -> str:
    """A replacement has several steps."""
    return "replace" if "replace" in op else op


def _fields(step: Json) -> list[str]:
    if step["op"] != "update":
        return []
    old, new = _inputs(step)
    keys = sorted(k for k in old.keys() | new.keys() if not k.startswith("__"))
    told = [part for key in keys for part in _differs(key, old.get(key), new.get(key))]
    if told:
        return told[:6] + [f"and {len(told) - 6} more"] * (len(told) > 6)
    reasons = step.get("diffReasons") or list(object_at(step, "detailedDiff"))
    return [str(reason) for reason in reasons]


def _differs(path: str, old: object, new: object) -> list[str]:
    if old == new or new == _UNKNOWN:
        return []
    if _is_plain(old) and _is_plain(new):
        keys = sorted({*object_at({"v": old}, "v"), *object_at({"v": new}, "v")})
        return [
            part
            for key in keys
            for part in _differs(
                f"{path}.{key}",
                object_at({"v": old}, "v").get(key),
                object_at({"v": new}, "v").get(key),
            )
        ]
    return [f"{path} is {_shown(old)}, not {_shown(new)}"]


def _is_plain(value: object) -> bool:
    return is_object(value) and _MARK not in value


def _shown(value: object) -> str:
    if value is None:
        return "not there"
    if is_object(value) and _MARK in value:
        return _SECRET
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if is_list(value) and any(is_object(each) and _MARK in each for each in value):
        return _SECRET
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _report(text: str) -> Json | None:
    """The JSON object that the output ends with: what comes before it is for people."""
    for start in (i for i, c in enumerate(text) if c == "{" and (i == 0 or text[i - 1] == "\n")):
        try:
            return json.loads(text[start:])
        except ValueError:
            continue
    return None


def _why(report: Json | None, stderr: str) -> str:
    told = [
        str(each.get("message", "")).strip()
        for each in objects_at(report, "diagnostics")
        if each.get("severity") == "error"
    ]
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return "; ".join(filter(None, told)) or (lines[-1] if lines else "it said nothing")
