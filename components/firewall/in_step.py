"""`NodesInStep`: waits for the pods of the node firewall, and says which nodes stay behind.

A resource of its own that doesn't fail: one node that can't be closed must keep neither the ingress
nor the records of the others from what they need. The pods themselves go node after node, by the
DaemonSet's own update, which stops where one isn't ready.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, UpdateResult

from ..json_object import object_at, objects_at
from ..server_side.api import Refused, ServerObject, Unreachable
from ..server_side.resource import ClusterResource
from ..server_side.rollout import rolled_out, unready
from ..server_side.waiting import Awaited

PATIENCE_SECONDS = 180
"""How long the next node may take: to end its pod, to fetch an image, to carry out the table."""
_POLL_SECONDS = 1.0
_STATE = re.compile(r'state=(\w+) [^"]*reason="([^"]*)"')


class NodesInStepArgs(TypedDict):
    """The DaemonSet; `generation` is its own output, so that each change is awaited anew."""

    kubeconfig: pulumi.Input[str]
    namespace: str
    object_name: str
    generation: pulumi.Input[int]


def is_new(daemon_set: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether the pod is of the DaemonSet's present template."""
    return _told(object_at(daemon_set, "spec", "template", "spec")) == _told(object_at(pod, "spec"))


def _told(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """Mode, image and files: what the pods of two templates differ by."""
    (container,) = objects_at(spec, "containers")
    files = [object_at(v, "configMap").get("name") for v in objects_at(spec, "volumes")]
    return container.get("image"), container.get("args"), [name for name in files if name]


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether its node is as the pod's table and mode say."""
    return any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in objects_at(object_at(pod, "status"), "conditions")
    )


def reason(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> str:
    """`node (why)`: the node's state, which its failing probe told, or what keeps the pod."""
    told = [match for event in events if (match := _STATE.search(str(event.get("message", ""))))]
    if told:
        state, why = told[-1].groups()
        return f"{object_at(pod, 'spec').get('nodeName', 'no node')} ({state}: {why})"
    return unready([pod])[0]


def behind_text(behind: Sequence[str], waiting: Sequence[str]) -> list[str]:
    """The output: nodes that can't be brought in step, and those that wait behind them."""
    if not waiting:
        return list(behind)
    return [*behind, f"waiting for these, with what they had: {', '.join(sorted(waiting))}"]


class _Provider(Awaited):
    identity = ("namespace", "object_name")

    def look(self, props: Mapping[str, Any]) -> tuple[bool, int, list[str]]:
        """Whether all nodes are in step; how many; and those that aren't."""
        server = ServerObject({"kind": "DaemonSet", **props})
        daemon_set = server.get()
        if daemon_set is None:
            return True, 0, []
        pods = server.pods(daemon_set)
        right = [pod for pod in pods if is_ready(pod) and is_new(daemon_set, pod)]
        behind: list[str] = []
        for pod in pods:
            if not is_ready(pod):
                name = object_at(pod, "metadata")["name"]
                path = f"/api/v1/namespaces/{props['namespace']}/events"
                events = server.items(path, fieldSelector=f"involvedObject.name={name}")
                behind.append(reason(pod, events))
        waiting = [
            object_at(pod, "spec").get("nodeName", "no node")
            for pod in pods
            if is_ready(pod) and not is_new(daemon_set, pod)
        ]
        return rolled_out(daemon_set), len(right), behind_text(sorted(behind), waiting)

    def outcome(self, props: Mapping[str, Any]) -> list[str]:
        """Wait as long as one node after the other comes; those that don't."""
        deadline, best = time.monotonic() + PATIENCE_SECONDS, -1
        while True:
            try:
                done, count, behind = self.look(props)
                if done:
                    return []
            except (Refused, Unreachable) as error:
                count, behind = best, [str(error)]
            if count > best:
                deadline, best = time.monotonic() + PATIENCE_SECONDS, count
            if time.monotonic() > deadline:
                return behind or ["its pods haven't been made yet"]
            time.sleep(_POLL_SECONDS)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(self.name(props), {**props, "behind": self.outcome(props)})

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        if olds.get("generation") != props.get("generation"):
            return UpdateResult({**props, "behind": self.outcome(props)})
        # Nothing was changed: no reason to wait for a node that is broken for good.
        return UpdateResult({**props, "behind": self._now(props, olds)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, {**props, "behind": self._now(props, props)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        found = super().diff(_id, olds, news)
        # Nodes that stayed behind are looked at again.
        return DiffResult(
            changes=found.changes or bool(olds.get("behind")), replaces=found.replaces
        )

    def _now(self, props: Mapping[str, Any], olds: Mapping[str, Any]) -> list[str]:
        try:
            done, _, behind = self.look(props)
        except (Refused, Unreachable):
            return list(olds.get("behind") or [])
        return [] if done else behind or ["its pods haven't been made yet"]


class NodesInStep(ClusterResource, name="NodesInStep", provider=_Provider):
    """Creating or updating it waits as long as, within three minutes, one more node comes along.

    `behind` are the nodes that didn't, with why; the next update looks again.
    """

    behind: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: NodesInStepArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {**args, "behind": None}, opts)


def warning(behind: Sequence[str] | None) -> str | None:
    """What `up` says about nodes that stayed behind."""
    if not behind:
        return None
    return (
        f"the firewall of these nodes isn't as the table says: {'; '.join(behind)}. Only the cloud "
        "firewall is known to hold there. Everything else went on; `pulumi up` looks again. The "
        "states and what to do about each: docs/security.md"
    )
