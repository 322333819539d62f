"""`fleet demo`: the whole fleet on the sandbox, and what came up."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from infra.errors import SettingsError
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from ops.command import CommandError, failed
from sandbox import lifecycle
from sandbox.engine.environment import inside

Say = Callable[[str], None]


_PROJECT = Path(__file__).resolve().parents[1]


def command() -> None:
    """Bring the whole fleet up on the sandbox, and show what came up."""
    try:
        typer.echo(run(_PROJECT, lambda line: typer.echo(line, err=True)))
    except (DemoError, lifecycle.SandboxError, SettingsError) as error:
        raise failed(error) from None


class DemoError(CommandError):
    """A stack that did not come up; the text is for a person."""


@dataclass(frozen=True)
class Shown:
    """What one stack came to: its outputs."""

    stack: str
    outputs: Mapping[str, Any]


def run(project: Path, say: Say) -> str:
    """Start the sandbox, bring every stack of the fleet up, return what came up as text.

    Regions come up beside each other, the edge after them. Run again, it changes nothing.
    Raises DemoError, SandboxError, SettingsError.
    """
    inventory = load(project)
    directory = lifecycle.default_directory(project)
    lifecycle.start(directory, project, [], say)
    environment = inside(os.environ, lifecycle.env(directory, project, os.environ.get("PATH", "")))
    stacks = _Stacks(project, directory / "logs", environment, say)
    regions = [stack.name for stack in inventory.region_stacks]
    edges = [stack.name for stack in inventory.edge_stacks]
    stacks.up(regions)
    stacks.up(edges)
    return summary(inventory, [stacks.outputs(name) for name in (*regions, *edges)])


class _Stacks:
    """`pulumi`, as a person would type it."""

    def __init__(self, project: Path, logs: Path, environment: Mapping[str, str], say: Say) -> None:
        self._project = project
        self._logs = logs
        self._environment = environment
        self._say = say

    def up(self, names: Sequence[str]) -> None:
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            for _ in pool.map(self._up, names):
                pass

    def _up(self, name: str) -> None:
        self._say(f"{name}: pulumi up")
        began = time.monotonic()
        log = self._logs / f"up-{name}.log"
        with log.open("w") as out:
            ended = subprocess.run(
                ["pulumi", "up", "-s", name, "--yes", "--skip-preview", "--color=never"],
                cwd=self._project,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        text = log.read_text()
        if ended.returncode:
            tail = "\n".join(text.splitlines()[-25:])
            raise DemoError(f"{name} did not come up; the end of {log}:\n{tail}")
        self._say(f"{name}: {changes(text)}, {time.monotonic() - began:.0f} s")

    def outputs(self, name: str) -> Shown:
        shown = subprocess.run(
            ["pulumi", "stack", "output", "-s", name, "--json"],
            cwd=self._project,
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return Shown(name, json.loads(shown.stdout))


def changes(log: str) -> str:
    """The counts that `pulumi up` ends with (`26 created`), as one phrase."""
    _, _, counts = log.partition("\nResources:\n")
    lines = counts.partition("\n\n")[0].splitlines()
    return ", ".join(line.strip().lstrip("+-~ ").strip() for line in lines) or "done"


def summary(inventory: Inventory, shown: Sequence[Shown]) -> str:
    """What came up, as a table for a terminal."""
    rows = [("REGION", "LOCATION", "NODES", "RECORDS", "HOST NAME", "CLUSTER")]
    lines: list[str] = []
    for each in shown:
        stack = inventory.stacks[each.stack]
        if isinstance(stack, RegionStack):
            nodes = each.outputs["nodes"]
            rows.append(
                (
                    each.stack,
                    stack.settings.cluster.location,
                    str(len(nodes)),
                    f"{len(nodes)} A, {len(nodes)} AAAA",
                    each.outputs["hostname"],
                    each.outputs["clusterId"],
                )
            )
        else:
            into = [row["name"] for row in each.outputs["regions"] if not row["drain"]]
            lines.append(f"{', '.join(each.outputs['hosts'])} → Worker → {', '.join(into)}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(["", *table, "", *lines])
