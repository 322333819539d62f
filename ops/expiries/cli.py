"""`fleet expiries`: what nears its end, before it ends."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509

from components.errors import VendorError
from components.firewall import cloudflare_ranges
from components.firewall.cloudflare_ranges import CloudflareRanges
from infra.fleet.inventory import CA_FILE
from infra.stacks.origin_trust import certificates
from ops.command import COULD_NOT, FOUND, Folder, Json, failed
from ops.doctor.finding import Blind
from ops.expected import Stacks, of_command
from ops.expiries.endings import Asked, Ending, endings
from ops.expiries.text import due, plain, text
from ops.live.apis import cloudflare_api
from ops.live.asking import SECONDS, Unasked, beside
from ops.live.looking import look
from ops.live.seen import Wanted
from ops.progress import asking
from ops.ranges.cli import source
from ops.ranges.source import diff, fetch
from ops.tables import terminal_width

_SECONDS = 2 * SECONDS + 5
"""A look asks twice, each time for SECONDS at most."""
_WANTED = Wanted(dns=False, outside=False, state=False, logs=False)


def command(
    stacks: Stacks = None,
    within: Annotated[
        int, typer.Option("--within", min=0, max=3650, help="Days that count as soon.")
    ] = 30,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """List what ends, the first first: certificates, Kubernetes releases, keys, pins.

    The ingress's certificates, Cloudflare's client certificate and its CA, the releases of
    Kubernetes that clusters run, the kubeconfigs' certificates, the Cloudflare token; and whether
    Cloudflare's pinned ranges are still right. It changes nothing.

    Exit code: 0 where nothing ends soon, 1 where something does, 2 where somebody couldn't be asked
    or the files are wrong.
    """
    project, regions, edges = of_command(folder, stacks)
    pin, authorities = _pins(project)
    accounts = sorted({edge.account_id for edge in edges})
    questions: dict[str, Callable[[], Any]] = {
        "the fleet": lambda: look(project, regions, edges, _WANTED),
        "the Cloudflare token": lambda: token_ends(accounts),
        "Cloudflare's ranges": lambda: diff(pin, fetch(source(), date.today())),
    }
    with asking() as waiting:
        told = beside(questions, _SECONDS, waiting)
    seen = told["the fleet"]
    if isinstance(seen, Unasked):
        raise failed(seen.cause)
    asked = Asked(told["the Cloudflare token"], told["Cloudflare's ranges"], pin, authorities)
    now = datetime.now(UTC)
    found = endings(seen, asked, now)
    if as_json:
        typer.echo(json.dumps(plain(found, now, within), indent=2))
    else:
        typer.echo(text(found, now, within, terminal_width()))
    if any(isinstance(each, Ending) and due(each, now, within) for each in found):
        raise typer.Exit(FOUND)
    if any(isinstance(each, Blind) for each in found):
        raise typer.Exit(COULD_NOT)


def _pins(project: Path) -> tuple[CloudflareRanges, list[datetime]]:
    """Cloudflare's ranges as pinned, and when the CAs end. Raises typer.Exit."""
    try:
        file = project / CA_FILE
        return cloudflare_ranges.load(), _ends(file.read_text()) if file.exists() else []
    except (OSError, ValueError) as error:
        raise failed(error) from None


def token_ends(accounts: Sequence[str]) -> datetime | None:
    """When the Cloudflare token ends, None where it has no end. One that belongs to an account, and
    not to a user, is known there alone. Raises VendorError."""
    api = cloudflare_api()
    try:
        told = api.token(None)
    except VendorError:
        if len(accounts) != 1:
            raise
        told = api.token(accounts[0])
    ends = told.get("expires_on")
    return datetime.fromisoformat(str(ends).replace("Z", "+00:00")) if ends else None


def _ends(pem: str) -> list[datetime]:
    found = (x509.load_pem_x509_certificate(each.encode()) for each in certificates(pem))
    return [each.not_valid_after_utc for each in found]
