"""`fleet import`: the command."""

import json
from typing import Annotated

import typer

from components.errors import VendorError
from infra.errors import SettingsError
from ops.command import FOUND, Folder, Json, failed, say, stack_names
from ops.files import project_dir
from ops.importing.account import Account


def command(
    stack: Annotated[
        str, typer.Argument(help="The stack that is to own it.", autocompletion=stack_names)
    ],
    cluster: Annotated[
        str | None,
        typer.Option(help="The live cluster's id or label, where the stack has no file yet."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="The new file's logical region.", show_default="the stack's name"),
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Print what takes over a cluster, its firewall rules, records and Worker that exist already.

    Changes nothing: it reads with VULTR_API_KEY (not for an edge stack) and CLOUDFLARE_API_TOKEN,
    and prints a shell script with the stack file, the list for `pulumi import`, and the import.
    Read it, then run it. What the stack's state has already is left out.

    Exit code: 0; 1 where what exists can't be taken over; 2 where it couldn't look.
    """
    # Here, because it takes a second to import and no other command needs it.
    from ops.importing.live_cluster import ImportRefused
    from ops.importing.plan import plan_takeover

    say("asking Vultr and Cloudflare what is there …")
    try:
        found = plan_takeover(project_dir(folder), stack, Account(), cluster, region)
    except ImportRefused as error:
        raise failed(error, FOUND) from None
    except (SettingsError, VendorError) as error:
        raise failed(error) from None
    if as_json:
        plain = {
            "stack": found.stack,
            "file": found.file,
            "text": found.text,
            "before": found.before,
            "resources": found.entries,
            "remarks": found.remarks,
        }
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        typer.echo(found.script(), nl=False)
