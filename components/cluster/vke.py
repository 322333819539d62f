"""`VkeCluster`: a Vultr Kubernetes Engine cluster, its node pools and its live nodes."""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Collection, Sequence
from typing import Any, NotRequired, TypedDict

import ediri_vultr as vultr
import pulumi

from ..arguments import refuse_arguments
from ..errors import NoCredential, VultrError
from ..vendors.credentials import stack_config, vultr_key
from ..vendors.vultr import VultrApi
from ..vendors.vultr_cluster import LiveCluster
from .contract import Node, ServingNode, as_data
from .drained_pool import DrainedPool
from .kubeconfig import is_refused
from .live_nodes import ClusterReader, LiveNodes, Serving, expected
from .pool_settings import PoolSettings, PoolSettingsArgs
from .settling import NODES_MINUTES
from .version import UPGRADE_MINUTES, ClusterVersion
from .vke_args import PoolArgs, VkeClusterArgs

_POOL_INPUTS = ("nodeQuantity", "autoScaler", "minNodes", "maxNodes", "labels", "taints")


class Known(TypedDict):
    """What is known of a cluster before anything is registered.

    `seen`: the cluster as it was read. `published`: ids of the nodes that have records. `leaving`:
    labels of pools that go now, and whose nodes serve no more. `upgrading`: the version is about to
    change, so nodes come and go.
    """

    seen: NotRequired[LiveCluster | None]
    published: NotRequired[Collection[str]]
    leaving: NotRequired[Collection[str]]
    upgrading: NotRequired[bool]


def pool_inputs(pool: PoolArgs) -> dict[str, Any]:
    """The provider's inputs for a pool, alike for the first pool and for further ones."""
    inputs: dict[str, Any] = {
        "label": pool["label"],
        "plan": pool["plan"],
        "node_quantity": pool["nodes"],
    }
    if bounds := pool.get("autoscale"):
        inputs |= {"auto_scaler": True, "min_nodes": bounds["min"], "max_nodes": bounds["max"]}
    if labels := pool.get("labels"):
        inputs["labels"] = dict(labels)
    if taints := pool.get("taints"):
        inputs["taints"] = [dict(taint) for taint in taints]
    return inputs


def pool_settings(pool: PoolArgs) -> dict[str, Any]:
    """What of a pool can change, as `PoolSettings` takes it."""
    settings: dict[str, Any] = {"pool": pool["label"]}
    if bounds := pool.get("autoscale"):
        settings["autoscale"] = bounds
    else:
        settings["nodes"] = pool["nodes"]
    if labels := pool.get("labels"):
        settings["labels"] = dict(labels)
    return settings


class VkeCluster(pulumi.ComponentResource):
    """A VKE cluster with a firewall group that Vultr links to every node it ever has.

    Outputs:
        identity: the id at Vultr.
        version: of Kubernetes, once the nodes have it. With another one Vultr may have made what
            is in the cluster anew.
        endpoint: a host name without scheme.
        kubeconfig: YAML, a secret.
        owner: as `contract.Cluster` has it.
        nodes: the live nodes that serve, by id. Known in every preview, live after a node was
            recycled, and in an update as they are once the cluster has what was changed.
        firewall_group_id: the managed group, "" where Vultr shows none.
        expected_nodes: how many serve after `pulumi up`.

    Args:
        reader: where live nodes are read. Default: Vultr, with the provider's key.
        known: what is known of the cluster before anything is registered. Default: nothing.
    """

    owner: pulumi.Resource | None
    identity: pulumi.Output[str]
    version: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    firewall_group_id: pulumi.Output[str]
    nodes: pulumi.Output[list[ServingNode]]
    expected_nodes: pulumi.Output[int]
    before_nodes_go: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        args: VkeClusterArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        reader: ClusterReader | None = None,
        known: Known | None = None,
    ) -> None:
        refuse_arguments("VkeCluster", name, VkeClusterArgs, args)
        super().__init__("edgefleet:index:VkeCluster", name, None, opts)
        self._args = args
        self._known: Known = known or {}
        self._vultr = reader or vultr_of_this_stack()
        others = [pool["label"] for pool in args["pools"] if not pool.get("serves", True)]
        apart = [*self._known.get("leaving", ()), *others]
        self._serving = Serving(args.get("ipv6", True), apart)
        self._live = LiveNodes(
            self._vultr,
            args["label"],
            self._serving,
            self,
            self._known.get("published", ()),
            args.get("accept_loss", False),
            self._known.get("seen"),
        )
        cluster = self._cluster(name)
        self.owner = cluster
        self.identity = cluster.id.apply(str)
        self.endpoint = cluster.endpoint
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.id, cluster.kube_config).apply(
                lambda known: self._kubeconfig(*known)
            )
        )
        settings, self.before_nodes_go = self._pools(name, cluster)
        changed = ClusterVersion(
            f"{name}-version",
            {
                "cluster_id": cluster.id,
                "version": args["version"],
                "ipv6": self._serving.ipv6,
                "minutes": args.get("minutes", {}).get("upgrade", UPGRADE_MINUTES),
            },
            # Protected, as the cluster is, it keeps the pools that it depends on from a
            # `destroy --exclude-protected`.
            pulumi.ResourceOptions(
                parent=self, deleted_with=cluster, depends_on=[*settings, *self.before_nodes_go]
            ),
        )
        self.version = changed.version
        self._read(cluster, [changed, *settings])
        if self._known.get("upgrading") and not pulumi.runtime.is_dry_run():
            cluster.id.apply(lambda found: self._live.watch(found, changed.version.future()))
        self.register_outputs(
            {
                "clusterId": self.identity,
                "endpoint": self.endpoint,
                "kubeconfig": self.kubeconfig,
                "firewallGroupId": self.firewall_group_id,
            }
        )

    def follow(self, take: Callable[[Sequence[Node]], None]) -> None:
        """Have nodes taken as they come while the cluster is upgraded; `nodes` come at the end."""
        self._live.follow(take)

    def _cluster(self, name: str) -> vultr.Kubernetes:
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        return vultr.Kubernetes(
            f"{name}-cluster",
            label=args["label"],
            region=args["location"],
            version=args["version"],
            enable_firewall=True,
            ha_controlplanes=args.get("high_availability", False),
            vpc_id=_vpc(name, args, child),
            node_pools=vultr.KubernetesNodePoolsArgs(**pool_inputs(args["pools"][0])),
            # Vultr never tells the first two (docs/facts/vultr.md §1): for a cluster that was
            # imported, the provider would see them change and replace it. The others change by
            # ClusterVersion and PoolSettings, whose reasons say why.
            opts=_ignoring(child, ["enableFirewall", "vpcId", "version", "nodePools"]),
        )

    def _pools(
        self, name: str, cluster: vultr.Kubernetes
    ) -> tuple[list[PoolSettings], list[DrainedPool]]:
        """Further pools; what can change about each; and what empties those that go."""
        args = self._args
        settings: list[PoolSettings] = []
        drains: list[DrainedPool] = []
        for number, pool in enumerate(args["pools"]):
            label, made = pool["label"], list[pulumi.Resource]()
            if number > 0:
                # A pool that is taken out of the file goes: protection stays with the cluster.
                child = pulumi.ResourceOptions(parent=self, protect=False)
                made.append(
                    vultr.KubernetesNodePools(
                        f"{name}-pool-{label}",
                        cluster_id=cluster.id,
                        **pool_inputs(pool),
                        opts=_ignoring(child, list(_POOL_INPUTS)),
                    )
                )
            unprotected = pulumi.ResourceOptions(
                parent=self, protect=False, deleted_with=cluster, depends_on=made
            )
            if made:
                drain = f"{name}-pool-{label}-drain"
                kubeconfig = self.kubeconfig
                drains.append(
                    DrainedPool(drain, {"kubeconfig": kubeconfig, "pool": label}, unprotected)
                )
            wanted: PoolSettingsArgs = {
                "cluster_id": cluster.id,
                **pool_settings(pool),
                "ipv6": self._serving.ipv6,
                "minutes": args.get("minutes", {}).get("nodes", NODES_MINUTES),
            }  # pyright: ignore[reportAssignmentType]
            seen = self._known.get("seen")
            if seen and seen.pool(label) and self._known.get("published"):
                wanted["serving"] = True
            settings.append(PoolSettings(f"{name}-pool-{label}-settings", wanted, unprotected))
        return settings, drains

    def _read(self, cluster: vultr.Kubernetes, changed: Sequence[pulumi.Resource]) -> None:
        """The nodes, once the cluster has what was changed.

        Not an `apply` on the provider's own list of nodes: that keeps old values in a preview, and
        an update returns before Vultr lists the new ones (docs/facts/real-providers.md, Vultr 2-4).
        """
        live = pulumi.Output.all(cluster.id, *[each.urn for each in changed]).apply(
            lambda settled: self._live.read(settled[0]), run_with_unknowns=True
        )
        # After a failed poll, and where Vultr links the group late, the provider's output is ""
        # until a refresh (docs/facts/real-providers.md, Vultr 8, 9).
        self.firewall_group_id = pulumi.Output.all(cluster.firewall_group_id, live).apply(
            lambda known: known[0] or self._live.firewall_group(known[1])
        )
        self.nodes = live.apply(lambda found: as_data(self._serving.nodes(found)) if found else [])
        sizes = {
            pool["label"]: pool["nodes"] for pool in self._args["pools"] if pool.get("serves", True)
        }
        self.expected_nodes = live.apply(lambda found: expected(found, sizes, self._serving))

    async def _kubeconfig(self, cluster_id: str, kube_config: str) -> str:
        """The provider's, and Vultr's where that is none: empty after a create whose last poll
        failed (docs/facts/real-providers.md, Vultr 9), or refused since it was rotated."""
        stored = b64decode(kube_config).decode()
        try:
            if stored and not await asyncio.to_thread(is_refused, stored):
                return stored
            if not stored:
                await self._live.active(cluster_id)
            current = await asyncio.to_thread(self._vultr.kubeconfig, cluster_id)
        except VultrError as error:
            raise pulumi.RunError(str(error)) from None
        if stored:
            pulumi.log.info(
                f"cluster {self._args['label']}: its API server refuses the kubeconfig in the "
                "state (401), so Vultr's current one is used",
                self,
            )
        return current


def vultr_of_this_stack() -> VultrApi:
    """Vultr, with the key that this stack's provider has. Raises RunError where there is none."""
    try:
        return VultrApi(vultr_key(stack_config))
    except NoCredential as error:
        raise pulumi.RunError(str(error)) from None


def _vpc(
    name: str, args: VkeClusterArgs, opts: pulumi.ResourceOptions
) -> pulumi.Output[str] | None:
    cidr = args.get("vpc_cidr")
    if not cidr:
        return None
    address, size = cidr.split("/")
    return vultr.Vpc(
        f"{name}-vpc",
        region=args["location"],
        description=args["label"],
        v4_subnet=address,
        v4_subnet_mask=int(size),
        opts=opts,
    ).id


def _ignoring(child: pulumi.ResourceOptions, paths: list[str]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=paths))
