"""Every container says which image it runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LISTS = ("containers", "initContainers", "ephemeralContainers")


def untagged(kind: str, props: Mapping[str, Any]) -> list[str]:
    """Containers, at any depth, whose image may be another one tomorrow, a sentence each."""
    if not kind.startswith("kubernetes:"):
        return []
    return [
        f"container {container.get('name')!r} runs {image!r}: say a tag that isn't latest, better "
        "a digest, or another image runs after the next restart"
        for container in _containers(props)
        if isinstance(image := container.get("image"), str) and not _says_which(image)
    ]


def _says_which(image: str) -> bool:
    if "@sha256:" in image:
        return True
    # A registry may have a port: only what follows the last slash has a tag.
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return bool(colon and tag) and tag != "latest"


def _containers(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _LISTS and isinstance(inner, Sequence):
                yield from (each for each in inner if isinstance(each, Mapping))
            else:
                yield from _containers(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for inner in value:
            yield from _containers(inner)
