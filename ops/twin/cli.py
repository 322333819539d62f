"""`fleet twin`: the demo's fleet with real packets, visited while it is hurt."""

import os
import shlex
import time
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from components.firewall import cloudflare_ranges
from infra.errors import SettingsError
from infra.fleet.inventory import RegionStack
from infra.fleet.reading import load
from ops import demo
from ops.command import FOUND, CommandError, failed
from ops.files import project_dir
from ops.twin.changes import Changes
from sandbox import lifecycle
from sandbox.engine.environment import inside
from sandbox.processes import ProcessFailed
from sandbox.twin import account, picture
from sandbox.twin.namespaces import TwinError, missing
from sandbox.twin.run import Plan, run
from sandbox.twin.site import PLACES, Site

_INTERRUPTED = 130
_REQUESTS, _RATE = 100_000, 150.0


def command(
    requests: Annotated[int, typer.Option(min=1, help="How many visitors' requests.")] = _REQUESTS,
    rate: Annotated[float, typer.Option(min=1, help="How many a second.")] = _RATE,
    seed: Annotated[int, typer.Option(help="What happens, and to whom; 0: the clock's.")] = 0,
    svg: Annotated[Path | None, typer.Option(help="Where to draw the run.")] = None,
    stay: Annotated[
        bool, typer.Option(help="Let nothing happen; keep it up until Ctrl-C, to try by hand.")
    ] = False,
) -> None:
    """Run the demo's fleet as namespaces with real firewalls, nginx and Worker, and hurt it.

    Exit code 1: a promise wasn't kept.
    """
    if why := missing():
        raise failed(f"no twin on this machine: {why}")
    seed = seed or int(time.time())
    try:
        kept = _twin(project_dir(), Plan(seed, requests, rate), stay, svg)
    except (CommandError, SettingsError, lifecycle.SandboxError, TwinError, ProcessFailed) as error:
        raise failed(error) from None
    except KeyboardInterrupt:
        _say("interrupted; `fleet demo` puts the stacks back as the files say")
        raise typer.Exit(_INTERRUPTED) from None
    if not kept:
        raise typer.Exit(FOUND)


def require_runnable(stacks: Iterable[RegionStack]) -> None:
    """Raises CommandError for what has no machines in the twin."""
    for stack in stacks:
        settings = stack.settings
        lacking = {
            "a cluster that Vultr didn't make": stack.vke is None,
            "ingress.controller: traefik": settings.ingress.controller != "nginx",
            "cilium": bool(settings.cilium),
            "loadBalancer": bool(settings.load_balancer),
        }
        if found := [name for name, there in lacking.items() if there]:
            raise CommandError(
                f"{stack.file}: {', '.join(found)}: the twin has Vultr's nodes with Calico and "
                "nginx on their own ports, nothing else. Run it with stack files that have these"
            )


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _twin(project: Path, plan: Plan, stay: bool, svg: Path | None) -> bool:
    """Bring it up, visit it, say what came of it; whether every promise was kept."""
    require_runnable(load(project).region_stacks)
    demo.run(project, _say, Console(stderr=True, highlight=False))
    directory = lifecycle.default_directory(project)
    environment = inside(os.environ, lifecycle.env(directory, project, os.environ.get("PATH", "")))
    folder = directory / "twin"
    changes = Changes(project, folder / "project", environment)
    try:
        _say("asking for Cloudflare's client certificate at every origin")
        changes.require_client_certificates()
        both = changes.regions[0]
        _say(f"protecting the nodes of {both} by Calico and by ufw")
        changes.protect_twice(both)
        changes.all_up()
        ranges = cloudflare_ranges.load().cidrs
        with Site(directory, folder / "site", ranges, plan.seed, _say) as site:
            if stay:
                _say("up until Ctrl-C; as visitors, from another terminal:")
                for place in PLACES:
                    command = site.curl_command(str(ip_network(place.networks[0])[7]))
                    url = f"https://{min(site.published.visited, key=len)}/"
                    typer.echo(f"# {place.name}\n{shlex.join([*command, '-i', url])}")
                while True:
                    time.sleep(3600)
            outcome = run(site, changes, plan, _say)
        typer.echo(account.summary(outcome))
        if svg:
            svg.write_text(picture.draw(outcome))
            _say(f"drawn: {svg}")
        return not outcome.broken
    finally:
        _say("putting the stacks back as the files say")
        changes.put_back()
