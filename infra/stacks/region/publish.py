"""The last step: the nodes' addresses, or a load balancer's, under the region's host name."""

import pulumi

from components.cluster.contract import ServingNode
from components.dns.regional import Follow, RegionalDns, RegionalDnsArgs
from infra.settings.load_balancer import IngressAddresses
from infra.stacks.region.site import Site


def announced(addresses: IngressAddresses) -> ServingNode:
    """What has the ingress's own addresses, in the place of a node: known before anything runs."""
    name = "load-balancer"
    return {
        "id": name,
        "name": name,
        "ipv4": addresses.ipv4 or "",
        "ipv6": addresses.ipv6 or "",
    }


def publish(site: Site, *answering: pulumi.Resource) -> None:
    stack = site.stack
    args: RegionalDnsArgs = {
        "zone_id": stack.fleet.zone_id,
        "hostname": stack.hostname,
        "owner": stack.name,
        "nodes": [],
        "expected_nodes": 0,
    }
    follow: Follow | None = None
    balancer = stack.settings.load_balancer
    if site.inventory.withdrawn(stack):
        pass
    elif balancer and balancer.ingress:
        args["nodes"], args["expected_nodes"] = [announced(balancer.ingress)], 1
    else:
        args["nodes"] = site.cluster.nodes
        args["expected_nodes"] = site.cluster.expected_nodes
        follow = site.cluster.follow
    # Records of a pool that goes leave before its nodes are emptied.
    after = [*answering, *site.cluster.before_nodes_go]
    RegionalDns(site.name("dns"), args, pulumi.ResourceOptions(depends_on=after), follow=follow)
