"""`Rollout`: waits until a patched workload runs its new pods on every node."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import Resource

from ..json_object import object_at, objects_at
from .api import ROLLOUT_SECONDS, Refused, ServerObject, Unreachable
from .waiting import Awaited

_POLL_SECONDS = 1.0


class RolloutArgs(TypedDict):
    """The workload; `generation` is the patch's output, so that a changed patch is awaited anew."""

    kubeconfig: pulumi.Input[str]
    kind: str
    namespace: str
    object_name: str
    generation: pulumi.Input[int]


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
        deadline = time.monotonic() + ROLLOUT_SECONDS
        pods: list[dict[str, Any]] = []
        problem = ""
        while True:
            try:
                obj = workload.get()
                if obj is None or rolled_out(obj):
                    return
                pods, problem = workload.pods(obj), ""
            except (Refused, Unreachable) as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{workload.where}: patched, but after {ROLLOUT_SECONDS // 60} minutes not "
                    f"ready on: {', '.join(unready(pods)) or 'unknown nodes'}"
                    f"{f'; {problem}' if problem else ''}. The patch is in place: run "
                    "`pulumi up` again to go on waiting, or take its options back"
                )
            time.sleep(_POLL_SECONDS)


class Rollout(Resource, module="index", name="Rollout"):
    """Creating or updating it waits, up to ten minutes, and names the nodes that aren't ready."""

    def __init__(
        self, name: str, args: RolloutArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # A secret, whoever gave it: it is kept in the state.
        props = {**args, "kubeconfig": pulumi.Output.secret(args["kubeconfig"])}
        super().__init__(_Provider(), name, props, opts)
