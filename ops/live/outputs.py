"""A stack as Pulumi knows it: its outputs, and who holds it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from components.json_object import object_at, objects_at
from ops.live.facts import StateFacts
from ops.pulumi_cli import PulumiFailed, of_stack, run

_SECONDS = 30


def read_outputs(project: Path, stack: str) -> dict[str, Any]:
    """The stack's outputs, secrets in clear: they stay in this process. Raises PulumiFailed."""
    return json.loads(pulumi(project, stack, "stack", "output", "--json", "--show-secrets"))


def read_state(project: Path, stack: str, backend: str) -> StateFacts:
    """What was cut off, and who holds the stack. Raises PulumiFailed.

    `backend` is `backend_url()`. Only a backend of files tells who holds a stack; Pulumi's own
    service refuses a second update by itself.
    """
    deployment = object_at(json.loads(pulumi(project, stack, "stack", "export")), "deployment")
    return StateFacts(
        locks=tuple(map(holder, locks(backend, stack))),
        pending=tuple(cut_off(deployment)),
    )


def cut_off(deployment: Mapping[str, Any]) -> Iterator[str]:
    """Operations of a state's export that were begun and not finished.

    Where something was being made, the engine keeps the operation until a refresh, also when a
    later `up` has made or adopted it (pulumi 3.246.0, pkg/backend/snapshot.go): what the state has
    by now isn't cut off any more.
    """
    there = {str(each["urn"]) for each in objects_at(deployment, "resources")}
    for each in objects_at(deployment, "pending_operations"):
        urn = str(object_at(each, "resource").get("urn", ""))
        if each["type"] != "creating" or urn not in there:
            yield f"{each['type']} {urn.rpartition('::')[2]}"


def backend_url(project: Path) -> str:
    """Where the state is kept. Raises PulumiFailed."""
    told = _run(project, "whoami", "--verbose", "--json", "--non-interactive")
    return str(json.loads(told).get("url", ""))


def pulumi(project: Path, stack: str, *command: str) -> str:
    """What a command of Pulumi's about a stack prints. Raises PulumiFailed."""
    return _run(project, *command, *of_stack(stack))


def _run(project: Path, *command: str) -> str:
    ran = run(project, *command, seconds=_SECONDS)
    if ran.returncode:
        raise PulumiFailed(_why(ran.stderr or ran.stdout, command))
    return ran.stdout


def _why(said: str, command: tuple[str, ...]) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error:")]
    return f"`pulumi {' '.join(command[:2])}`: {(errors or lines or ['it said nothing'])[-1]}"


def locks(backend: str, stack: str) -> list[Mapping[str, Any]]:
    """Who holds a stack, as Pulumi writes it (`pid`, `username`, `hostname`, `timestamp`); empty
    for one that can't be read. Nothing where the backend isn't one of files."""
    if not backend.startswith("file://"):
        return []
    folder = Path(unquote(backend.removeprefix("file://").partition("?")[0])) / ".pulumi" / "locks"
    return [_lock(path) for path in sorted(folder.glob(f"**/{stack}/*.json"))]


def _lock(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def holder(lock: Mapping[str, Any]) -> str:
    """Who that is, in words."""
    if not lock:
        return "somebody, who can't be read"
    who = f"{lock.get('username', 'somebody')}@{lock.get('hostname', 'some machine')}"
    return f"{who}, process {lock.get('pid', '?')}, since {lock.get('timestamp', '?')}"
