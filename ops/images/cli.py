"""`fleet images`: which images the fleet runs, and their digests."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import LockError, SettingsError
from infra.fleet.reading import load as load_inventory
from infra.pins.images import LOCK, load, save
from ops.command import COULD_NOT, FOUND, CommandError, Folder, Json, failed
from ops.files import program_file, project_dir
from ops.images.registry import Registries, RegistryDown, RegistryError
from ops.render.resources import Rendering
from ops.render.revisions import render_folder

app = typer.Typer(help="Container images by digest.", no_args_is_help=True)


@app.callback()
def images() -> None:
    """Keeps the command below one name, also while there is only one of them."""


@app.command()
def lock(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail where the file is out of date.")
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask again for tags that are locked already.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Look up the digest of every image that a stack runs, and write images.lock.json.

    Digests that are known stay, unless --refresh asks for what the tags are now. --check asks no
    registry, but with --refresh.

    Exit code: 0; 1 where an image has no digest, or with --check the file is out of date; 2 where
    a registry couldn't be asked or the files are wrong.
    """
    try:
        file = program_file(LOCK, folder)
        used = used_images(project_dir(folder))
        known = load(file)
    except (SettingsError, LockError, CommandError) as error:
        raise failed(error) from None
    ask = Registries().digest
    found = looked_up(used, known, ask if not check or refresh else None, refresh)
    lines = list(found.report(known))
    stale = found.digests != known
    if stale and not check:
        save(found.digests, file)
        lines.append(f"{file.name}: {len(found.digests)} images")
    if as_json:
        plain = {"digests": dict(found.digests), "missing": dict(found.missing), "stale": stale}
        typer.echo(json.dumps(plain, indent=2))
    else:
        typer.echo("".join(f"{line}\n" for line in lines), nl=False)
    if found.unasked:
        raise typer.Exit(COULD_NOT)
    raise typer.Exit(FOUND if found.missing or (stale and check) else 0)


@dataclass(frozen=True)
class LookedUp:
    """`digests` by image, and why there are none for `missing`. `unasked`: a registry was down."""

    digests: Mapping[str, str]
    missing: Mapping[str, str]
    unasked: bool = False

    def report(self, known: Mapping[str, str]) -> Iterator[str]:
        """What differs from `known`, a line each."""
        for image, digest in self.digests.items():
            if image not in known:
                yield f"{image}: locked to {digest}"
            elif known[image] != digest:
                yield f"{image}: the tag moved from {known[image]} to {digest}"
        for image in known.keys() - self.digests.keys() - self.missing.keys():
            yield f"{image}: locked, but no stack runs it"
        for image, why in self.missing.items():
            yield f"{image}: pinned by its tag only: {why}"


def looked_up(
    used: Iterable[str],
    known: Mapping[str, str],
    ask: Callable[[str], str] | None,
    refresh: bool = False,
) -> LookedUp:
    """Digests of `used` images. A digest is what a registry said, now or before; never a guess."""
    digests, missing, unasked = {}, {}, False
    for image in sorted(set(used)):
        if image in known and not refresh:
            digests[image] = known[image]
            continue
        try:
            if ask is None:
                raise RegistryError("no digest is locked: run `fleet images lock`")
            digests[image] = ask(image)
        except RegistryError as error:
            missing[image] = str(error).removeprefix(f"{image}: ")
            unasked |= isinstance(error, RegistryDown)
            if image in known:
                digests[image] = known[image]
    return LookedUp(digests, missing, unasked)


def used_images(project: Path) -> set[str]:
    """name:tag of every image in any region stack's resources, as the folder's own program has
    them. Raises SettingsError, RevisionError."""
    names = [stack.name for stack in load_inventory(project).region_stacks]
    found: set[str] = set()
    for rendering in render_folder(project, names).values() if names else ():
        found |= images_in(rendering)
    return found


def images_in(rendering: Rendering) -> set[str]:
    """name:tag of every image in a rendered stack, digests left away."""
    found = (image for r in rendering.resources for image in _images(r.inputs))
    return {image.partition("@")[0] for image in found}


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("image"), str):
            yield value["image"]
        for item in value.values():
            yield from _images(item)
    elif isinstance(value, list):
        for item in value:
            yield from _images(item)
