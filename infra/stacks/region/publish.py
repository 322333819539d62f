"""The last step: the nodes' addresses under the region's host name."""

import pulumi

from components.dns.regional import RegionalDns, RegionalDnsArgs
from infra.stacks.region.site import Site


def publish(site: Site, *answering: pulumi.Resource) -> None:
    stack = site.stack
    args: RegionalDnsArgs = {
        "zone_id": stack.fleet.zone_id,
        "hostname": stack.hostname,
        "owner": stack.name,
        "nodes": [],
        "expected_nodes": 0,
    }
    if not site.inventory.withdrawn(stack):
        args["nodes"] = site.cluster.nodes
        args["expected_nodes"] = site.cluster.expected_nodes
        args["follow"] = site.cluster.follow
    # Records of a pool that goes leave before its nodes are emptied.
    after = [*answering, *site.cluster.before_nodes_go]
    RegionalDns(site.name("dns"), args, pulumi.ResourceOptions(depends_on=after))
