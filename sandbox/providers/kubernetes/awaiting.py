"""When an object counts as initialized or gone, and waiting for it.

DaemonSets are judged by kstatus' rules (sigs.k8s.io/cli-utils), the other kinds as in
pulumi-kubernetes 4.34, provider/pkg/await. Unlike there, nobody waits here for a Service's
endpoints, an Ingress' address or a volume claim: the sandbox has nothing that would provide them.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.providers.base.operations import Call, Cancelled
from sandbox.providers.base.values import Properties
from sandbox.providers.kubernetes.client import ApiError, Cluster, Unreachable
from sandbox.providers.kubernetes.objects import (
    DELETION_PROPAGATION,
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    annotation,
    name_of,
    namespace_of,
)

_FIRST_POLL, _POLL = 0.03, 0.3
"""Seconds between two looks: short at first, because most objects are quick, then doubled."""


@dataclass(frozen=True)
class Readiness:
    """Whether an object is initialized, and a line that says how far it is."""

    ready: bool
    message: str


@dataclass
class NotReady(Exception):
    """Waiting ended without success; `live` is the object as last seen."""

    message: str
    live: Properties
    reasons: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.message


def daemon_set(obj: Properties) -> Readiness:
    status = obj.get("status") or {}
    if stale := _stale(obj):
        return stale
    desired = status.get("desiredNumberScheduled", -1)
    if desired == -1:
        return Readiness(False, "Missing .status.desiredNumberScheduled")
    for label, key in (
        ("Current", "currentNumberScheduled"),
        ("Updated", "updatedNumberScheduled"),
        ("Available", "numberAvailable"),
        ("Ready", "numberReady"),
    ):
        if desired > status.get(key, 0):
            return Readiness(False, f"{label}: {status.get(key, 0)}/{desired}")
    return Readiness(True, f"All replicas scheduled as expected. Replicas: {desired}")


def deployment(obj: Properties) -> Readiness:
    status, name = obj.get("status") or {}, name_of(obj)
    if stale := _stale(obj):
        return stale
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    progressing, available = _condition(obj, "Progressing"), _condition(obj, "Available")
    have = status.get("availableReplicas", 0)
    if progressing.get("status") == "False":
        return Readiness(False, f"[{progressing.get('reason')}] {progressing.get('message')}")
    rolled_out = progressing.get("reason") == "NewReplicaSetAvailable"
    if not rolled_out or status.get("updatedReplicas", 0) < wanted:
        return Readiness(
            False,
            f"[1/2] Waiting for app ReplicaSet to be available ({have}/{wanted} Pods available)",
        )
    if available.get("status") != "True":
        return Readiness(False, f"[2/2] Waiting for Deployment {name!r} to be available")
    return Readiness(True, "Deployment initialization complete")


def stateful_set(obj: Properties) -> Readiness:
    status = obj.get("status") or {}
    if stale := _stale(obj):
        return stale
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    if status.get("currentRevision") != status.get("updateRevision") or ready < wanted:
        text = "Waiting for StatefulSet update to roll out"
        return Readiness(False, f"[1/3] {text} ({ready}/{wanted} Pods ready)")
    return Readiness(True, "StatefulSet initialization complete")


def job(obj: Properties) -> Readiness:
    failed = _condition(obj, "Failed")
    if failed.get("status") == "True":
        return Readiness(False, f"[{failed.get('reason')}] {failed.get('message')}")
    if _condition(obj, "Complete").get("status") == "True":
        return Readiness(True, "Job ready")
    return Readiness(False, f"Waiting for Job {name_of(obj)!r} to succeed")


def pod(obj: Properties) -> Readiness:
    if (obj.get("status") or {}).get("phase") == "Succeeded":
        return Readiness(True, "Pod succeeded")
    if _condition(obj, "Ready").get("status") == "True":
        return Readiness(True, "Pod ready")
    return Readiness(False, f"Waiting for Pod {name_of(obj)!r} to be ready")


def crd(obj: Properties) -> Readiness:
    established = _condition(obj, "Established").get("status") == "True"
    return Readiness(established, "CRD established" if established else "Waiting for the CRD")


_READINESS: dict[tuple[str, str], Callable[[Properties], Readiness]] = {
    ("apps/v1", "DaemonSet"): daemon_set,
    ("apps/v1", "Deployment"): deployment,
    ("apps/v1", "StatefulSet"): stateful_set,
    ("batch/v1", "Job"): job,
    ("v1", "Pod"): pod,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): crd,
}


def readiness(obj: Properties) -> Readiness | None:
    """How far an object is; None for kinds that nobody waits for."""
    rule = _READINESS.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    return rule(obj) if rule else None


def await_ready(cluster: Cluster, call: Call, inputs: Properties, live: Properties) -> Properties:
    """Wait until `live` is initialized and return it as it is then. Raises NotReady."""
    if readiness(live) is None or annotation(inputs, SKIP_AWAIT) == "true":
        return live
    deadline, shown = time.monotonic() + timeout(call, inputs, live), ""
    for pause in _pauses():
        state = readiness(live)
        assert state is not None
        if state.ready:
            if shown:
                call.info("", ephemeral=True)
            return live
        if state.message != shown:
            shown = state.message
            call.info(shown, ephemeral=True)
        if time.monotonic() >= deadline:
            reasons = [state.message, *pod_reasons(cluster, live)]
            raise NotReady(f"{name_of(live)!r} timed out waiting to be Ready", live, reasons)
        try:
            call.wait(pause)
        except Cancelled:
            message = f'Resource operation was cancelled for "{name_of(live)}"'
            raise NotReady(message, live, [state.message]) from None
        # A server that is away for a moment is waited for like everything else.
        with contextlib.suppress(Unreachable):
            live = cluster.get(live)
    raise AssertionError("pauses never end")


def await_gone(cluster: Cluster, call: Call, inputs: Properties, live: Properties) -> None:
    """Wait until `live`, told to go, is gone. Raises NotReady."""
    if annotation(inputs, SKIP_AWAIT) == "true" and _may_skip_deletion(live):
        return
    deadline, uid, shown = time.monotonic() + timeout(call, inputs, live), _uid(live), False
    for pause in _pauses():
        found = _still_there(cluster, live)
        if found is None or (uid and _uid(found) != uid):
            if shown:
                call.info("", ephemeral=True)
            return
        live = found
        if time.monotonic() >= deadline:
            what = f"{live['apiVersion']}/{live['kind']}"
            reason = f'Timed out waiting for deletion of {what} "{name_of(live)}"'
            finalizers = (live.get("metadata") or {}).get("finalizers") or []
            left = f"finalizers left: {', '.join(finalizers)}"
            raise NotReady(reason, live, [reason, *([left] if finalizers else [])])
        if not shown:
            shown = True
            call.info(f'{live["kind"]} "{name_of(live)}" still exists', ephemeral=True)
        call.wait(pause)


def _pauses() -> Iterator[float]:
    pause = _FIRST_POLL
    while True:
        yield pause
        pause = min(pause * 2, _POLL)


def _still_there(cluster: Cluster, live: Properties) -> Properties | None:
    try:
        return cluster.get(live)
    except ApiError as error:
        if error.not_found:
            return None
        raise
    except Unreachable:
        return live


def timeout(call: Call, inputs: Properties, live: Properties) -> float:
    """Seconds to wait: customTimeouts, else pulumi.com/timeoutSeconds, else the kind's own."""
    if call.timeout:
        return call.timeout
    text = annotation(inputs, TIMEOUT_SECONDS)
    if text.isdigit():
        return float(text)
    workload = live.get("kind") in ("DaemonSet", "Deployment", "StatefulSet", "Job", "Service")
    return 600 if workload else 300


def propagation(inputs: Properties) -> str:
    """How a deletion treats dependents; the foreground by default."""
    wanted = annotation(inputs, DELETION_PROPAGATION).lower()
    return {"orphan": "Orphan", "background": "Background"}.get(wanted, "Foreground")


def pod_reasons(cluster: Cluster, live: Properties) -> list[str]:
    """Why a workload's pods aren't ready, one line a pod."""
    labels = (((live.get("spec") or {}).get("selector")) or {}).get("matchLabels")
    if not isinstance(labels, dict) or not labels:
        return []
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    try:
        pods = cluster.items("v1", "Pod", namespace_of(live), selector)
    except (ApiError, Unreachable):
        return []
    return [f"[Pod {object_name(item)}]: {why}" for item in pods if (why := pod_problem(item))]


def object_name(obj: Properties) -> str:
    return f"{namespace_of(obj)}/{name_of(obj)}"


def pod_problem(item: Properties) -> str:
    """What keeps a pod from being ready; "" where nothing does."""
    if pod(item).ready:
        return ""
    status = item.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            text = f"{waiting.get('reason', '')}] {waiting.get('message', '')}".strip()
            return f"container {container.get('name')!r}: [{text}"
    for kind in ("PodScheduled", "ContainersReady", "Ready"):
        condition = _condition(item, kind)
        if condition.get("status") == "False" and (
            condition.get("message") or condition.get("reason")
        ):
            return condition.get("message") or condition["reason"]
    return f"phase {status.get('phase', 'unknown')}, not ready"


def _stale(obj: Properties) -> Readiness | None:
    generation = (obj.get("metadata") or {}).get("generation", 0)
    observed = (obj.get("status") or {}).get("observedGeneration", -1)
    if generation == observed:
        return None
    text = f"{obj.get('kind')} generation is {generation}, but latest observed generation is"
    return Readiness(False, f"{text} {observed}")


def _condition(obj: Properties, kind: str) -> dict[str, Any]:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((item for item in conditions if item.get("type") == kind), {})


def _may_skip_deletion(live: Properties) -> bool:
    # pulumi-kubernetes #1232, #3154: skipAwait skips the wait for these, and for no other kind.
    return live.get("kind") in (
        "Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet",
        "Job",
    )  # fmt: skip


def _uid(obj: Properties) -> str:
    return (obj.get("metadata") or {}).get("uid", "")
