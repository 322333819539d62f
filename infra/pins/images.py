"""Images by digest: `images.lock.json` says what a tag was when `fleet images lock` asked.

Tags are rebuilt (docs/facts/calico-ingress.md §3); a digest is the one image that was looked at. An
image that the file doesn't know runs by its tag, and `fleet images lock --check` reports it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from infra.errors import LockError

LOCK = Path(__file__).with_name("images.lock.json")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def load(path: Path = LOCK) -> dict[str, str]:
    """Digests ("sha256:…") by image (name:tag). Raises LockError."""
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        wrong = [name for name, digest in images.items() if not _DIGEST.fullmatch(digest)]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(
            f"{path.name}: not a lock file ({error}): run `fleet images lock`"
        ) from None
    if wrong:
        raise LockError(f"{path.name}: {wrong[0]}: its digest must be sha256: and 64 hex digits")
    return images


def save(images: Mapping[str, str], path: Path = LOCK) -> None:
    """Write the file, at once and whole."""
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps({"images": dict(sorted(images.items()))}, indent=2) + "\n")
    partial.replace(path)


def pinned(image: str, digests: Mapping[str, str]) -> str:
    """`image` with the digest that is known for it; one that brings its own keeps it."""
    if "@" in image or image not in digests:
        return image
    return f"{image}@{digests[image]}"
