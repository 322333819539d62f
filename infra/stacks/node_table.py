"""The rule table of a region's nodes, from its settings: one for both firewalls."""

from components.dataplane.bgp_options import speakers
from components.dataplane.calico_network import tunnels
from components.firewall.rule_table import Rule, node_rules
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
    bgp = stack.settings.calico.bgp
    between_nodes, peers = speakers(bgp.options() if bgp else None)
    try:
        table = node_rules(
            ssh_sources=settings.admin_cidrs,
            node_networks=settings.node_networks or [vpc.cidr if vpc else VULTR_VPCS],
            pod_networks=settings.pod_networks,
            ssh_port=settings.ssh_port,
            web_ports=settings.web_ports,
            api_port=existing.api_port if existing else None,
            tunnels=tunnels(stack.settings.calico.options()),
            bgp_between_nodes=between_nodes,
            bgp_peers=peers,
        )
        return [*table, *(extra.rule for extra in settings.extra_rules)]
    except ValueError as error:
        raise SettingsError([f"{stack.file}: edgefleet:firewall: {error}"]) from None
