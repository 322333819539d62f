"""One cluster, reached through a kubeconfig: the REST calls that the provider makes."""

import contextlib
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, new_client_from_config_dict
from urllib3.exceptions import HTTPError

from sandbox.providers.base.values import Properties
from sandbox.providers.kubernetes.objects import name_of, namespace_of

_AGENT = "pulumi-kubernetes"
_TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for an answer."""
_JSON, _APPLY, _JSON_PATCH = (
    "application/json",
    "application/apply-patch+yaml",
    "application/json-patch+json",
)


class KubeconfigError(Exception):
    """The kubeconfig can't be read, or names no cluster."""


class Unreachable(Exception):
    """The API server doesn't answer."""


class ApiError(Exception):
    """The API server refused; the text is its own message."""

    def __init__(self, code: int, reason: str, message: str, details: Properties) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details

    @property
    def not_found(self) -> bool:
        return self.code == 404

    @property
    def conflict(self) -> bool:
        return self.reason == "Conflict"

    @property
    def already_exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def forbidden(self) -> bool:
        return self.code == 403

    @property
    def namespace_missing(self) -> bool:
        return self.not_found and self.details.get("kind") == "namespaces"

    @property
    def required_field(self) -> str:
        """The field that must not be empty, where that is the refusal; else ""."""
        for cause in self.details.get("causes") or []:
            if cause.get("reason") == "FieldValueRequired":
                return cause.get("field", "")
        return ""


class NoMatch(Exception):
    """The API server doesn't know the kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f'no matches for kind "{kind}" in version "{api_version}"')


def load_kubeconfig(text: str) -> Properties:
    """Read a kubeconfig: its contents as YAML or JSON, or the path of a file.

    Raises KubeconfigError.
    """
    with contextlib.suppress(OSError, ValueError):
        if "\n" not in text and (path := Path(os.path.expanduser(text))).is_file():
            text = path.read_text()
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The error's own text may quote the kubeconfig, which is a secret.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"it is neither a file nor valid YAML{where}") from None
    if not isinstance(config, dict):
        raise KubeconfigError("it is neither a file nor a YAML mapping")
    return config


def active_cluster(config: Properties, context: str = "", cluster: str = "") -> Properties | None:
    """The `cluster` entry that a kubeconfig points at; None where it points at none."""
    contexts = {
        item.get("name"): item.get("context") or {} for item in config.get("contexts") or []
    }
    current = contexts.get(context or config.get("current-context"))
    if current is None:
        return None
    clusters = {item.get("name"): item.get("cluster") for item in config.get("clusters") or []}
    return clusters.get(cluster or current.get("cluster"))


@dataclass(frozen=True)
class _Resource:
    path: str
    plural: str
    namespaced: bool


@dataclass
class Cluster:
    """A cluster's API. Every call may raise Unreachable or ApiError; unknown kinds NoMatch."""

    client: ApiClient
    namespace: str = "default"
    _resources: dict[str, dict[str, _Resource]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def connect(cls, config: Properties, context: str = "", namespace: str = "") -> "Cluster":
        """Make a client; nothing is sent yet. Raises KubeconfigError."""
        try:
            client = new_client_from_config_dict(config, context or None, persist_config=False)
        except (ConfigException, ValueError, TypeError, KeyError) as error:
            raise KubeconfigError(str(error)) from error
        contexts = {c.get("name"): c.get("context") or {} for c in config.get("contexts") or []}
        current = contexts.get(context or config.get("current-context")) or {}
        return cls(client, namespace or current.get("namespace") or "default")

    def ping(self) -> None:
        """Ask for the server's version."""
        self.request("GET", "/version")

    def exists(self, api_version: str, kind: str) -> bool:
        """Whether the API server answers, and knows the kind."""
        try:
            self._resource(api_version, kind)
        except (NoMatch, ApiError, Unreachable):
            return False
        return True

    def namespaced(self, api_version: str, kind: str) -> bool:
        return self._resource(api_version, kind).namespaced

    def kinds(self, api_version: str) -> list[str]:
        """The kinds of a group's version."""
        with self._lock:
            if api_version not in self._resources:
                self._resources[api_version] = self._discover(api_version)
            return list(self._resources[api_version])

    def get(self, obj: Properties) -> Properties:
        """The live object that `obj` names by apiVersion, kind, namespace and name."""
        return self.request("GET", self._path(obj))

    def items(
        self, api_version: str, kind: str, namespace: str = "", selector: str = ""
    ) -> list[Properties]:
        obj = {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace}}
        query = {"labelSelector": selector} if selector else {}
        return self.request("GET", self._path(obj, collection=True), query).get("items") or []

    def create(self, obj: Properties, manager: str, dry_run: bool = False) -> Properties:
        query = {"fieldManager": manager, "fieldValidation": "Warn", **_dry(dry_run)}
        return self.request("POST", self._path(obj, collection=True), query, self._scoped(obj))

    def apply(
        self, obj: Properties, manager: str, force: bool = False, dry_run: bool = False
    ) -> Properties:
        """Server-side apply."""
        query = {"fieldManager": manager, "force": str(force).lower(), **_dry(dry_run)}
        return self.request("PATCH", self._path(obj), query, self._scoped(obj), _APPLY)

    def replace(self, obj: Properties, manager: str, dry_run: bool = False) -> Properties:
        query = {"fieldManager": manager, **_dry(dry_run)}
        return self.request("PUT", self._path(obj), query, self._scoped(obj))

    def patch_json(self, obj: Properties, operations: list[Properties]) -> Properties:
        """Apply a JSON patch (RFC 6902) to the object that `obj` names."""
        return self.request("PATCH", self._path(obj), {}, operations, _JSON_PATCH)

    def delete(self, obj: Properties, propagation: str) -> None:
        """Delete; `propagation` is Foreground, Background or Orphan."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        self.request("DELETE", self._path(obj), {}, options)

    def forget_kinds(self) -> None:
        """Ask again which kinds there are, after a CustomResourceDefinition came or went."""
        with self._lock:
            self._resources.clear()

    def _scoped(self, obj: Properties) -> Properties:
        meta = dict(obj.get("metadata") or {})
        if self.namespaced(obj["apiVersion"], obj["kind"]):
            meta["namespace"] = meta.get("namespace") or self.namespace
        else:
            meta.pop("namespace", None)
        return {**obj, "metadata": meta}

    def _path(self, obj: Properties, collection: bool = False) -> str:
        resource = self._resource(obj["apiVersion"], obj["kind"])
        path = resource.path
        if resource.namespaced:
            path += f"/namespaces/{quote(namespace_of(obj) or self.namespace, safe='')}"
        path += f"/{resource.plural}"
        return path if collection else f"{path}/{quote(name_of(obj), safe='')}"

    def _resource(self, api_version: str, kind: str) -> _Resource:
        with self._lock:
            known = self._resources.get(api_version, {})
            if kind in known:
                return known[kind]
            known = self._discover(api_version)
            self._resources[api_version] = known
        if kind not in known:
            raise NoMatch(api_version, kind)
        return known[kind]

    def _discover(self, api_version: str) -> dict[str, _Resource]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            answer = self.request("GET", path)
        except ApiError as error:
            if error.not_found:
                return {}
            raise
        return {
            item["kind"]: _Resource(path, item["name"], item["namespaced"])
            for item in answer.get("resources") or []
            if "/" not in item["name"]
        }

    def request(
        self,
        method: str,
        path: str,
        query: Properties | None = None,
        body: Any = None,
        content_type: str = _JSON,
    ) -> Properties:
        """Ask for a path of the API."""
        request = self.client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": _JSON, "Content-Type": content_type, "User-Agent": _AGENT},
            # The client encodes JSON itself, and passes on only bytes for anything else.
            body=json.dumps(body).encode() if content_type == _APPLY else body,
            auth_settings=["BearerToken"],
        )
        host = self.client.configuration.host
        try:
            response = self.client.call_api(*request, _request_timeout=_TIMEOUT)
            data = response.read() or b""
        except (ApiException, HTTPError, OSError) as error:
            raise Unreachable(f"{host}: {getattr(error, 'reason', None) or error}") from error
        if not 200 <= response.status < 300:
            raise _refusal(response.status, str(response.reason), data.decode(errors="replace"))
        answer = json.loads(data)
        return answer if isinstance(answer, dict) else {}


def _dry(dry_run: bool) -> Properties:
    return {"dryRun": "All"} if dry_run else {}


def _refusal(code: int, reason: str, body: str) -> ApiError:
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return ApiError(code, reason, f"{code} {reason}: {body[:500]}", {})
    details = status.get("details") or {}
    return ApiError(code, status.get("reason", ""), status.get("message", ""), details)
