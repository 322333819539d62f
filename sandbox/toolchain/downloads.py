"""Official release downloads, checked against the vendor's published SHA-256."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

import requests

_CONNECT_SECONDS, _READ_SECONDS = 3, 30


class DownloadFailed(Exception):
    """A release that can't be had from here: unreachable, absent, or not what was published."""


@dataclass(frozen=True)
class Release:
    """One published file and where its checksum stands.

    ``checksums`` answers either the bare digest or lines of ``digest  file name``. ``members``
    maps paths inside the archive to file names to unpack; empty where ``url`` is the binary itself,
    stored as ``name``.
    """

    url: str
    checksums: str
    name: str = ""
    members: tuple[tuple[str, str], ...] = ()


def fetch(release: Release, folder: Path) -> None:
    """Download into ``folder``, verify, unpack, and make the results executable."""
    file_name = release.url.rsplit("/", 1)[1]
    expected = _digest(_get(release.checksums).text, file_name, release.checksums)
    target = folder / file_name
    digest = hashlib.sha256()
    with _get(release.url, stream=True) as answer, target.open("wb") as out:
        for chunk in answer.iter_content(1 << 20):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != expected:
        target.unlink()
        raise DownloadFailed(
            f"{release.url} has SHA-256 {digest.hexdigest()}, "
            f"but {release.checksums} says {expected}"
        )
    if not release.members:
        target.rename(folder / release.name).chmod(0o755)
        return
    with tarfile.open(target) as archive:
        for member, name in release.members:
            source = archive.extractfile(member)
            if source is None:
                raise DownloadFailed(f"{release.url} holds no file {member}")
            (folder / name).write_bytes(source.read())
            (folder / name).chmod(0o755)
    target.unlink()


def _get(url: str, *, stream: bool = False) -> requests.Response:
    try:
        answer = requests.get(url, stream=stream, timeout=(_CONNECT_SECONDS, _READ_SECONDS))
        answer.raise_for_status()
    except requests.RequestException as error:
        raise DownloadFailed(f"{url}: {error}") from error
    return answer


def _digest(text: str, file_name: str, url: str) -> str:
    for line in text.splitlines():
        digest, _, name = line.strip().partition(" ")
        if len(digest) == 64 and name.strip(" *") in ("", file_name):
            return digest
    raise DownloadFailed(f"{url} has no SHA-256 of {file_name}")
