"""What a stack file says about who reaches its nodes."""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.firewall.rule_table import Rule, amounts_to_everybody
from components.ingress.contract import PORTS
from infra.settings.section import Network, Section, Switch, matching


def _administrators(networks: list[str]) -> list[str]:
    if everybody := amounts_to_everybody(networks):
        raise ValueError(
            f"{everybody} opens SSH to everybody: name the networks that administrators come from"
        )
    return networks


def _of_the_cluster(networks: list[str]) -> list[str]:
    if everybody := amounts_to_everybody(networks):
        raise ValueError(f"{everybody} is everybody: name the cluster's own network")
    return networks


_Clusters = Annotated[list[Network], AfterValidator(_of_the_cluster), Field(min_length=1)]
# Kubelet, VXLAN, Typha, BGP: who reaches these runs the cluster.
_CLUSTER_PORTS = {10250, 4789, 5473, 179}


class ExtraRule(Section):
    """One more port of the nodes, for somebody besides the cluster: WireGuard, a monitoring host, a
    NodePort. `reason` is what people read beside the rule, on the node and at Vultr."""

    port: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: list[Network] = Field(min_length=1)
    reason: Annotated[
        str,
        matching(
            r"[A-Za-z0-9_][A-Za-z0-9_ .,:;/()+-]{2,99}",
            "must be 3 to 100 letters, digits, blanks and .,:;/()+-",
        ),
    ]

    @property
    def rule(self) -> Rule:
        """As the table has it; its name stays when other rules go."""
        name = f"extra-{self.protocol}-{self.port}"
        ports = ((self.port, self.port),)
        return Rule(name, self.protocol, ports, tuple(self.sources), self.reason)

    @model_validator(mode="after")
    def _leaves_the_rest_shut(self) -> "ExtraRule":
        if self.protocol == "tcp" and self.port in PORTS:
            raise ValueError(f"port {self.port} is Cloudflare's alone, and stays so")
        everybody = amounts_to_everybody(self.sources)
        if everybody and self.port in _CLUSTER_PORTS:
            raise ValueError(
                f"port {self.port} for {everybody}: who reaches it runs the cluster; name hosts"
            )
        return self


class Firewall(Section):
    """Who reaches a node: one table for Vultr's firewall and the node's own.

    `source`: "cloudflare" lets Vultr keep Cloudflare's ranges up to date, "explicit" spells out the
    pinned ones, with which a group is full at two ports: name 443 alone in `web_ports`. SSH is
    closed but for `admin_cidrs`. `node` is what happens to the node's own ufw: kept in step, only
    compared, put back as it was found, or left alone. `host_protection` says who enforces the table
    on the node: its ufw, Calico, or both; with `node` off nobody does. `node_networks` are the
    nodes' private networks: the VPC's, where the stack names one, else the range that Vultr takes
    VPCs from. `pod_networks` is the cluster's subnet. With `public_networks` either may be public:
    everybody with an address there reaches what nodes keep for each other. `extra_rules` open
    further ports.
    """

    source: Literal["cloudflare", "explicit"] = "cloudflare"
    web_ports: list[Literal[80, 443]] = Field(default=[80, 443], min_length=1)
    admin_cidrs: Annotated[list[Network], AfterValidator(_administrators)] = Field(default=[])
    ssh_port: int = Field(default=22, ge=1, le=65535)
    node: Literal["enforce", "observe", "remove", "off"] = "enforce"
    host_protection: Literal["ufw", "calico", "both"] = "ufw"
    node_networks: _Clusters | None = None
    pod_networks: _Clusters = Field(default=["10.244.0.0/16"])
    public_networks: Switch = False
    extra_rules: list[ExtraRule] = Field(default=[])

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
    def _public_networks_are_meant(self) -> "Firewall":
        for key, networks in (
            ("nodeNetworks", self.node_networks or []),
            ("podNetworks", self.pod_networks),
        ):
            public = [network for network in networks if ip_network(network).is_global]
            if public and not self.public_networks:
                raise ValueError(
                    f"{key}: {', '.join(public)}: is public; everybody with an address there "
                    "would reach kubelet and every unprivileged port of the nodes. Name the "
                    "private network, or say publicNetworks: true"
                )
        return self

    @model_validator(mode="after")
    def _each_port_once(self) -> "Firewall":
        seen: set[str] = set()
        for extra in self.extra_rules:
            if extra.protocol == "tcp" and extra.port == self.ssh_port:
                raise ValueError(
                    f"extraRules: port {extra.port} is SSH's: say who may in adminCidrs"
                )
            if extra.rule.name in seen:
                raise ValueError(
                    f"extraRules: {extra.protocol} {extra.port} stands there twice: name all its "
                    "sources in one rule"
                )
            seen.add(extra.rule.name)
        return self

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
