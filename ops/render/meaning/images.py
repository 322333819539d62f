"""Images that go back, or change under a tag that stays."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.render.resources import Rendering


@dataclass(frozen=True)
class Image:
    """A reference, taken apart. `digest` is "" where it has none."""

    repository: str
    tag: str
    digest: str


def parse(reference: str) -> Image:
    """Docker Hub's names in one spelling, however long they are written."""
    name, _, digest = reference.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, "latest"
    return Image(repository.removeprefix("docker.io/").removeprefix("library/"), tag, digest)


def images_moved(before: Rendering, after: Rendering) -> Iterator[str]:
    """Sentences, each once, for what a reader of the diff would take for a usual update."""
    was, now = _images(before), _images(after)
    found: dict[str, None] = {}
    for urn in was.keys() & now.keys():
        for old in was[urn] - now[urn]:
            for new in now[urn] - was[urn]:
                if old.repository == new.repository and (said := _moved(old, new)):
                    found[said] = None
    yield from sorted(found)


def _moved(old: Image, new: Image) -> str | None:
    name = old.repository
    if goes_back(old.tag, new.tag):
        return f"Image {name} goes back: {old.tag} → {new.tag}"
    if old.tag != new.tag:
        return None
    if not new.digest:
        return f"Image {name}:{new.tag} is no longer pinned by its digest: its registry decides"
    if old.digest:
        return (
            f"Image {name}:{new.tag} is another one under the same tag: {_short(old.digest)} → "
            f"{_short(new.digest)}"
        )
    return None


def goes_back(old: str, new: str) -> bool:
    """Whether the version of the tag `new` is lower. What isn't a version isn't compared, nor are
    two variants of one (`-alpine`, `-ubi`)."""
    was, now = _version(old), _version(new)
    if was is None or now is None or was[1] != now[1]:
        return False
    return now[0] < was[0]


def _version(tag: str) -> tuple[tuple[tuple[int, ...], tuple[int, str, int]], str] | None:
    """Numbers and pre-release, to compare by; and the variant."""
    said = re.fullmatch(r"v?(\d+(?:\.\d+)*)(?:[-.]?(alpha|beta|rc)[-.]?(\d*))?(.*)", tag)
    if said is None:
        return None
    numbers, kind, count, variant = said.groups()
    # A pre-release comes before its release.
    before = (0, kind, int(count or 0)) if kind else (1, "", 0)
    padded = ([int(number) for number in numbers.split(".")] + [0] * 6)[:6]
    return (tuple(padded), before), variant


def _images(rendering: Rendering) -> dict[str, set[Image]]:
    return {
        each.urn: {parse(reference) for reference in _references(each.inputs)}
        for each in rendering.resources
    }


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "image" and isinstance(item, str):
                yield item
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _short(digest: str) -> str:
    return digest[:19] + "…"
