"""``fleet sandbox``: a cloud on your laptop."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox import lifecycle, servers
from sandbox.engine import environment, plugins
from sandbox.engine.environment import PROVIDERS

app = typer.Typer(
    help="A cloud on your laptop: real engine and API servers, emulated vendors.",
    no_args_is_help=True,
)

_PROJECT = Path(__file__).resolve().parent.parent


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _directory() -> Path:
    return lifecycle.default_directory(_PROJECT)


def _fail(error: Exception) -> typer.Exit:
    typer.secho(f"error: {error}", err=True, fg="red")
    return typer.Exit(1)


@app.command()
def start(
    real: Annotated[
        list[str] | None,
        typer.Option(help="A provider to take from its installed plugin instead; repeatable."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The project whose stacks it runs.")
    ] = None,
) -> None:
    """Start the sandbox, or join the one that runs."""
    try:
        # Plugins read files by paths from the project's folder, as the engine starts them there.
        project = folder.resolve() if folder else _PROJECT
        lifecycle.start(_directory(), project, real or [], _say)
    except lifecycle.SandboxError as error:
        raise _fail(error) from error
    _say('now run: eval "$(fleet sandbox env)"')


@app.command()
def stop() -> None:
    """Stop it; clusters, records and stacks stay for the next start."""
    try:
        _say("stopped" if lifecycle.stop(_directory(), _say) else "no sandbox runs here")
    except lifecycle.SandboxError as error:
        raise _fail(error) from error


@app.command()
def reset() -> None:
    """Stop it and delete its state, that of its Pulumi stacks included."""
    try:
        lifecycle.reset(_directory(), _say)
    except lifecycle.SandboxError as error:
        raise _fail(error) from error


@app.command()
def env() -> None:
    """Print the variables that lead pulumi to the sandbox, for eval."""
    try:
        values = lifecycle.env(_directory(), _PROJECT, os.environ.get("PATH", ""))
    except lifecycle.SandboxError as error:
        raise _fail(error) from error
    typer.echo(environment.exports(values), nl=False)


@app.command("kubeadm")
def kubeadm_(
    name: Annotated[str, typer.Argument(help="The cluster's name.")],
    kubeconfig: Annotated[
        Path, typer.Option(help="Write the kubeconfig to this file.", show_default=False)
    ],
    nodes: Annotated[int, typer.Option(min=1, help="Workers, besides the control plane.")] = 3,
) -> None:
    """Make a cluster on plain servers, which Vultr knows nothing of: kubeadm's, with Calico."""
    path = kubeconfig.expanduser()
    try:
        servers.write_kubeconfig(path, servers.make(_directory(), name, nodes, _say))
    except lifecycle.SandboxError as error:
        raise _fail(error) from error
    _say(f"{name}: its kubeconfig is {path}")


@app.command("plugins")
def plugins_() -> None:
    """Print the commands that install the providers' official plugins, for `start --real`."""
    folder = plugins.folder_in(_directory(), os.environ)
    absent = plugins.missing(
        plugins.wanted(PROVIDERS),
        folder,
        environment.without(os.environ.get("PATH", ""), _directory()),
    )
    for plugin in absent:
        typer.echo(plugin.install)
    if not absent:
        _say(f"all are installed: {', '.join(PROVIDERS)}, in {folder} or on PATH")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show clusters, ports, memory, and what is real and what is emulated."""
    found = lifecycle.status(_directory())
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        typer.echo(_text(found))
    if not found["running"]:
        raise typer.Exit(3)


def _text(found: dict[str, Any]) -> str:
    if not found["running"]:
        return f"no sandbox runs in {found['directory']}"
    lines = [
        f"running since {found['started']}, process {found['pid']}, {found['memory_mb']} MB",
        f"state     {found['directory']}",
        "ports     " + _pairs(found["ports"]),
        "providers " + _pairs(found["providers"]),
        "real      " + ", ".join(found["real"]),
        "emulated  " + ", ".join(found["emulated"]),
        "clusters  " + ("" if found["clusters"] else "none"),
    ]
    for each in found["clusters"]:
        lines.append(
            f"  {each['id']}  {each['label']}  {each['version']}  {each['memory_mb']} MB  "
            f"{each['state']}"
        )
    return "\n".join(lines)


def _pairs(values: dict[str, int]) -> str:
    return ", ".join(f"{name} {port}" for name, port in values.items())
