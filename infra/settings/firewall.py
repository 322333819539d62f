"""What a stack file says about who reaches its nodes."""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from infra.settings.section import Network, Section


def _somebody(network: str) -> str:
    if ip_network(network).prefixlen == 0:
        raise ValueError("opens SSH to everybody: name the networks that administrators come from")
    return network


class Firewall(Section):
    """Who reaches a node: one table for Vultr's firewall and the node's own.

    `source`: "cloudflare" lets Vultr keep Cloudflare's ranges up to date, "explicit" spells out the
    pinned ones, with which a group is full at two ports: name 443 alone in `web_ports`. SSH is
    closed but for `admin_cidrs`. `node` is what happens to the node's own ufw: kept in step, only
    compared, put back as it was found, or left alone. `host_protection` says who enforces the table
    on the node: its ufw, Calico, or both; with `node` off nobody does. `node_networks` are the
    nodes' private networks: the VPC's, where the stack names one, else the range that Vultr takes
    VPCs from. `pod_networks` is the cluster's subnet.
    """

    source: Literal["cloudflare", "explicit"] = "cloudflare"
    web_ports: list[Literal[80, 443]] = Field(default=[80, 443], min_length=1)
    admin_cidrs: list[Annotated[Network, AfterValidator(_somebody)]] = Field(default=[])
    ssh_port: int = Field(default=22, ge=1, le=65535)
    node: Literal["enforce", "observe", "remove", "off"] = "enforce"
    host_protection: Literal["ufw", "calico", "both"] = "ufw"
    node_networks: list[Network] | None = Field(default=None, min_length=1)
    pod_networks: list[Network] = Field(default=["10.244.0.0/16"], min_length=1)

    @property
    def by_calico(self) -> bool:
        """Whether Calico enforces the table on the nodes."""
        return self.node != "off" and self.host_protection != "ufw"

    @property
    def ufw_mode(self) -> Literal["enforce", "observe", "remove"] | None:
        """What happens to the nodes' ufw, if anything does."""
        if self.node == "off" or (self.host_protection == "calico" and self.node == "enforce"):
            return None
        return self.node

    @model_validator(mode="after")
    def _host_protection_goes_with_node(self) -> "Firewall":
        if self.by_calico and self.node == "observe":
            raise ValueError(
                f"hostProtection {self.host_protection} with node observe: Calico's policies for "
                "nodes can't be watched without being enforced. Say node: enforce, or observe "
                "with hostProtection ufw"
            )
        if self.host_protection == "both" and self.node == "remove":
            raise ValueError(
                "hostProtection both with node remove: the one keeps ufw's rules, the other takes "
                "them out. Say hostProtection: calico to leave ufw behind"
            )
        return self
