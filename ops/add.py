"""`fleet add`: a new cluster as one new stack file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from infra.errors import SettingsError
from infra.fleet.files import meant
from infra.fleet.inventory import RegionStack
from infra.fleet.reading import load
from infra.pins.catalog import catalog
from infra.settings.fleet import SECRETS
from ops.adding_steps import steps
from ops.command import Folder, Json, failed, stack_names
from ops.files import project_dir, stack_path, trial, write_atomically
from ops.render.revisions import render_folder


@dataclass(frozen=True)
class Place:
    """Where a new cluster goes. `coordinates` in degrees, for a location that our list lacks."""

    location: str
    region: str
    coordinates: Mapping[str, float] | None = None


def _locations(incomplete: str) -> list[str]:
    return [code for code in catalog().locations if code.startswith(incomplete)]


def command(
    name: Annotated[str, typer.Argument(help="The new stack.")],
    like: Annotated[
        str,
        typer.Option(
            help="The region stack to take everything else from.", autocompletion=stack_names
        ),
    ],
    location: Annotated[
        str, typer.Option(help="Vultr's location, like ord.", autocompletion=_locations)
    ],
    region: Annotated[
        str | None,
        typer.Option(
            help="The logical region; an existing one gets a further cluster.",
            show_default="the stack's name",
        ),
    ] = None,
    latitude: Annotated[
        float | None,
        typer.Option(
            min=-90, max=90, help="Where a location lies that our list doesn't know; degrees."
        ),
    ] = None,
    longitude: Annotated[
        float | None, typer.Option(min=-180, max=180, help="The same, eastwards.")
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
        place = Place(location, region or name, _coordinates(location, latitude, longitude))
        path, sentences = add(project, name, like, place)
    except SettingsError as error:
        raise failed(error) from None
    if as_json:
        typer.echo(json.dumps({"file": path.name, "next": sentences}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"wrote {path.name}\n\n" + "\n".join(sentences))


def _coordinates(
    location: str, latitude: float | None, longitude: float | None
) -> dict[str, float] | None:
    if latitude is not None and longitude is not None:
        return {"latitude": latitude, "longitude": longitude}
    if latitude is not None or longitude is not None:
        raise SettingsError(["--latitude and --longitude: one says nothing without the other"])
    known = catalog()
    if location in known.locations:
        return None
    raise SettingsError(
        [
            f"--location {location}: is not in the list of {known.read}. Where Vultr has it, say "
            f"where it lies, in degrees: --latitude and --longitude{_meant(location.casefold())}"
        ]
    )


def _meant(location: str) -> str:
    """The code or city that somebody mistyped, as a question; nothing where none is near."""
    known = catalog().locations
    cities = {place.city.casefold(): code for code, place in known.items()}
    near = [
        *get_close_matches(location, known, n=1),
        *(cities[city] for city in get_close_matches(location, cities, n=1, cutoff=0.75)),
    ]
    return f"; did you mean {near[0]} ({known[near[0]].city})?" if near else ""


def add(project: Path, name: str, like: str, place: Place) -> tuple[Path, list[str]]:
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
                f"{', '.join(regions) or 'none'}{meant(like, regions)}"
            ]
        )
    if model.vke is None:
        raise SettingsError(
            [
                f"--like {like}: {model.file} has a cluster that Vultr didn't make: copy the file, "
                "and say the other cluster's kubeconfig, addresses and networks in it "
                "(docs/bare-metal.md)"
            ]
        )
    left_out = _left_out(project / model.file, inventory.project)
    text = stack_file(project / model.file, inventory.project, place)
    # Refused here, it is not written.
    with trial(project, [s.file for s in inventory.stacks.values()], path.name, text) as folder:
        render_folder(folder, [])
        with_it = load(folder)
    write_atomically(path, text)
    for warning in sorted({*with_it.warnings} - {*inventory.warnings}):
        typer.echo(f"warning: {warning}", err=True)
    return path, [*steps(inventory, with_it, name), *left_out]


def stack_file(model: Path, project: str, place: Place) -> str:
    """The model's stack file for another place: no secrets, a label of its own, drained."""
    config: dict[str, Any] = yaml.safe_load(model.read_text())["config"]
    # A place of its own and a mapped location belong to the model's location, not to the new one.
    dropped = {f"{project}:{key}" for key in (*SECRETS, "coordinates", "drain")}
    kept = {k: v for k, v in config.items() if k not in dropped and not _secret(v)}
    cluster = {"location": place.location, **kept[f"{project}:cluster"]}
    cluster |= {"location": place.location}
    # The label is unique in the account, and consent to a replacement isn't inherited.
    for key in ("label", "replace"):
        cluster.pop(key, None)
    kept |= {f"{project}:region": place.region, f"{project}:cluster": cluster}
    if place.coordinates:
        kept[f"{project}:coordinates"] = dict(place.coordinates)
    kept[f"{project}:drain"] = True
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
