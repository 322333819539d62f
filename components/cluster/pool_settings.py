"""`PoolSettings`: what can change about a node pool that is there: size, bounds, labels.

The provider sends `auto_scaler: false, min_nodes: 1, max_nodes: 1` with every PATCH of a pool
(2.27.1, both resources), and VKE refuses bounds of a pool that doesn't scale itself: 422
(docs/facts/vultr-users.md, 1). And where the autoscaler is on, its PATCH carries the size of the
last `pulumi up`, which would take away what the autoscaler has added. So the provider makes pools,
and this resource sends what changes about one, and nothing else.

The provider class runs in a process of its own (Pulumi's dynamic provider) and may block.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from ..errors import VultrError
from ..json_object import object_at
from ..own_resource import OwnResource
from ..progress import say
from ..vendors.credentials import vultr_key
from ..vendors.provider import VendorProvider
from ..vendors.vultr import VultrApi
from ..vendors.vultr_cluster import LiveCluster, Pool
from .settling import NODES_MINUTES, pool_missing, settle


class Bounds(TypedDict):
    """The least and the most nodes of a pool that scales itself."""

    min: int
    """At least 1. Changes in place."""
    max: int
    """At least `min`. Changes in place."""


class PoolSettingsArgs(TypedDict):
    """A pool of a cluster by its label: either `nodes` or `autoscale`, and its labels.

    `ipv6` says whether a node without an IPv6 address is one that can serve. `minutes` is how long
    nothing may change while nodes come or go. `serving`: the pool has served before this resource
    came, so that where nothing is to change nothing is waited for.
    """

    cluster_id: pulumi.Input[str]
    pool: str
    nodes: NotRequired[int]
    autoscale: NotRequired[Bounds]
    labels: NotRequired[Mapping[str, str]]
    ipv6: NotRequired[bool]
    minutes: NotRequired[float]
    serving: NotRequired[bool]


def bounds(props: Mapping[str, Any]) -> tuple[int, int | None]:
    """The least and the most nodes that are waited for."""
    if autoscale := props.get("autoscale"):
        return int(autoscale["min"]), None
    return int(props["nodes"]), int(props["nodes"])


def change(pool: Pool, props: Mapping[str, Any]) -> dict[str, Any]:
    """The PATCH that makes a live pool as `props` say; empty where it is so.

    What doesn't change isn't sent: bounds of a pool that doesn't scale itself are refused, and a
    size would undo the autoscaler's.
    """
    found: dict[str, Any] = {}
    if autoscale := props.get("autoscale"):
        wanted = int(autoscale["min"]), int(autoscale["max"])
        if pool.autoscale != wanted:
            found |= {"auto_scaler": True, "min_nodes": wanted[0], "max_nodes": wanted[1]}
    else:
        if pool.autoscale:
            found["auto_scaler"] = False
        if pool.nodes != (nodes := int(props["nodes"])):
            found["node_quantity"] = nodes
    labels = object_at(props, "labels")
    if any(pool.labels.get(key) != value for key, value in labels.items()):
        found["labels"] = {**pool.labels, **labels}
    return found


def as_found(pool: Pool, props: Mapping[str, Any]) -> dict[str, Any]:
    """`props` with what of them Vultr has otherwise by now."""
    kept = {k: v for k, v in props.items() if k not in ("nodes", "autoscale", "labels")}
    if pool.autoscale:
        kept["autoscale"] = {"min": pool.autoscale[0], "max": pool.autoscale[1]}
    else:
        kept["nodes"] = pool.nodes
    if labels := object_at(props, "labels"):
        kept["labels"] = {key: pool.labels[key] for key in labels if key in pool.labels}
    return kept


def same(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether two of them ask for the same pool."""
    return all((olds.get(k) or None) == (news.get(k) or None) for k in _COMPARED)


_COMPARED = ("nodes", "autoscale", "labels")
_IDENTITY = ("cluster_id", "pool")


class _Provider(VendorProvider):
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """`serving` counts where this resource comes; later it would only clutter what changes."""
        came = news if not olds else {**news, "serving": olds.get("serving")}
        return CheckResult({key: value for key, value in came.items() if value is not None}, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"{props['cluster_id']}/{props['pool']}", self._settled(props, {}))

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._settled(props, olds))

    def _settled(self, props: dict[str, Any], olds: Mapping[str, Any]) -> dict[str, Any]:
        vultr, cluster_id, label = self._vultr(), props["cluster_id"], props["pool"]
        try:
            pool = _pool(vultr.cluster(cluster_id), label)
            if patch := change(pool, props):
                vultr.change_pool(cluster_id, pool.id, patch)
            dropped = object_at(olds, "labels").keys() - object_at(props, "labels").keys()
            if dropped & pool.labels.keys():
                vultr.remove_pool_labels(cluster_id, pool.id, dropped)
            if props.get("serving") and not (patch or olds):
                return props
            settle(
                lambda: vultr.cluster(cluster_id),
                lambda live: pool_missing(live, label, bounds(props), props.get("ipv6", True)),
                props.get("minutes") or NODES_MINUTES,
                say,
            )
        except VultrError as error:
            raise RuntimeError(f"pool {label}: {error}") from None
        return props

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            pool = self._vultr().cluster(props["cluster_id"]).pool(props["pool"])
        except VultrError as error:
            if error.status != 404:
                raise RuntimeError(str(error)) from None
            pool = None
        if pool is None:
            return ReadResult("", {})
        # As inputs too: the preview after a refresh then shows what somebody changed.
        found = as_found(pool, props)
        return ReadResult(id_, found, inputs=dict(found))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaces = [key for key in _IDENTITY if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(replaces) or not same(olds, news), replaces=replaces)

    def _vultr(self) -> VultrApi:
        return VultrApi(vultr_key(self.config))


def _pool(cluster: LiveCluster, label: str) -> Pool:
    pool = cluster.pool(label)
    if pool is None:
        raise VultrError(
            f"cluster {cluster.label} has no such pool any more. `pulumi up --refresh` makes it "
            "again"
        )
    return pool


class PoolSettings(OwnResource, name="PoolSettings", provider=_Provider):
    """The size, bounds and labels of a pool. Creating and changing it waits for the nodes."""

    def __init__(
        self, name: str, args: PoolSettingsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
