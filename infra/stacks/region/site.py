"""What every step of a region stack knows."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster.contract import Cluster, in_cluster
from components.firewall.cloudflare_ranges import CloudflareRanges
from infra.fleet.inventory import Inventory, RegionStack
from infra.stacks.origin_trust import ReadSecret


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
        return in_cluster(self.cluster, *resources, provider=self.kubernetes)
