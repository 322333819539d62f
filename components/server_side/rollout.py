"""`Rollout`: waits until a patched workload runs its new pods on every node."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..json_object import object_at, objects_at
from ..progress import say
from .api import CredentialsRefused, Refused, ServerObject, Unreachable
from .resource import ClusterResource
from .waiting import Awaited

ROLLOUT_MINUTES = 15
_POLL_SECONDS = 1.0
_SHOWN = 5


class RolloutArgs(TypedDict):
    """A DaemonSet or Deployment, and how long it may take."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    kind: str
    """DaemonSet or Deployment."""
    namespace: str
    """Of the workload."""
    object_name: str
    """Of the workload."""
    generation: pulumi.Input[int]
    """The patch's output: a changed patch is awaited anew."""
    minutes: NotRequired[float]
    """How long nothing may change meanwhile, so it suits 3 nodes and 100. Default: 15."""


def rolled_out(obj: Mapping[str, Any]) -> bool:
    """Whether a DaemonSet or Deployment has its newest pods everywhere, available."""
    spec, status = obj["spec"], object_at(obj, "status")
    if object_at(spec, "updateStrategy").get("type") == "OnDelete":
        # Whoever deletes the pods decides when; there is nothing to wait for.
        return True
    desired = status.get("desiredNumberScheduled", spec.get("replicas", 1))
    counts = [
        ("updatedNumberScheduled", "updatedReplicas"),
        ("numberAvailable", "availableReplicas"),
    ]
    return status.get("observedGeneration", 0) >= obj["metadata"]["generation"] and all(
        (status.get(name, status.get(other)) or 0) >= desired for name, other in counts
    )


def unready(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """`node (reason)` for each pod that isn't ready."""
    waiting: list[str] = []
    for pod in pods:
        status = object_at(pod, "status")
        conditions = {c["type"]: c for c in objects_at(status, "conditions")}
        ready = object_at(conditions, "Ready")
        if ready.get("status") == "True":
            continue
        states = [
            reason
            for c in (
                *objects_at(status, "initContainerStatuses"),
                *objects_at(status, "containerStatuses"),
            )
            if (reason := object_at(c, "state", "waiting").get("reason"))
        ]
        reason = ", ".join(states) or ready.get("reason") or status.get("phase", "no status")
        waiting.append(f"{object_at(pod, 'spec').get('nodeName', 'no node')} ({reason})")
    return sorted(waiting)


class _Provider(Awaited):
    identity = ("kind", "namespace", "object_name")

    def wait(self, props: Mapping[str, Any]) -> None:
        workload = ServerObject(props)
        minutes = props.get("minutes") or ROLLOUT_MINUTES
        deadline = time.monotonic() + minutes * 60
        said, waiting, problem = ("", ""), "", ""
        while True:
            try:
                obj = workload.get()
                if obj is None or rolled_out(obj):
                    return
                waiting, problem = _waiting(obj, workload.pods(obj)), ""
            except CredentialsRefused as error:
                raise RuntimeError(f"{workload.where}: {error}") from None
            except (Refused, Unreachable) as error:
                problem = str(error)
            if (waiting, problem) != said:
                said = (waiting, problem)
                deadline = time.monotonic() + minutes * 60
                say(f"{workload.where}: {problem or waiting}")
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{workload.where}: patched, but {waiting or 'not ready'}"
                    f"{f'; {problem}' if problem else ''}: nothing has changed for {minutes:g} "
                    "minutes (timeouts). The patch is in place: run `pulumi up` again to go on "
                    "waiting, or take its options back"
                )
            time.sleep(_POLL_SECONDS)


def _waiting(obj: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> str:
    status = object_at(obj, "status")
    done = status.get("updatedNumberScheduled", status.get("updatedReplicas")) or 0
    desired = status.get("desiredNumberScheduled", object_at(obj, "spec").get("replicas")) or 0
    names = unready(pods)
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN))
    return f"{done} of {desired} pods are new; not ready on: {shown or 'none'}"


class Rollout(ClusterResource, name="Rollout", provider=_Provider):
    """Creating or updating it waits while something changes, and names nodes that aren't ready."""

    def __init__(
        self, name: str, args: RolloutArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("Rollout", name, RolloutArgs, args)
        super().__init__(name, args, opts)
