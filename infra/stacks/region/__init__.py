"""A region stack: one cluster, closed to all but Cloudflare, serving under its region's name."""

from collections.abc import Callable

import pulumi

from components.cluster.contract import Cluster
from components.cluster.live_nodes import ClusterReader
from components.firewall.cloudflare_ranges import CloudflareRanges
from infra.fleet.inventory import Inventory, RegionStack
from infra.pins import images
from infra.settings.cluster import ExistingCluster
from infra.stacks.origin_trust import ReadSecret
from infra.stacks.region.announce import announce, announced_by_neighbours
from infra.stacks.region.cilium import lay_cilium
from infra.stacks.region.cluster import Open, existing_cluster, kubernetes_provider, vke_cluster
from infra.stacks.region.protect import close_at_vultr, close_nodes, host_endpoints, lay_dataplane
from infra.stacks.region.publish import publish
from infra.stacks.region.serve import isolate_namespaces, serve
from infra.stacks.region.site import Site
from infra.state.survey import Survey


def deploy(
    stack: RegionStack,
    inventory: Inventory,
    vultr: Callable[[], ClusterReader],
    ranges: CloudflareRanges,
    secret: ReadSecret,
    found: Survey,
    opened: Open,
) -> None:
    """Register the stack's resources and its outputs.

    What comes before what is said here, and nowhere else: nothing listens before the node is
    closed, and no address is published before something answers there that only Cloudflare reaches.

    Args:
        vultr: gives where live nodes of a VKE cluster are read.
        ranges: the addresses Cloudflare connects from.
        secret: gives secrets of the stack's configuration.
        found: the cluster, as it is there already.
        opened: opens a cluster that is there already.

    Raises SettingsError.
    """
    wanted, closed_before = stack.settings.cluster, list[pulumi.Resource]()
    if isinstance(wanted, ExistingCluster):
        cluster: Cluster = existing_cluster(stack, wanted, opened, secret, found)
    else:
        cluster = vke_cluster(stack, wanted, vultr(), found)
        closed_before.append(close_at_vultr(stack, cluster, ranges))
        pulumi.export("endpoint", cluster.endpoint)
    provider = kubernetes_provider(stack, cluster)
    site = Site(stack, inventory, ranges, images.load(), secret, cluster, provider)

    if stack.settings.cilium:
        dataplane: pulumi.Resource = lay_cilium(site)
    else:
        dataplane = calico = lay_dataplane(site)
        pulumi.export("dataplane", calico.environment)
        pulumi.export("calico", calico.expected)
    endpoints = host_endpoints(site, dataplane)
    closed = close_nodes(site, dataplane, endpoints)
    ingress = serve(site, *closed, *announce(site, *closed))
    isolate_namespaces(site, dataplane, endpoints)
    publish(site, *closed_before, ingress, *announced_by_neighbours(site, ingress))

    pulumi.export("clusterId", cluster.identity)
    pulumi.export("hostname", stack.hostname)
    pulumi.export(
        "nodes",
        cluster.nodes.apply(
            lambda nodes: {
                node["name"]: {"ipv4": node["ipv4"], "ipv6": node["ipv6"]} for node in nodes
            }
        ),
    )
    pulumi.export("ingressImage", ingress.image)
    pulumi.export("kubeconfig", cluster.kubeconfig)
