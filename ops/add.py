"""`fleet add`: a new cluster as one new stack file."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from infra.errors import SettingsError
from infra.fleet.inventory import RegionStack
from infra.fleet.reading import load
from infra.settings.fleet import SECRETS
from ops.command import Folder, Json, failed
from ops.files import project_dir, stack_path, trial, write_atomically
from ops.render.revisions import render_folder


def command(
    name: Annotated[str, typer.Argument(help="The new stack.")],
    like: Annotated[str, typer.Option(help="The region stack to take everything else from.")],
    location: Annotated[str, typer.Option(help="Vultr's location, like ord.")],
    region: Annotated[
        str | None,
        typer.Option(
            help="The logical region; an existing one gets a further cluster.",
            show_default="the stack's name",
        ),
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the stack file of a new cluster, drained, and say the steps that put it on air.

    The whole fleet is rendered with it first; where it would be refused, nothing is written.
    Secrets are not copied. Exit code: 0, or 2 where it can't be.
    """
    try:
        project = project_dir(folder)
        path, sentences = add(project, name, like, location, region or name)
    except SettingsError as error:
        raise failed(error) from None
    if as_json:
        typer.echo(json.dumps({"file": path.name, "next": sentences}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"wrote {path.name}\n\n" + "\n".join(sentences))


def add(project: Path, name: str, like: str, location: str, region: str) -> tuple[Path, list[str]]:
    """Write the file; its path, and what to do next. Raises SettingsError."""
    inventory = load(project)
    path = stack_path(project, name)
    if path.exists():
        raise SettingsError([f"{path.name}: is there already"])
    model = inventory.stacks.get(like)
    if not isinstance(model, RegionStack):
        regions = [stack.name for stack in inventory.region_stacks]
        raise SettingsError(
            [
                f"--like {like}: is no region stack of this fleet; these are: "
                f"{', '.join(regions) or 'none'}"
            ]
        )
    left_out = _left_out(project / model.file, inventory.project)
    text = stack_file(project / model.file, inventory.project, location, region)
    # Refused here, it is not written.
    with trial(project, [s.file for s in inventory.stacks.values()], path.name, text) as folder:
        render_folder(folder, [])
    write_atomically(path, text)
    return path, [*_steps(name, path.name, region), *left_out]


def stack_file(model: Path, project: str, location: str, region: str) -> str:
    """The model's stack file for another place: no secrets, a label of its own, drained."""
    config: dict[str, Any] = yaml.safe_load(model.read_text())["config"]
    # A place of its own and a mapped location belong to the model's location, not to the new one.
    dropped = {f"{project}:{key}" for key in (*SECRETS, "coordinates", "drain")}
    kept = {k: v for k, v in config.items() if k not in dropped and not _secret(v)}
    cluster = {"location": location, **kept[f"{project}:cluster"]} | {"location": location}
    # The label is unique in the account, and consent to a replacement isn't inherited.
    for key in ("label", "replace"):
        cluster.pop(key, None)
    kept |= {f"{project}:region": region, f"{project}:cluster": cluster, f"{project}:drain": True}
    return yaml.safe_dump(
        {"config": kept}, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100
    )


def _secret(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _left_out(model: Path, project: str) -> list[str]:
    config = yaml.safe_load(model.read_text())["config"]
    secrets = sorted(key for key, value in config.items() if _secret(value))
    return (
        [
            "",
            f"Secrets of {model.name} are not copied ({', '.join(secrets)}): set them with "
            "`pulumi config set --secret`.",
        ]
        if secrets
        else []
    )


def _steps(name: str, file: str, region: str) -> list[str]:
    return [
        f"It starts drained: no visitor is sent to {region} until that is lifted.",
        f"  1. git add {file}",
        f"     pulumi stack init {name}",
        f"     pulumi up --stack {name}, then `pulumi up` of the edge stack: it is known there, "
        "drained.",
        f"  2. Take `drain: true` out of {file}, and `pulumi up` of the edge stack again (and of "
        f"{name}, where {region} has other clusters).",
        f"Leaving goes the other way: drain, `pulumi up` of the edge stack, `pulumi destroy "
        f"--stack {name}`, remove {file}.",
    ]
