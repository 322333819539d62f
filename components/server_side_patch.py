"""`ServerSidePatch`: our fields on a workload that somebody else owns.

The provider's own Patch resources never settle on lists that others fill too, because they compare
them by position (real-providers.md, Kubernetes 1). This resource applies the fields server-side
and compares them by merge key: a container and an environment variable by its name. What it does
not name, it does not touch.

The provider runs in a process of its own (Pulumi's dynamic provider) and may block.
"""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import urllib3
import yaml
from kubernetes.client import ApiException
from kubernetes.config import new_client_from_config_dict
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

FIELD_MANAGER = "edgefleet"
_ROLLOUT_SECONDS = 600
_APPEAR_SECONDS = 300
_POLL_SECONDS = 1.0
_PATHS = {"DaemonSet": "daemonsets", "Deployment": "deployments"}


class ContainerPatch(TypedDict):
    """Fields of one container: `env` maps a variable's name to its value."""

    env: NotRequired[Mapping[str, str]]
    image: NotRequired[str]


class ServerSidePatchArgs(TypedDict):
    """What to patch where.

    `containers` maps the name of an existing container to its fields. With `force`, fields that
    another field manager holds with another value are taken over; without, that is an error which
    names the manager.
    """

    kubeconfig: pulumi.Input[str]
    kind: str
    namespace: str
    object_name: str
    containers: pulumi.Input[Mapping[str, ContainerPatch]]
    force: NotRequired[bool]


def apply_body(inputs: Mapping[str, Any], containers: Mapping[str, Any]) -> dict[str, Any]:
    """The object to send to server-side apply: identity and `containers`, nothing else."""
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": inputs["kind"],
        "metadata": {"namespace": inputs["namespace"], "name": inputs["object_name"]},
    }
    if containers:
        body["spec"] = {
            "template": {
                "spec": {
                    "containers": [
                        _container(name, fields) for name, fields in sorted(containers.items())
                    ]
                }
            }
        }
    return body


def _container(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = {"name": name}
    if env := fields.get("env"):
        container["env"] = [{"name": key, "value": value} for key, value in sorted(env.items())]
    if image := fields.get("image"):
        container["image"] = image
    return container


def live_containers(obj: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `wanted` names, as `obj` has them; what it lacks is left out."""
    by_name = {c["name"]: c for c in obj["spec"]["template"]["spec"]["containers"]}
    found: dict[str, Any] = {}
    for name, fields in wanted.items():
        container = by_name.get(name)
        if container is None:
            continue
        found[name] = {}
        if "env" in fields:
            env = {e["name"]: e.get("value", "") for e in container.get("env") or []}
            found[name]["env"] = {key: env[key] for key in fields["env"] if key in env}
        if "image" in fields:
            found[name]["image"] = container["image"]
    return found


def conflict_message(where: str, error: Mapping[str, Any]) -> str:
    """The API server's field conflict as a sentence that names each field and who holds it."""
    causes = (error.get("details") or {}).get("causes") or []
    held = [f"{cause['field']} ({cause['message']})" for cause in causes]
    return (
        f"{where}: somebody else manages what this stack wants to set: "
        f"{'; '.join(held) or error.get('message')}. Let them give it up, or take it over with "
        "`force: true`."
    )


def unready(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """`node (reason)` for each pod that isn't ready."""
    waiting = []
    for pod in pods:
        status = pod.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or []}
        ready = conditions.get("Ready", {})
        if ready.get("status") == "True":
            continue
        states = [
            reason
            for c in status.get("containerStatuses") or []
            if (reason := ((c.get("state") or {}).get("waiting") or {}).get("reason"))
        ]
        reason = ", ".join(states) or ready.get("reason") or status.get("phase", "no status")
        waiting.append(f"{(pod.get('spec') or {}).get('nodeName', 'no node')} ({reason})")
    return sorted(waiting)


class _Refused(Exception):
    """The API server's answer, other than 2xx: `answer` is its Status object."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{answer.get('message', 'no reason given')} ({status})")
        self.status = status
        self.answer = answer


class _Workload:
    """The patched object on its API server."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self.where = f"{inputs['kind']} {inputs['namespace']}/{inputs['object_name']}"
        self._api = new_client_from_config_dict(yaml.safe_load(inputs["kubeconfig"]))
        self._api.configuration.retries = urllib3.Retry(total=3, backoff_factor=0.3)  # pyright: ignore[reportAttributeAccessIssue]
        self._collection = (
            f"/apis/apps/v1/namespaces/{inputs['namespace']}/{_PATHS[inputs['kind']]}"
        )
        self._path = f"{self._collection}/{inputs['object_name']}"

    def get(self) -> dict[str, Any] | None:
        try:
            return self._call("GET", self._path)
        except _Refused as refused:
            if refused.status == 404:
                return None
            raise RuntimeError(f"{self.where}: the API server says: {refused}") from None

    def appear(self) -> dict[str, Any]:
        """Wait for the owner to make the object: a new cluster answers before its system is up."""
        deadline = time.monotonic() + _APPEAR_SECONDS
        while True:
            try:
                if obj := self.get():
                    return obj
                problem = "it does not exist"
            except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
                problem = f"the API server does not answer ({error})"
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.where}: after {_APPEAR_SECONDS // 60} minutes {problem}. Is this the "
                    "right cluster?"
                )
            time.sleep(_POLL_SECONDS)

    def apply(self, containers: Mapping[str, Any]) -> dict[str, Any]:
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        if self._inputs.get("force"):
            query.append(("force", "true"))
        try:
            return self._call(
                "PATCH",
                self._path,
                query,
                apply_body(self._inputs, containers),
                "application/apply-patch+yaml",
            )
        except ApiException as error:
            answer = yaml.safe_load(error.body or "{}") or {}
            if error.status == 409:
                raise RuntimeError(conflict_message(self.where, answer)) from None
            reason = answer.get("message") or error.reason
            raise RuntimeError(
                f"{self.where}: the API server refused the patch: {reason}"
            ) from None

    def wait_rolled_out(self) -> None:
        deadline = time.monotonic() + _ROLLOUT_SECONDS
        while obj := self.get():
            status = obj.get("status") or {}
            desired = status.get("desiredNumberScheduled", (obj["spec"].get("replicas")))
            if (
                status.get("observedGeneration", 0) >= obj["metadata"]["generation"]
                and (status.get("updatedNumberScheduled", status.get("updatedReplicas")) or 0)
                >= (desired or 0)
                and (status.get("numberAvailable", status.get("availableReplicas")) or 0)
                >= (desired or 0)
            ):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.where}: patched, but after {_ROLLOUT_SECONDS // 60} minutes not ready "
                    f"on: {', '.join(self._unready_pods(obj)) or 'unknown nodes'}"
                )
            time.sleep(_POLL_SECONDS)

    def _unready_pods(self, obj: Mapping[str, Any]) -> list[str]:
        labels = (obj["spec"]["selector"] or {}).get("matchLabels") or {}
        pods = self._call(
            "GET",
            f"/api/v1/namespaces/{self._inputs['namespace']}/pods",
            [("labelSelector", ",".join(f"{key}={value}" for key, value in labels.items()))],
        )
        return unready(pods["items"])

    def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        request = self._api.param_serialize(
            method,
            path,
            query_params=query or [],
            header_params={"Accept": "application/json", "Content-Type": content_type},
            # The client encodes plain JSON only.
            body=json.dumps(body).encode() if body is not None else None,
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*request, _request_timeout=(5, 30))
        answer = json.loads(response.read() or b"{}")
        if not 200 <= response.status < 300:
            raise _Refused(response.status, answer)
        return answer


class _Provider(ResourceProvider):
    """Pickled by reference to this module, so a state outlives changes of the code."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        workload = _Workload(props)
        workload.appear()
        outs = self._settle(workload, props)
        return CreateResult(f"{props['kind']}/{props['namespace']}/{props['object_name']}", outs)

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._settle(_Workload(props), props))

    def _settle(self, workload: _Workload, props: dict[str, Any]) -> dict[str, Any]:
        obj = workload.apply(props["containers"])
        workload.wait_rolled_out()
        return {**props, "containers": live_containers(obj, props["containers"])}

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        obj = _Workload(props).get()
        if obj is None:
            return ReadResult("", {})
        live = {**props, "containers": live_containers(obj, props["containers"])}
        # As inputs too: the preview after a refresh then shows the drift field by field.
        return ReadResult(id_, live, inputs=dict(live))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        identity = [k for k in ("kind", "namespace", "object_name") if olds.get(k) != news.get(k)]
        changed = [k for k in ("kubeconfig", "containers", "force") if olds.get(k) != news.get(k)]
        return DiffResult(
            changes=bool(identity or changed), replaces=identity, delete_before_replace=True
        )

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Give the fields up: what only we held disappears, the rest falls to who else holds it."""
        workload = _Workload(props)
        if workload.get() is not None:
            workload.apply({})


class ServerSidePatch(Resource, module="index", name="ServerSidePatch"):
    """Our fields on a DaemonSet or Deployment that somebody else owns.

    Creating it waits for the object to appear; creating and updating wait until the workload has
    rolled out on every node, and say which node hasn't.
    """

    containers: pulumi.Output[Mapping[str, Any]]

    def __init__(
        self, name: str, args: ServerSidePatchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {**args, "force": args.get("force", False)}
        super().__init__(_Provider(), name, props, opts)
