"""One object on its API server, for patches: read, server-side apply, hand fields back, wait."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, Protocol, TypeVar, cast

import urllib3
import yaml

from ..json_object import Json, is_object, object_at, objects_at
from .fields import Leaf, Owner, Path, body, handed_back
from .plan import where

APPEAR_SECONDS = 300
CLUSTER_LEVEL = {"kind": "ConfigMap", "namespace": "kube-system", "object_name": "-"}
"""With a kubeconfig beside it: a `ServerObject` for what concerns the cluster as a whole."""
_POLL_SECONDS = 1.0
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between attempts at changing an object that others change too."""
_ADMISSION = "admissionregistration.k8s.io/v1"
_RBAC = "rbac.authorization.k8s.io/v1"
_RESOURCES = {
    "BGPConfiguration": ("crd.projectcalico.org/v1", "bgpconfigurations"),
    "ClusterRole": (_RBAC, "clusterroles"),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings"),
    "ConfigMap": ("v1", "configmaps"),
    "DaemonSet": ("apps/v1", "daemonsets"),
    "Deployment": ("apps/v1", "deployments"),
    "FelixConfiguration": ("crd.projectcalico.org/v1", "felixconfigurations"),
    "GatewayClass": ("gateway.networking.k8s.io/v1", "gatewayclasses"),
    "IngressClass": ("networking.k8s.io/v1", "ingressclasses"),
    "IPPool": ("crd.projectcalico.org/v1", "ippools"),
    "KubeControllersConfiguration": (
        "crd.projectcalico.org/v1",
        "kubecontrollersconfigurations",
    ),
    "Namespace": ("v1", "namespaces"),
    "Node": ("v1", "nodes"),
    "ValidatingAdmissionPolicy": (_ADMISSION, "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": (_ADMISSION, "validatingadmissionpolicybindings"),
}
_LOADING = Lock()
_Answer = TypeVar("_Answer")


class Refused(Exception):
    """The API server's answer, other than 2xx: `answer` is its Status object."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{answer.get('message') or 'no reason given'} ({status})")
        self.status = status
        self.answer = answer


class Unreachable(Exception):
    """No answer from the API server, or none to these credentials."""


class CredentialsRefused(Unreachable):
    """The API server answers, but not to these credentials."""


class _Response(Protocol):
    """What is used of `kubernetes.client.rest.RESTResponse`."""

    status: int

    def read(self) -> bytes: ...


class _Failure(Protocol):
    """What is used of `kubernetes.client.ApiException`."""

    status: int | None
    body: str | None


class _Client(Protocol):
    """What is used of `kubernetes.client.ApiClient`, which says no types (37.0.2)."""

    configuration: Any

    def param_serialize(
        self,
        method: str,
        resource_path: str,
        *,
        query_params: list[tuple[str, str]],
        header_params: dict[str, str],
        body: object,
        auth_settings: list[str],
    ) -> tuple[Any, ...]: ...

    def call_api(self, *request: Any, _request_timeout: tuple[int, int]) -> _Response: ...


class ServerObject:
    """The object that a patch's properties name. Raises Refused and Unreachable.

    Args:
        patient: try a connection again that fails; a preview doesn't.
    """

    def __init__(self, props: Mapping[str, Any], patient: bool = True) -> None:
        self._props = props
        self.where = where(props)
        version, plural = _RESOURCES[props["kind"]]
        self.identity: Json = {
            "apiVersion": version,
            "kind": props["kind"],
            "metadata": {"name": props["object_name"]},
        }
        prefix = "/api/v1" if version == "v1" else f"/apis/{version}"
        if namespace := props.get("namespace"):
            self.identity["metadata"]["namespace"] = namespace
            prefix += f"/namespaces/{namespace}"
        self._path = f"{prefix}/{plural}/{props['object_name']}"
        client, self._failure = _client(props["kubeconfig"])
        retry = urllib3.Retry(total=3, backoff_factor=0.3) if patient else urllib3.Retry(0)
        self._api = cast("_Client", client)
        self._api.configuration.retries = retry
        self._timeout = (5, 30) if patient else (2, 10)

    def get(self) -> Json | None:
        """The live object, or None."""
        try:
            return self._call("GET", self._path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def appear(self) -> Json:
        """Wait for the owner to make the object: a new cluster answers before its system is up."""
        deadline = time.monotonic() + APPEAR_SECONDS
        while True:
            try:
                if obj := self.get():
                    return obj
                problem = "it does not exist"
            except CredentialsRefused:
                # Waiting gives no other ones.
                raise
            except Unreachable as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"after {APPEAR_SECONDS // 60} minutes {problem}. Is this the right cluster?"
                )
            time.sleep(_POLL_SECONDS)

    def apply(
        self,
        fields: Iterable[Leaf],
        manager: str,
        present: Mapping[str, Any] | None,
        *,
        force: bool,
        dry_run: bool = False,
    ) -> Json:
        """Server-side apply of `fields` to the object that is `present`: what `manager` had applied
        and isn't named is given up."""
        query = [("fieldManager", manager), ("fieldValidation", "Strict")]
        query += [("force", "true")] * force + [("dryRun", "All")] * dry_run
        content = body(self.identity, fields, present)
        kind = "application/apply-patch+yaml"
        return _unhurried(lambda: self._call("PATCH", self._path, query, content, kind))

    def hand_back(self, manager: str, back: Mapping[Path, Iterable[Owner]]) -> None:
        """Make former owners own the paths of `back` again. No value changes."""

        def once() -> None:
            obj = self.get()
            if obj is None or not back:
                return
            managed = handed_back(objects_at(obj, "metadata", "managedFields"), manager, back)
            # The version makes sure that nothing changed since it was read.
            version = obj["metadata"]["resourceVersion"]
            patch = {"metadata": {"resourceVersion": version, "managedFields": managed or [{}]}}
            query = [("fieldManager", manager)]
            self._call("PATCH", self._path, query, patch, "application/merge-patch+json")

        _unhurried(once)

    def delete(self) -> None:
        """Delete the object; what is gone already is no error."""
        try:
            self._call("DELETE", self._path)
        except Refused as refused:
            if refused.status != 404:
                raise

    def items(self, path: str, **query: str) -> list[Json]:
        """The objects that the API server lists at `path`."""
        return self._call("GET", path, [*query.items()])["items"]

    def pods(self, obj: Mapping[str, Any]) -> list[Json]:
        """The pods of a workload."""
        labels = object_at(obj, "spec", "selector", "matchLabels")
        return self._call(
            "GET",
            f"/api/v1/namespaces/{self._props['namespace']}/pods",
            [("labelSelector", ",".join(f"{key}={value}" for key, value in labels.items()))],
        )["items"]

    def request(
        self,
        method: str,
        path: str,
        content: object = None,
        content_type: str = "application/json",
    ) -> Json:
        """What the API server answers to a request of another kind."""
        return self._call(method, path, None, content, content_type)

    def text(self, path: str) -> str:
        """What the API server answers in plain text, as a pod's log."""
        return self._data("GET", path, accept="*/*").decode(errors="replace")

    def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        content: object = None,
        content_type: str = "application/json",
    ) -> Json:
        return _object(self._data(method, path, query, content, content_type))

    def _data(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        content: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        if content is not None and "json" not in content_type:
            # The client encodes JSON, and sends nothing but bytes as anything else.
            content = json.dumps(content).encode()
        request = self._api.param_serialize(
            method,
            path,
            query_params=query or [],
            header_params={"Accept": accept, "Content-Type": content_type},
            body=content,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request, _request_timeout=self._timeout)
            status, data = response.status, response.read()
        except self._failure as error:
            failure = cast("_Failure", error)
            status, data = failure.status or 0, failure.body or b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"the API server does not answer ({_reason(error)})") from None
        if status == 401:
            raise CredentialsRefused(
                "the API server refuses the kubeconfig's credentials (401): was it rotated?"
            )
        if not 200 <= status < 300:
            raise Refused(status, _object(data))
        return data if isinstance(data, bytes) else data.encode()


def _client(kubeconfig: str) -> tuple[object, type[Exception]]:
    """The client of a cluster, and what it raises. Raises Unreachable.

    Loaded here and not above: what asks no cluster, like a preview of the edge and `fleet render`,
    would load it too. One thread at a time, or another finds it half loaded.
    """
    with _LOADING:
        # It leaves its parameters untyped; `_Client` says what is used of what it gives.
        from kubernetes.client import ApiException
        from kubernetes.config import new_client_from_config_dict  # pyright: ignore[reportUnknownVariableType]
        from kubernetes.config.config_exception import ConfigException
    try:
        return new_client_from_config_dict(yaml.safe_load(kubeconfig)), ApiException
    except yaml.YAMLError as error:
        # Its text shows the line, which may hold a token.
        at = getattr(error, "problem_mark", None)
        where_ = f", line {at.line + 1}" if at else ""
        raise Unreachable(f"the kubeconfig can't be read: it is no YAML{where_}") from None
    except (ConfigException, TypeError) as error:
        raise Unreachable(f"the kubeconfig can't be read: {error}") from None


def _unhurried(request: Callable[[], _Answer]) -> _Answer:
    """Again, where the object changed meanwhile: the status of a DaemonSet that rolls does, several
    times a second. A conflict about who owns a field has causes, and stays one."""
    for pause in _PAUSES:
        try:
            return request()
        except Refused as refused:
            if refused.status != 409 or objects_at(refused.answer, "details", "causes"):
                raise
        time.sleep(pause)
    return request()


def _object(data: bytes | str) -> Json:
    try:
        found: object = json.loads(data or b"{}")
    except ValueError:
        found = {"message": str(data)[:200]}
    return {**found} if is_object(found) else {}


def _reason(error: Exception) -> str:
    # urllib3 wraps what happened; its own text is a request's whole story.
    reason = getattr(error, "reason", None)
    return str(reason or error).split(": ", 1)[-1]
