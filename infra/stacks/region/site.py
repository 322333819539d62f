"""What every step of a region stack knows."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster.contract import Cluster, in_cluster
from components.firewall.cloudflare_ranges import CloudflareRanges
from infra.fleet.inventory import Inventory, RegionStack
from infra.stacks.origin_trust import ReadSecret
from infra.state.resource_types import DAEMON_SET

_NODES = 30
"""Of a cluster whose size no file says; `timeouts.rollout` is there for larger ones."""


@dataclass(frozen=True)
class Site:
    """What every step below knows.

    `ranges` are the addresses Cloudflare connects from, `digests` those of images, `kubernetes`
    the provider of the cluster.
    """

    stack: RegionStack
    inventory: Inventory
    ranges: CloudflareRanges
    digests: Mapping[str, str]
    secret: ReadSecret
    cluster: Cluster
    kubernetes: kubernetes.Provider

    def name(self, part: str) -> str:
        """A resource's name."""
        return f"{self.stack.name}-{part}"

    def after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        """Options of what lives in the cluster and comes after these."""
        options = in_cluster(self.cluster, *resources, provider=self.kubernetes)
        options.transformations = [self._patient]
        return options

    def _patient(
        self, args: pulumi.ResourceTransformationArgs
    ) -> pulumi.ResourceTransformationResult | None:
        """DaemonSets roll node by node: the provider's ten minutes would do for a few."""
        if args.type_ != DAEMON_SET:
            return None
        pools = self.stack.vke.pools if self.stack.vke else []
        nodes = sum(pool.autoscale.max if pool.autoscale else pool.nodes for pool in pools)
        rollout = self.stack.settings.cluster.timeouts.rollout
        minutes = f"{rollout + 2 * (nodes or _NODES)}m"
        args.opts.custom_timeouts = pulumi.CustomTimeouts(create=minutes, update=minutes)
        return pulumi.ResourceTransformationResult(args.props, args.opts)
