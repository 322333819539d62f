"""`DrainedPool`: a node pool whose nodes are emptied before it goes.

Vultr deletes the machines of a pool without draining them (docs/facts/vultr-users.md, 5). This
resource does nothing while it is there; when it goes, it drains, and the pool goes after it.

The provider class runs in a process of its own (Pulumi's dynamic provider) and may block.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from ..json_object import Json, object_at, objects_at
from ..progress import say
from ..server_side.api import CLUSTER_LEVEL, Refused, ServerObject, Unreachable
from ..server_side.resource import ClusterResource
from ..vendors.credentials import forgets_the_unreachable

POOL_LABEL = "vke.vultr.com/node-pool"
"""Vultr's cloud-controller-manager gives it to every node (docs/facts/vultr.md §3)."""
DRAIN_MINUTES = 30
_POLL_SECONDS = 2.0
_STAYING = {"DaemonSet", "Node"}
"""Owners whose pods belong to the node."""
_MERGE = "application/merge-patch+json"


class DrainedPoolArgs(TypedDict):
    """A pool by its label, in a cluster by its kubeconfig."""

    kubeconfig: pulumi.Input[str]
    pool: str


def to_evict(pods: list[Json]) -> list[Json]:
    """The pods that have to move: not those of a DaemonSet, of the node itself, or done."""
    return [
        pod
        for pod in pods
        if not {o["kind"] for o in objects_at(pod, "metadata", "ownerReferences")} & _STAYING
        and "kubernetes.io/config.mirror" not in object_at(pod, "metadata", "annotations")
        and object_at(pod, "status").get("phase") not in ("Succeeded", "Failed")
    ]


class Drain:
    """Draining the nodes of a pool. Raises Refused and Unreachable."""

    def __init__(self, server: ServerObject, pool: str, say: Callable[[str], None]) -> None:
        self._server = server
        self._pool = pool
        self._say = say

    def nodes(self) -> list[str]:
        """Names of the pool's nodes."""
        label = f"{POOL_LABEL}={self._pool}"
        found = self._server.items("/api/v1/nodes", labelSelector=label)
        return sorted(node["metadata"]["name"] for node in found)

    def run(self, minutes: float) -> None:
        """Cordon all, evict what is on them, and wait until it is gone.

        Raises TimeoutError, naming what stays, where that takes longer than `minutes`.
        """
        for node in self.nodes():
            self._server.request(
                "PATCH", f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}}, _MERGE
            )
        deadline = time.monotonic() + minutes * 60
        said = ""
        while left := [pod for node in self.nodes() for pod in self._pods(node)]:
            held = [text for pod in left if (text := self._evict(pod))]
            text = f"pool {self._pool}: draining, {len(left)} pods left"
            if held:
                text += f"; {'; '.join(held)}"
            if text != said:
                self._say(text)
                said = text
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text}. After {minutes:g} minutes nothing was deleted")
            time.sleep(_POLL_SECONDS)

    def _pods(self, node: str) -> list[Json]:
        here = f"spec.nodeName={node}"
        return to_evict(self._server.items("/api/v1/pods", fieldSelector=here))

    def _evict(self, pod: Mapping[str, Any]) -> str | None:
        """Why the pod can't go now, None where it goes."""
        meta = pod["metadata"]
        if meta.get("deletionTimestamp"):
            return None
        named = {"namespace": meta["namespace"], "name": meta["name"]}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction"
        try:
            self._server.request("POST", path, body)
        except Refused as refused:
            if refused.status == 404:
                return None
            if refused.status != 429:
                raise
            return f"{meta['namespace']}/{meta['name']}: {refused}"
        return None


class _Provider(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["pool"], props)

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if forgets_the_unreachable():
            try:
                ServerObject({**CLUSTER_LEVEL, **props}, patient=False).items("/api/v1/nodes")
            except (Refused, Unreachable):
                return ReadResult("", {})
        return ReadResult(id_, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        other = olds.get("pool") != news.get("pool")
        changed = other or olds.get("kubeconfig") != news.get("kubeconfig")
        return DiffResult(changes=changed, replaces=["pool"] if other else [])

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        try:
            Drain(ServerObject({**CLUSTER_LEVEL, **props}), props["pool"], say).run(DRAIN_MINUTES)
        except (Refused, Unreachable, TimeoutError) as error:
            if isinstance(error, Unreachable) and forgets_the_unreachable():
                return
            raise RuntimeError(
                f"pool {props['pool']} isn't drained, so it stays: {error}. `pulumi up` again goes "
                "on from here"
            ) from None


class DrainedPool(ClusterResource, name="DrainedPool", provider=_Provider):
    """When it goes, its pool's nodes take no new pods, and lose those that they have."""

    def __init__(
        self, name: str, args: DrainedPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
