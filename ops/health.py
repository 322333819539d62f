"""`fleet health`: whether a stack that was brought up answers, asked through the edge.

The nodes admit Cloudflare only, so whoever asks from elsewhere asks Cloudflare: a region by its own
host name, as the Worker's probes do, and the site by its hosts.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

import requests
import typer

from components.ingress.contract import HEALTH_PATH, REGION_HEADER
from components.vendors.causes import why
from infra.errors import SettingsError
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack
from infra.fleet.reading import load
from ops.command import FOUND, Folder, Json, failed, say, stack_names
from ops.files import project_dir

_IN_A_ROW = 3
"""Well answers that count as well: each may be another node's."""
_PAUSE_SECONDS = 2.0
_TIMEOUT = (5, 10)
_URL = "https://{host}{path}"
_CAUSES: Mapping[int, str] = {
    403: "something refuses us: a WAF or bot rule of the zone, or the ingress",
    404: "nothing answers that path: is the ingress another one?",
    520: "the node broke the connection off",
    521: "the node refuses connections: no ingress runs there, or a firewall rejects Cloudflare",
    522: "the node doesn't answer: a firewall drops Cloudflare's packets, or the node is down",
    523: "Cloudflare finds no way to the node",
    524: "the node took a connection and answered nothing",
    525: "the TLS handshake with the node failed",
    526: "the node's certificate isn't one that Cloudflare takes (SSL mode Full, strict)",
    530: "Cloudflare has no address for the host: are the records there?",
}
"""What Cloudflare's own answers mean (its documentation, 5xx errors)."""


@dataclass(frozen=True)
class Asked:
    """A host to ask. `region` is whose answer it has to be; a site's may be any region's."""

    host: str
    path: str
    region: str | None = None


@dataclass(frozen=True)
class Health:
    """How a host answered, the last time that it was asked."""

    host: str
    path: str
    well: bool
    said: str


def command(
    stack: Annotated[str, typer.Argument(help="The stack's name.", autocompletion=stack_names)],
    within: Annotated[
        int, typer.Option(min=1, max=3600, help="Seconds to wait until it is well.")
    ] = 120,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Ask whether a stack answers, through Cloudflare: three times in a row, each host.

    A region is asked for its health path by its own host name, as the Worker's probes do; an edge
    stack for its hosts, where any region's answer is well. Needs no credentials.

    Exit code: 0 it is well; 1 it isn't; 2 the files are wrong.
    """
    try:
        asked, closed = hosts(load(project_dir(folder), current=stack), stack)
    except SettingsError as error:
        raise failed(error) from None
    found = [waited(each, within) for each in asked]
    if as_json:
        document = {"hosts": [asdict(each) for each in found], "maintenance": closed}
        typer.echo(json.dumps(document, indent=2))
    else:
        for each in found:
            word = "well" if each.well else "NOT WELL"
            typer.echo(f"{each.host}{each.path}: {word}: {each.said}")
        for host in closed:
            typer.echo(f"{host}: not asked: it is in maintenance")
    if not all(each.well for each in found):
        raise typer.Exit(FOUND)


def hosts(inventory: Inventory, name: str) -> tuple[list[Asked], list[str]]:
    """Whom to ask of a stack; and hosts that say themselves that they are closed."""
    stack = inventory.stacks[name]
    if isinstance(stack, RegionStack):
        paths = {edge.settings.health_path or HEALTH_PATH for edge in inventory.edge_stacks}
        path = paths.pop() if len(paths) == 1 else HEALTH_PATH
        return [Asked(stack.hostname, path, stack.region)], []
    if not isinstance(stack, EdgeStack):
        return [], []
    closed = [host for host in stack.fleet.hosts if stack.settings.closed([host])]
    return [Asked(host, "/") for host in stack.fleet.hosts if host not in closed], closed


def waited(asked: Asked, within: float, pause: Callable[[float], object] = time.sleep) -> Health:
    """Ask until it is well three times in a row, or the time is over."""
    deadline, row = time.monotonic() + within, 0
    while True:
        found = once(asked)
        row = row + 1 if found.well else 0
        if row == _IN_A_ROW or (not found.well and time.monotonic() >= deadline):
            return found
        if not found.well:
            say(f"{asked.host}: {found.said}; asked again for {within:.0f} s at most …")
            pause(_PAUSE_SECONDS)


def once(asked: Asked) -> Health:
    """Ask one time."""
    url = _URL.format(host=asked.host, path=asked.path)
    headers = {"User-Agent": "edgefleet-health", "Cache-Control": "no-cache"}
    try:
        answer = requests.get(
            url, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
        )
    except requests.RequestException as error:
        return Health(asked.host, asked.path, False, why(error))
    with answer:
        well, said = judged(asked, answer.status_code, answer.headers.get(REGION_HEADER))
    return Health(asked.host, asked.path, well, said)


def judged(asked: Asked, status: int, region: str | None) -> tuple[bool, str]:
    """What an answer says: pure."""
    whose = f" from {region}" if region else ""
    if asked.region is None:
        # A site's answer may well be 404; one of a region's own shows that the edge works.
        well = status < 500 or region is not None
        return well, f"status {status}{whose}" + ("" if well else _cause(status, _NO_REGION))
    if region is not None and region != asked.region:
        return False, f"status {status}, but from {region}: the host name leads elsewhere"
    well = 200 <= status < 400
    return well, f"status {status}{whose}" + ("" if well else _cause(status, "no sign of health"))


_NO_REGION = "the Worker found no region that answers, or isn't on this host"


def _cause(status: int, otherwise: str) -> str:
    return f": {_CAUSES.get(status, otherwise)}"
