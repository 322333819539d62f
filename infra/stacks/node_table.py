"""The rule table of a region's nodes, from its settings: one for both firewalls."""

from components.dataplane.bgp_options import speakers
from components.dataplane.calico_network import tunnels
from components.firewall.rule_table import Rule, bfd_rule, node_rules
from infra.errors import SettingsError
from infra.fleet.inventory import RegionStack
from infra.settings.cluster import ExistingCluster

VULTR_VPCS = "10.0.0.0/8"
"""What Vultr takes a VPC's network from where nobody names one; unrouted on the internet."""


def node_table(stack: RegionStack) -> list[Rule]:
    """Who may reach a node of the stack, and why. Raises SettingsError."""
    settings, cluster = stack.settings.firewall, stack.settings.cluster
    existing = cluster.existing if isinstance(cluster, ExistingCluster) else None
    vpc = stack.vke.vpc if stack.vke else None
    bgp, balancer = stack.settings.calico.bgp, stack.settings.load_balancer
    between_nodes, peers = speakers(bgp.options() if bgp else None)
    told = balancer.metallb.peers if balancer and balancer.metallb else []
    routers = [peer.address for peer in told if peer.bfd]
    try:
        table = node_rules(
            ssh_sources=settings.admin_cidrs,
            node_networks=settings.node_networks or [vpc.cidr if vpc else VULTR_VPCS],
            pod_networks=settings.pod_networks,
            ssh_port=settings.ssh_port,
            web_ports=settings.web_ports,
            web_routed=bool(balancer and balancer.ingress),
            api_port=existing.api_port if existing else None,
            tunnels=tunnels(stack.settings.calico.options()),
            bgp_between_nodes=between_nodes,
            bgp_peers=peers,
        )
        if routers:
            table.append(bfd_rule(routers))
        return [*table, *(extra.rule for extra in settings.extra_rules)]
    except ValueError as error:
        raise SettingsError([f"{stack.file}: edgefleet:firewall: {error}"]) from None
