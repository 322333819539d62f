"""The last step: the nodes' addresses under the region's host name."""

import pulumi

from components.dns.regional import RegionalDns
from infra.stacks.region.site import Site


def publish(site: Site, *answering: pulumi.Resource) -> None:
    stack = site.stack
    withdrawn = site.inventory.withdrawn(stack)
    nodes = sum(pool.nodes for pool in stack.settings.cluster.pools)
    RegionalDns(
        site.name("dns"),
        {
            "zone_id": stack.fleet.zone_id,
            "hostname": stack.hostname,
            "owner": stack.name,
            "nodes": [] if withdrawn else site.cluster.nodes,
            "expected_nodes": 0 if withdrawn else nodes,
        },
        pulumi.ResourceOptions(depends_on=list(answering)),
    )
