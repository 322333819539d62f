"""The last step: the nodes' addresses, or a load balancer's, under the region's host name."""

import pulumi

from components.cluster.contract import Node
from components.dns.regional import RegionalDns, RegionalDnsArgs
from infra.settings.load_balancer import IngressAddresses
from infra.stacks.region.site import Site


def announced(addresses: IngressAddresses) -> Node:
    """What has the ingress's own addresses, in the place of a node: known before anything runs."""
    name = "load-balancer"
    return Node(name, name, addresses.ipv4 or "", addresses.ipv6 or "")


def publish(site: Site, *answering: pulumi.Resource) -> None:
    stack = site.stack
    args: RegionalDnsArgs = {
        "zone_id": stack.fleet.zone_id,
        "hostname": stack.hostname,
        "owner": stack.name,
        "nodes": [],
        "expected_nodes": 0,
    }
    balancer = stack.settings.load_balancer
    if site.inventory.withdrawn(stack):
        pass
    elif balancer and balancer.ingress:
        args["nodes"], args["expected_nodes"] = [announced(balancer.ingress)], 1
    else:
        args["nodes"] = site.cluster.nodes
        args["expected_nodes"] = site.cluster.expected_nodes
        args["follow"] = site.cluster.follow
    # Records of a pool that goes leave before its nodes are emptied.
    after = [*answering, *site.cluster.before_nodes_go]
    RegionalDns(site.name("dns"), args, pulumi.ResourceOptions(depends_on=after))
