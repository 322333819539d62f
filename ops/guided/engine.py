"""`pulumi up` of one stack: its output as it comes, a limit, and its cause where it fails."""

import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from components.json_object import object_at, objects_at
from ops.command import CommandError
from ops.live.outputs import backend_url, holder, locks, pulumi
from ops.pulumi_cli import of_stack

Say = Callable[[str], None]
_ENDING_SECONDS = 120
"""So long an engine that was interrupted has to write its state."""
_POLL_SECONDS = 2.0
_ROOT = "pulumi:pulumi:Stack"


class Stopped(CommandError):
    """A step that didn't come to its end; the text is for a person."""


def up(project: Path, stack: str, minutes: float, say: Say) -> None:
    """Bring a stack up. After `minutes` without a word from the engine it is interrupted.

    Raises Stopped.
    """
    free(project, stack, minutes, say)
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", *of_stack(stack)],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = _followed(process, minutes, say)
        except KeyboardInterrupt:
            # The terminal has interrupted the engine, too: it writes what it has done.
            process.wait(_ENDING_SECONDS)
            raise
    if process.returncode:
        raise Stopped(f"`pulumi up -s {stack}` failed: {cause(said)}")
    settle(project, stack)


def settle(project: Path, stack: str) -> None:
    """Let go of creations that were cut off. An `up` that went to its end has made, or taken over,
    what is wanted of them; the engine keeps them until a refresh all the same, also where what was
    made has gone since. Only the stack itself is refreshed, which asks nobody. Raises PulumiFailed.
    """
    deployment = object_at(json.loads(pulumi(project, stack, "stack", "export")), "deployment")
    if all(each["type"] != "creating" for each in objects_at(deployment, "pending_operations")):
        return
    roots = [r["urn"] for r in objects_at(deployment, "resources") if r["type"] == _ROOT]
    clear = ("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    pulumi(project, stack, *clear, "--target", str(roots[0]), seconds=_ENDING_SECONDS)


def _followed(process: "subprocess.Popen[str]", minutes: float, say: Say) -> list[str]:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.rstrip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    said: list[str] = []
    while True:
        try:
            line = lines.get(timeout=minutes * 60)
        except queue.Empty:
            process.send_signal(signal.SIGINT)
            process.wait(_ENDING_SECONDS)
            last = said[-1].strip() if said else "nothing"
            raise Stopped(
                f"`pulumi up` said nothing for {minutes:g} minutes, and was ended. Its last word: "
                f"{last}"
            ) from None
        if line is None:
            process.wait()
            return said
        said.append(line)
        if line:
            say(f"    {line}")


def cause(said: list[str]) -> str:
    """What an engine's output names as its error: the first, as others follow from it."""
    found = [line.strip() for line in said if "error:" in line]
    told = [line for line in found if "update failed" not in line] or found
    lines = [line for line in said if line.strip()]
    return (told or lines[-1:] or ["it said nothing"])[0].removeprefix("error: ")


def free(project: Path, stack: str, minutes: float, say: Say) -> None:
    """Wait for who holds the stack; a holder that was killed on this machine lets go.

    Raises Stopped.
    """
    backend, deadline = backend_url(project), time.monotonic() + minutes * 60
    told = False
    while held := locks(backend, stack):
        if elsewhere := [each for each in held if not _is_here(each)]:
            raise Stopped(
                f"{stack} is held by {holder(elsewhere[0])}. If that is gone: pulumi cancel -s "
                f"{stack}"
            )
        if not any(_lives(each) for each in held):
            say(f"    {stack} is held by {holder(held[0])}, which was killed: pulumi cancel")
            pulumi(project, stack, "cancel", "--yes")
            return
        if time.monotonic() > deadline:
            raise Stopped(f"{stack} is still held by {holder(held[0])}")
        if not told:
            say(f"    waiting for {holder(held[0])}: at most {minutes:g} minutes")
            told = True
        time.sleep(_POLL_SECONDS)


def _is_here(lock: Mapping[str, Any]) -> bool:
    return lock.get("hostname") in (socket.gethostname(), os.uname().nodename)


def _lives(lock: Mapping[str, Any]) -> bool:
    try:
        process = psutil.Process(int(lock.get("pid") or 0))
        return process.status() != psutil.STATUS_ZOMBIE and "pulumi" in process.name()
    except (psutil.NoSuchProcess, ValueError):
        return False
