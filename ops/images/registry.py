"""Digests from container registries, by their HTTP API (OCI distribution specification 1.1)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from components.vendors.causes import why
from ops.command import CommandError

_SECONDS = (5, 30)
_MANIFESTS = (
    # The list first: a tag's digest is that of all platforms.
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(CommandError):
    """No digest; the text says for which image and why."""


class RegistryDown(RegistryError):
    """The registry couldn't be asked; another time it may have a digest."""


@dataclass(frozen=True)
class Reference:
    """An image as a registry knows it."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def of(cls, image: str) -> "Reference":
        """`nginx/nginx-ingress:5.6.1` is Docker Hub's. Raises RegistryError."""
        name, _, tag = image.partition("@")[0].rpartition(":")
        if not name or "/" in tag:
            raise RegistryError(f"{image}: has no tag")
        first, _, rest = name.partition("/")
        if rest and ("." in first or ":" in first or first == "localhost"):
            host, repository = first, rest
        else:
            host, repository = "docker.io", name
        if host == "docker.io":
            repository = repository if "/" in repository else f"library/{repository}"
            host = "registry-1.docker.io"
        return cls(host, repository, tag)


class Registries:
    """Asks registries, one token a repository.

    Args:
        schemes: "http" by host, for a registry that speaks no TLS; others speak it.
    """

    def __init__(self, schemes: Mapping[str, str] | None = None) -> None:
        self._session = requests.Session()
        self._schemes = schemes or {}

    def digest(self, image: str) -> str:
        """`sha256:…` of the image's manifest list, or of its manifest. Raises RegistryError."""
        reference = Reference.of(image)
        scheme = self._schemes.get(reference.registry, "https")
        url = f"{scheme}://{reference.registry}/v2/{reference.repository}/manifests/{reference.tag}"
        headers = {"Accept": ", ".join(_MANIFESTS)}
        try:
            answer = self._session.get(url, headers=headers, timeout=_SECONDS)
            if answer.status_code == 401:
                token = self._token(image, reference, answer.headers.get("WWW-Authenticate", ""))
                headers["Authorization"] = f"Bearer {token}"
                answer = self._session.get(url, headers=headers, timeout=_SECONDS)
        except requests.RequestException as error:
            host = urlsplit(error.request.url).netloc if error.request else reference.registry
            raise RegistryDown(f"{image}: {host} does not answer: {why(error)}") from None
        if answer.status_code == 404:
            raise RegistryError(f"{image}: {reference.registry} has no such image or tag")
        if answer.status_code == 429:
            raise RegistryDown(f"{image}: {reference.registry} is asked too often; try later")
        if answer.status_code != 200:
            raise RegistryDown(f"{image}: {reference.registry} answers {answer.status_code}")
        # What was received is what is locked: the header is the registry's claim.
        found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        told = answer.headers.get("Docker-Content-Digest", found)
        if told != found:
            raise RegistryError(
                f"{image}: {reference.registry} says {told}, but its manifest is {found}"
            )
        return found

    def _token(self, image: str, reference: Reference, challenge: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        wanted = dict(_CHALLENGE.findall(rest))
        realm = wanted.get("realm", "")
        if scheme.lower() != "bearer" or urlsplit(realm).scheme not in ("https", "http"):
            raise RegistryError(f"{image}: {reference.registry} wants a login")
        query = {"scope": wanted.get("scope") or f"repository:{reference.repository}:pull"}
        if service := wanted.get("service"):
            query["service"] = service
        answer = self._session.get(realm, params=query, timeout=_SECONDS)
        try:
            found = answer.json()
            return found.get("token") or found["access_token"]
        except (ValueError, KeyError, AttributeError):
            raise RegistryError(
                f"{image}: {urlsplit(realm).netloc} gives no token ({answer.status_code})"
            ) from None
