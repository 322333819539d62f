"""`VkeCluster`: a Vultr Kubernetes Engine cluster, its node pools and its live nodes."""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, Protocol, TypedDict

import ediri_vultr as vultr
import pulumi

from ..errors import NoCredential, VultrError
from ..vendors.credentials import stack_config, vultr_key
from ..vendors.vultr import LiveCluster, VultrApi, Wanted
from .contract import Node


class ClusterReader(Protocol):
    """What `VkeCluster` asks of Vultr itself; `VultrApi` is one."""

    def find_cluster(self, label: str) -> LiveCluster | None: ...

    def cluster(self, cluster_id: str) -> LiveCluster: ...

    def wait_for_cluster(
        self, cluster_id: str, wanted: Wanted, say: Callable[[str], None]
    ) -> LiveCluster: ...

    def kubeconfig(self, cluster_id: str) -> str: ...


class PoolArgs(TypedDict):
    """A node pool. `autoscale` gives the least and most nodes the vendor may scale it to."""

    label: str
    plan: str
    nodes: int
    autoscale: NotRequired[tuple[int, int] | None]
    labels: NotRequired[Mapping[str, str]]


class VkeClusterArgs(TypedDict):
    """A cluster.

    `label` is unique in the account: a preview finds the cluster's nodes by it. The first of
    `pools` is the pool that is made with the cluster. `vpc_cidr` makes a VPC for it. `vultr` is
    where live nodes are read; without one, Vultr with the provider's key.
    """

    label: str
    location: str
    version: str
    pools: Sequence[PoolArgs]
    vultr: NotRequired[ClusterReader]
    vpc_cidr: NotRequired[str | None]
    high_availability: NotRequired[bool]


def wanted(version: str, pools: Sequence[PoolArgs]) -> Wanted:
    """What the cluster has to come to before anything is built on its nodes."""
    return Wanted(
        version, {p["label"]: p.get("autoscale") or (p["nodes"], p["nodes"]) for p in pools}
    )


def pool_inputs(pool: PoolArgs) -> dict[str, Any]:
    """The provider's inputs for a pool, alike for the first pool and for further ones."""
    inputs: dict[str, Any] = {
        "label": pool["label"],
        "plan": pool["plan"],
        "node_quantity": pool["nodes"],
    }
    if bounds := pool.get("autoscale"):
        inputs |= {"auto_scaler": True, "min_nodes": bounds[0], "max_nodes": bounds[1]}
    if labels := pool.get("labels"):
        inputs["labels"] = dict(labels)
    return inputs


def serving(cluster: LiveCluster) -> list[Node]:
    """The nodes that are ready, as anybody needs them."""
    return [
        Node(id=node.id, name=node.label, ipv4=node.ipv4, ipv6=node.ipv6)
        for node in cluster.ready_nodes
    ]


class VkeCluster(pulumi.ComponentResource):
    """A VKE cluster with a firewall group that Vultr links to every node it ever has.

    Outputs:
        identity, kubeconfig, nodes, owner: as `contract.Cluster` has them. `nodes` are known in
            every preview, live after a node was recycled, and in an update as they are once the
            cluster has what was asked for. `identity` is the id at Vultr.
        endpoint: a host name without scheme.
        firewall_group_id: the managed group, "" where the cluster was made without one.
    """

    owner: pulumi.Resource | None
    identity: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    firewall_group_id: pulumi.Output[str]
    nodes: pulumi.Output[list[Node]]

    def __init__(
        self, name: str, args: VkeClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("edgefleet:index:VkeCluster", name, None, opts)
        self._args = args
        self._vultr = args.get("vultr") or vultr_of_this_stack()
        child = pulumi.ResourceOptions(parent=self)
        first, *further = args["pools"]
        cluster = vultr.Kubernetes(
            f"{name}-cluster",
            label=args["label"],
            region=args["location"],
            version=args["version"],
            enable_firewall=True,
            ha_controlplanes=args.get("high_availability", False),
            vpc_id=_vpc(name, args, child),
            node_pools=vultr.KubernetesNodePoolsArgs(**pool_inputs(first)),
            # Vultr never tells these two (docs/facts/vultr.md §1): for a cluster that was imported,
            # the provider would see them change and replace it.
            opts=_ignoring(
                child, ["enableFirewall", "vpcId"], _scaled(first, "nodePools.nodeQuantity")
            ),
        )
        pools = [
            vultr.KubernetesNodePools(
                f"{name}-pool-{pool['label']}",
                cluster_id=cluster.id,
                **pool_inputs(pool),
                opts=_ignoring(child, _scaled(pool, "nodeQuantity")),
            )
            for pool in further
        ]
        # Not an `apply` on the provider's own list of nodes: that keeps old values in a preview,
        # and an update returns before Vultr lists the new ones (docs/facts/real-providers.md,
        # Vultr 2-4).
        live = pulumi.Output.all(
            cluster.id, cluster.version, *[pool.node_quantity for pool in pools]
        ).apply(lambda settled: self._live(settled[0]), run_with_unknowns=True)

        self.owner = cluster
        self.identity = cluster.id.apply(str)
        self.endpoint = cluster.endpoint
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.id, cluster.kube_config).apply(
                lambda known: self._kubeconfig(*known)
            )
        )
        # After a failed poll, and where Vultr links the group late, the provider's output is ""
        # until a refresh (docs/facts/real-providers.md, Vultr 8, 9).
        self.firewall_group_id = pulumi.Output.all(cluster.firewall_group_id, live).apply(
            lambda known: known[0] or (known[1].firewall_group_id if known[1] else "")
        )
        self.nodes = live.apply(lambda found: serving(found) if found else [])
        self.register_outputs(
            {
                "clusterId": self.identity,
                "endpoint": self.endpoint,
                "kubeconfig": self.kubeconfig,
                "firewallGroupId": self.firewall_group_id,
            }
        )

    async def _live(self, cluster_id: object) -> LiveCluster | None:
        """The cluster as it is (preview) or as it comes to be (update). Polls in a thread: an
        `apply` that blocks stalls every other registration."""
        args = self._args
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            # From the polling thread, where Pulumi's log has no event loop.
            loop.call_soon_threadsafe(pulumi.log.info, text, self)

        try:
            if pulumi.runtime.is_dry_run():
                return await self._as_it_is(cluster_id)
            return await asyncio.to_thread(
                self._vultr.wait_for_cluster,
                str(cluster_id),
                wanted(args["version"], args["pools"]),
                say,
            )
        except VultrError as error:
            raise pulumi.RunError(str(error)) from None

    async def _as_it_is(self, cluster_id: object) -> LiveCluster | None:
        if isinstance(cluster_id, str):
            return await asyncio.to_thread(self._vultr.cluster, cluster_id)
        # New, or about to be replaced. What stands there now is shown instead of nothing, or
        # every record of the region would look deleted.
        label = self._args["label"]
        found = await asyncio.to_thread(self._vultr.find_cluster, label)
        if found:
            pulumi.log.warn(
                f"cluster {label}: its id is not known yet. Shown are the nodes of {found.id}, "
                "which has this label now; `pulumi up` follows the nodes it finds then",
                self,
            )
        return found

    async def _kubeconfig(self, cluster_id: str, kube_config: str) -> str:
        # Empty after a create whose last poll failed, until a refresh
        # (docs/facts/real-providers.md, Vultr 9).
        if kube_config:
            return b64decode(kube_config).decode()
        try:
            return await asyncio.to_thread(self._vultr.kubeconfig, cluster_id)
        except VultrError as error:
            raise pulumi.RunError(str(error)) from None


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


def _scaled(pool: PoolArgs, path: str) -> list[str]:
    """An autoscaled pool's size belongs to the autoscaler (docs/facts/vultr.md §1, TF #472)."""
    return [path] if pool.get("autoscale") else []


def _ignoring(child: pulumi.ResourceOptions, *paths: list[str]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(
        child, pulumi.ResourceOptions(ignore_changes=[path for group in paths for path in group])
    )
