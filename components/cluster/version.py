"""`ClusterVersion`: the Kubernetes version of a VKE cluster, upgraded and waited for.

The provider POSTs an upgrade and reads at once: its state keeps the old version, so the next
preview wants the same upgrade again, and Vultr refuses that one (docs/facts/real-providers.md,
Vultr 2). So the provider makes a cluster, and this resource changes its version.

The provider class runs in a process of its own (Pulumi's dynamic provider) and may block.
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, UpdateResult

from ..errors import VultrError
from ..own_resource import OwnResource
from ..progress import say
from ..vendors.credentials import vultr_key
from ..vendors.provider import VendorProvider
from ..vendors.vultr import VultrApi
from ..vendors.vultr_cluster import LiveCluster
from .settling import settle, version_missing

UPGRADE_MINUTES = 60
"""How long nothing may change while a cluster is upgraded."""
STAYING_MINUTES = 15
"""After how long without a change a node that was there before is taken for upgraded."""


class ClusterVersionArgs(TypedDict):
    """The version of a cluster by its id.

    `ipv6` says whether a node without an IPv6 address is one that can serve. `minutes` is how long
    nothing may change meanwhile.
    """

    cluster_id: pulumi.Input[str]
    version: str
    ipv6: NotRequired[bool]
    minutes: NotRequired[float]


class _Provider(VendorProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        # Vultr may show no version (docs/facts/vultr-users.md, 2): then it is taken at its word.
        return CreateResult(props["cluster_id"], self._settled(props, unknown=props["version"]))

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._settled(props, unknown=""))

    def _settled(self, props: dict[str, Any], unknown: str) -> dict[str, Any]:
        vultr, version = self._vultr(), props["version"]
        try:
            before = vultr.cluster(props["cluster_id"])
            upgrading = (before.version or unknown) != version
            if upgrading:
                _begin(vultr, before.id, before.label, version)
            elif unknown:
                # Just made, or known for longer than this resource: nothing is changed.
                return props
            _await(vultr, before, props)
            if upgrading:
                _await_new_nodes(vultr, before, props)
        except VultrError as error:
            raise RuntimeError(str(error)) from None
        return props

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            cluster = self._vultr().cluster(props["cluster_id"])
        except VultrError as error:
            if error.status != 404:
                raise RuntimeError(str(error)) from None
            return ReadResult("", {})
        # A version that Vultr doesn't show isn't another one (docs/facts/vultr-users.md, 2).
        found = {**props, "version": cluster.version or props["version"]}
        return ReadResult(id_, found, inputs=dict(found))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaces = ["cluster_id"] if olds.get("cluster_id") != news.get("cluster_id") else []
        changed = olds.get("version") != news.get("version")
        return DiffResult(changes=bool(replaces) or changed, replaces=replaces)

    def _vultr(self) -> VultrApi:
        return VultrApi(vultr_key(self.config))


def sizes(cluster: LiveCluster) -> dict[str, int]:
    """How many nodes each pool has again at the end, by what Vultr gives it."""
    return {p.label: p.autoscale[0] if p.autoscale else p.nodes for p in cluster.pools}


def _missing(before: LiveCluster, live: LiveCluster, props: Mapping[str, Any]) -> list[str]:
    return version_missing(live, props["version"], sizes(before), props.get("ipv6", True))


def _await(vultr: VultrApi, before: LiveCluster, props: Mapping[str, Any]) -> None:
    settle(
        lambda: vultr.cluster(before.id),
        lambda live: _missing(before, live, props),
        props.get("minutes") or UPGRADE_MINUTES,
        say,
    )


def _await_new_nodes(vultr: VultrApi, before: LiveCluster, props: Mapping[str, Any]) -> None:
    """An upgrade makes nodes anew, and may show its version first. Whether it always does isn't
    established (docs/facts/vultr.md): nodes that stay, while nothing is missing, end the wait."""
    old = {node.id for node in before.nodes}

    def missing(live: LiveCluster) -> list[str]:
        left = len(old & {node.id for node in live.nodes})
        return [
            *_missing(before, live, props),
            *([f"{left} old nodes to be replaced"] if left else []),
        ]

    try:
        settle(lambda: vultr.cluster(before.id), missing, STAYING_MINUTES, say)
    except VultrError:
        if _missing(before, vultr.cluster(before.id), props):
            raise
        say(f"cluster {before.label}: its nodes stayed, so they were upgraded in place")


def _begin(vultr: VultrApi, cluster_id: str, label: str, version: str) -> None:
    try:
        vultr.upgrade(cluster_id, version)
    except VultrError as error:
        if error.status is not None and error.status < 500:
            begun = "Nothing was changed"
        else:
            begun = "It may have begun all the same: `pulumi up` goes on from what it finds"
        raise VultrError(
            f"cluster {label} isn't upgraded to {version}: {error}. {begun}", error.status
        ) from None


class ClusterVersion(OwnResource, name="ClusterVersion", provider=_Provider):
    """A cluster's version. Changing it upgrades, and waits until all nodes are there anew."""

    version: pulumi.Output[str]

    def __init__(
        self, name: str, args: ClusterVersionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
