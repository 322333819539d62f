"""The first step: a cluster, and the way into it."""

from collections.abc import Callable

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster.contract import Cluster
from components.cluster.existing import ExistingCluster as GivenCluster
from components.cluster.existing import ReadCluster, ask_api_server
from components.cluster.live_nodes import ClusterReader
from components.cluster.pool_settings import Bounds
from components.cluster.vke import VkeCluster
from components.cluster.vke_args import PoolArgs
from infra.fleet.inventory import RegionStack
from infra.fleet.kubeconfig import kubeconfig_file
from infra.settings.cluster import Cluster as Vke
from infra.settings.cluster import ExistingCluster, Pool
from infra.stacks.origin_trust import ReadSecret
from infra.state.survey import Survey

Open = Callable[[RegionStack, ReadSecret], tuple[pulumi.Input[str], ReadCluster]]
"""Gives the kubeconfig of a cluster that is there already, and how the cluster is read."""


def open_existing(stack: RegionStack, secret: ReadSecret) -> tuple[pulumi.Input[str], ReadCluster]:
    """By the file that the stack file names, or by its secret. Raises SettingsError."""
    cluster = stack.settings.cluster
    if not isinstance(cluster, ExistingCluster) or cluster.existing.kubeconfig is None:
        return secret("kubeconfig"), ask_api_server
    return kubeconfig_file(stack.name, stack.file, cluster.existing.kubeconfig), ask_api_server


def existing_cluster(
    stack: RegionStack, wanted: ExistingCluster, opened: Open, secret: ReadSecret, found: Survey
) -> GivenCluster:
    kubeconfig, read = opened(stack, secret)
    return GivenCluster(
        stack.name,
        {
            "kubeconfig": kubeconfig,
            # A stack goes on in the cluster that it was made in.
            "identity": found.identity,
            "addresses": wanted.existing.node_addresses(),
            "ipv6": wanted.ipv6,
        },
        published=found.published,
        accept_loss=wanted.accept_loss,
        read=read,
    )


def vke_cluster(stack: RegionStack, wanted: Vke, vultr: ClusterReader, found: Survey) -> VkeCluster:
    return VkeCluster(
        stack.name,
        {
            "label": stack.label,
            "location": wanted.location,
            "version": wanted.version,
            "pools": [_pool(pool) for pool in wanted.pools],
            "vpc_cidr": wanted.vpc.cidr if wanted.vpc else None,
            "high_availability": wanted.high_availability,
            "ipv6": wanted.ipv6,
            "minutes": {"nodes": wanted.timeouts.nodes, "upgrade": wanted.timeouts.upgrade},
            "accept_loss": wanted.accept_loss,
        },
        pulumi.ResourceOptions(protect=wanted.protect),
        reader=vultr,
        known={
            "seen": found.cluster,
            "published": found.published,
            "leaving": found.leaving,
            "upgrading": found.upgrades_to(wanted.version),
        },
    )


def kubernetes_provider(stack: RegionStack, cluster: Cluster) -> kubernetes.Provider:
    return kubernetes.Provider(
        f"{stack.name}-kubernetes",
        kubeconfig=cluster.kubeconfig,
        # Names the cluster, so that a new kubeconfig doesn't plan the replacement of all in it.
        cluster_identifier=cluster.identity,
        # An interrupted `up` may have made an object that the state doesn't know; without this the
        # next one fails with "already exists" (pulumi-kubernetes 4.29).
        upsert_existing_objects=True,
        # All that goes through this provider is ours: what an earlier update made under another
        # field manager, or somebody edited, is taken back instead of ending in a conflict.
        enable_patch_force=True,
        # Changed in place: replacing a named object deletes it first, and its readers with it.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )


def _pool(pool: Pool) -> PoolArgs:
    bounds: Bounds | None = None
    if pool.autoscale:
        bounds = {"min": pool.autoscale.min, "max": pool.autoscale.max}
    return {
        "label": pool.label,
        "plan": pool.plan,
        "nodes": pool.nodes,
        "autoscale": bounds,
        "labels": pool.labels,
        "taints": [taint.model_dump() for taint in pool.taints],  # pyright: ignore[reportReturnType]
        "serves": pool.serves,
    }
