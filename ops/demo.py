"""`fleet demo`: the whole fleet on the sandbox, and what came up."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from infra.errors import SettingsError
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from ops.command import CommandError, Folder, failed
from ops.progress import Stack, watching
from ops.tables import table, terminal_width
from sandbox import lifecycle
from sandbox.engine.environment import inside

Say = Callable[[str], None]


_INTERRUPTED = 130
_PROJECT = Path(__file__).resolve().parents[1]


def command(folder: Folder = None) -> None:
    """Bring the whole fleet up on the sandbox, and show what came up."""
    try:
        console = Console(stderr=True, highlight=False)
        project = folder.resolve() if folder else _PROJECT
        typer.echo(run(project, lambda line: typer.echo(line, err=True), console))
    except (DemoError, lifecycle.SandboxError, SettingsError) as error:
        raise failed(error) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; run it again, and it goes on from here", err=True)
        raise typer.Exit(_INTERRUPTED) from None


class DemoError(CommandError):
    """A stack that did not come up; the text is for a person."""


@dataclass(frozen=True)
class Shown:
    """What one stack came to: its outputs."""

    stack: str
    outputs: Mapping[str, Any]


def run(project: Path, say: Say, console: Console) -> str:
    """Start the sandbox, bring every stack of the fleet up, return what came up as text.

    Regions come up beside each other, the edge after them. Run again, it changes nothing. `say`
    gets lines; a `console` that is a terminal shows how far each stack is. Raises DemoError,
    SandboxError, SettingsError.
    """
    inventory = load(project)
    directory = lifecycle.default_directory(project)
    lifecycle.start(directory, project, [], say)
    environment = inside(os.environ, lifecycle.env(directory, project, os.environ.get("PATH", "")))
    pulumi = _Pulumi(project, directory / "logs", environment)
    regions = [Stack(stack.name) for stack in inventory.region_stacks]
    edges = [Stack(stack.name) for stack in inventory.edge_stacks]
    # The table has a row for what these lines say.
    tell = (lambda _: None) if console.is_terminal else say
    with watching([*regions, *edges], say, console):
        for stacks in (regions, edges):
            pulumi.up(stacks, tell)
    shown = [pulumi.outputs(stack.name) for stack in (*regions, *edges)]
    width = terminal_width()
    return summary(inventory, shown, width) + next_steps(inventory, width, project)


class _Pulumi:
    """`pulumi`, as a person would type it."""

    def __init__(self, project: Path, logs: Path, environment: Mapping[str, str]) -> None:
        self._project = project
        self._logs = logs
        self._environment = environment

    def up(self, stacks: Sequence[Stack], tell: Say) -> None:
        """All of them beside each other. Raises DemoError when all have ended."""
        with ThreadPoolExecutor(max(1, len(stacks))) as pool:
            for _ in pool.map(lambda stack: self._up(stack, tell), stacks):
                pass

    def _up(self, stack: Stack, tell: Say) -> None:
        tell(f"{stack.name}: pulumi up")
        stack.began = time.monotonic()
        log = self._logs / f"up-{stack.name}.log"
        command = ["pulumi", "up", "-s", stack.name, "--yes", "--skip-preview", "--color=never"]
        text: list[str] = []
        with (
            log.open("w") as out,
            subprocess.Popen(
                [*command, "--non-interactive"],
                cwd=self._project,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            for line in process.stdout or ():
                out.write(line)
                text.append(line)
                stack.feed(line, time.monotonic())
        stack.ended = time.monotonic()
        if process.returncode:
            stack.failed = True
            tail = "".join(text[-25:])
            raise DemoError(f"{stack.name} did not come up; the end of {log}:\n{tail}")
        counts, seconds = changes("".join(text)), stack.seconds(stack.ended)
        stack.finish(counts)
        tell(f"{stack.name}: {counts}, {seconds:.0f} s")

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
    # The last line sums up where some stayed: `32 changes. 7 unchanged`.
    told = [line.rpartition(" changes. ")[2].lstrip("+-~= ").rstrip() for line in lines]
    return ", ".join(told) or "done"


def next_steps(
    inventory: Inventory, terminal: int | None = None, project: Path | None = None
) -> str:
    """What to try on the fleet that is up: commands for the terminal that it was started from."""
    here = project is None or project.resolve() == Path.cwd()
    program = Path(sys.executable).with_name("fleet")
    fleet = "fleet" if shutil.which("fleet") else ".venv/bin/fleet" if here else str(program)
    first = inventory.region_stacks[-1].name if inventory.region_stacks else "edge"
    more = {
        f"{fleet} add {first}-2 --like {first} --location ord": "one more stack file, drained",
        f'eval "$({fleet} sandbox env)" && pulumi up -s {first}-2': "one more cluster",
    }
    vultrs = any(stack.vke for stack in inventory.region_stacks)
    elsewhere: dict[str, str] = {}
    if project is not None and not here:
        sandbox = lifecycle.default_directory(project)
        elsewhere = {
            f"cd {shlex.quote(os.path.relpath(project))}": "where this fleet's files are",
            f"export EDGEFLEET_SANDBOX_DIR={shlex.quote(str(sandbox))}": "which sandbox is its",
        }
    commands = {
        **elsewhere,
        f'eval "$({fleet} sandbox env)"': "pulumi works on the sandbox now, in this terminal",
        f"pulumi preview -s {first} --diff": "no changes: it is as the files say",
        **(more if vultrs else {}),
        f"{fleet} list": "the clusters, and what they run",
        f"{fleet} sandbox status": "what runs here, what is real and what is emulated",
        f"{fleet} sandbox stop": "all stays for the next start; `reset` deletes it",
    }
    width = max(map(len, commands))
    lines = [f"  {command:<{width}}  # {why}" for command, why in commands.items()]
    if terminal is not None and max(map(len, lines)) > terminal:
        lines = [f"  # {why}\n  {command}" for command, why in commands.items()]
    return "\n".join(["", "", "Try next:", *lines])


def _records(stack: RegionStack, nodes: Mapping[str, Mapping[str, str]]) -> str:
    """How many of each type there are: of a load balancer's addresses, else of the nodes'."""
    balancer = stack.settings.load_balancer
    announced = balancer.ingress.said if balancer and balancer.ingress else None
    found = [a for node in nodes.values() for a in node.values() if a]
    addresses = found if announced is None else announced
    six = sum(":" in address for address in addresses)
    counted = {"A": len(addresses) - six, "AAAA": six}
    return ", ".join(f"{count} {kind}" for kind, count in counted.items() if count)


def summary(inventory: Inventory, shown: Sequence[Shown], width: int | None = None) -> str:
    """What came up, as a table for a terminal of so many columns."""
    rows = [("REGION", "LOCATION", "NODES", "RECORDS", "HOST NAME", "CLUSTER")]
    lines: list[str] = []
    for each in shown:
        stack = inventory.stacks[each.stack]
        if isinstance(stack, RegionStack):
            nodes = each.outputs["nodes"]
            rows.append(
                (
                    each.stack,
                    stack.vke.location if stack.vke else "(existing)",
                    str(len(nodes)),
                    _records(stack, nodes),
                    each.outputs["hostname"],
                    each.outputs["clusterId"],
                )
            )
        else:
            into = [row["name"] for row in each.outputs["regions"] if not row["drain"]]
            lines.append(f"{', '.join(each.outputs['hosts'])} → Worker → {', '.join(into)}")
    fitted = table(rows, width, ("CLUSTER", "RECORDS"))
    return "\n".join(["", fitted, "", *lines])
