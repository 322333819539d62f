"""`Rollout`: waits until a patched workload runs its new pods on every node."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import Resource

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
    spec, status = obj["spec"], obj.get("status") or {}
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
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
    waiting = []
    for pod in pods:
        status = pod.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or []}
        ready = conditions.get("Ready", {})
        if ready.get("status") == "True":
            continue
        states = [
            reason
            for c in (
                *(status.get("initContainerStatuses") or []),
                *(status.get("containerStatuses") or []),
            )
            if (reason := ((c.get("state") or {}).get("waiting") or {}).get("reason"))
        ]
        reason = ", ".join(states) or ready.get("reason") or status.get("phase", "no status")
        waiting.append(f"{(pod.get('spec') or {}).get('nodeName', 'no node')} ({reason})")
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
        super().__init__(_Provider(), name, {**args}, opts)
