"""One cluster's API server, for what its emulated vendor does there."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration
from urllib3.exceptions import HTTPError

from sandbox.providers.kubernetes import client as rest
from sandbox.providers.kubernetes.client import Cluster, NoMatch, Unreachable

Object = dict[str, Any]
_READY_SECONDS = 2


class ApiError(Exception):
    """What the API server refused, with its HTTP ``status``; 0 where it didn't answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ClusterApi:
    """Requests to ``https://127.0.0.1:port`` as the client ``admin`` of the folder ``pki``.

    Every call but ``ready`` may raise ApiError.
    """

    def __init__(self, port: int, pki: Path) -> None:
        settings = Configuration(host=f"https://127.0.0.1:{port}")
        # A proxy from the environment is for the vendor's host names, not for this address.
        settings.proxy = None
        settings.ssl_ca_cert = str(pki / "ca.crt")
        settings.cert_file, settings.key_file = str(pki / "admin.crt"), str(pki / "admin.key")
        self._client = ApiClient(settings)
        self._cluster = Cluster(self._client)

    def ready(self) -> bool:
        """Whether the server says that it is ready."""
        request = self._client.param_serialize("GET", "/readyz")
        try:
            answer = self._client.call_api(*request, _request_timeout=_READY_SECONDS)
        except (HTTPError, OSError):
            return False
        return answer.status == 200

    def create(self, obj: Object, manager: str) -> Object:
        """Make an object that doesn't exist yet."""
        with _refusals():
            return self._cluster.create(obj, manager)

    def apply(self, obj: Object, manager: str) -> Object:
        """Server-side apply, taking over fields of others."""
        with _refusals():
            try:
                return self._cluster.apply(obj, manager, force=True)
            except NoMatch:
                self._cluster.forget_kinds()  # It may be served in a moment.
                raise

    def apply_when_served(self, obj: Object, manager: str, seconds: float = 30) -> None:
        """Apply a custom resource; its definition is served a moment after it is made."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.apply(obj, manager)
            except ApiError as error:
                if error.status != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def merge(self, path: str, patch: Object, manager: str) -> Object:
        """JSON merge patch."""
        query = {"fieldManager": manager}
        with _refusals():
            kind = "application/merge-patch+json"
            return self._cluster.request("PATCH", f"/{path}", query, patch, kind)

    def get(self, path: str, **params: str) -> Object:
        """The object or list at ``path``."""
        with _refusals():
            return self._cluster.request("GET", f"/{path}", params)

    def delete(self, path: str, **params: str) -> None:
        """Delete what is at ``path``; what is gone already is no error."""
        try:
            with _refusals():
                self._cluster.request("DELETE", f"/{path}", params)
        except ApiError as error:
            if error.status != 404:
                raise

    def close(self) -> None:
        """Close the connections, which the client itself leaves to the garbage collector."""
        self._client.rest_client.pool_manager.clear()


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except rest.ApiError as error:
        raise ApiError(str(error), error.code) from error
    except NoMatch as error:
        raise ApiError(str(error), 404) from error
    except Unreachable as error:
        raise ApiError(str(error), 0) from error
