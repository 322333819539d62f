"""Making something once in the cache: under a lock, in a temporary folder that is renamed when it
is complete. So an interrupted one leaves nothing half made, and parallel ones wait."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout


class ToolchainError(Exception):
    """A program that can be neither found nor made, worded for the user."""


def placed(
    cache: Path,
    name: str,
    folder: str,
    make: Callable[[Path, Path], None],
    say: Callable[[str], None],
) -> Path:
    """`cache`/`folder`, made unless it is there; `name` (``etcd 3.6.16``) is what is told of it.

    `make` gets the folder to fill and one to work in, which goes. Raises ToolchainError.
    """
    target = cache / folder
    if target.is_dir():
        return target
    _require_writable(cache, name)
    program = name.partition(" ")[0]
    lock = FileLock(cache / f"{program}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another process that makes {name}")
        lock.acquire()
    try:
        if not target.is_dir():
            with tempfile.TemporaryDirectory(prefix=f".{program}-", dir=cache) as scratch:
                result = Path(scratch) / "result"
                result.mkdir()
                make(result, Path(scratch) / "build")
                result.rename(target)
    finally:
        lock.release()
    return target


def _require_writable(cache: Path, name: str) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise ToolchainError(
            f"{name} can't be kept in {cache}: {error.strerror}. "
            "Set EDGEFLEET_CACHE to a folder that you may write"
        ) from error
