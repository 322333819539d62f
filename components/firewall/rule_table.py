"""Who may reach which port of a node, and why: one table, four renderings.

`node_rules()` makes the table. `renderings/` says it as rules of a Vultr firewall group, of the
node's own ufw, and as policies of Calico's and Cilium's. What the table doesn't name is dropped by
all of them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Literal

from ..ingress.contract import PORTS

Protocol = Literal["tcp", "udp", "icmp", "icmpv6", "ipip", "any"]
Family = Literal["v4", "v6"]
Ports = tuple[tuple[int, int], ...]
Tunnel = Literal["vxlan", "ipip"]

EVERYBODY = ("0.0.0.0/0", "::/0")
# Kubernetes' default range. Nothing here opens it, for private networks neither: what a NodePort
# serves belongs behind the ingress.
NODE_PORTS = (30000, 32767)
PORTED = ("tcp", "udp")
_VXLAN = 4789
_BGP = ((179, 179),)
_TUNNELED = "VXLAN between nodes: service traffic in eBPF tunnel mode"
_INSIDE = "kubelet, Typha and hostNetwork services of this cluster"
# Prefix lengths: nobody has more than a /8 of IPv4, registries' allocations of IPv6 begin at /16.
_WIDEST = {4: 8, 6: 16}
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Rule:
    """Admits `source` to `ports` of a node; `reason` ends up as the rule's note or comment.

    `ports` are inclusive ranges, none meaning all of them. `source` is a tuple of networks, or
    "cloudflare" for whatever Cloudflare connects from. A rule with `routed_to` is for packets that
    the node passes on to those networks instead of taking them in. `scope` "node" keeps a rule out
    of the cloud firewall, which doesn't see such packets or has no word for them.
    """

    name: str
    protocol: Protocol
    ports: Ports
    source: tuple[str, ...] | Literal["cloudflare"]
    reason: str
    scope: Literal["everywhere", "node"] = "everywhere"
    routed_to: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        # Both end up inside quotes in files of ufw and iptables.
        if not re.fullmatch(r"[a-z0-9-]+", self.name):
            raise ValueError(f"Rule {self.name!r}: a name is made of a-z, 0-9 and hyphens.")
        if not re.fullmatch(r"[\w .,:;/()+-]{0,200}", self.reason, re.ASCII):
            raise ValueError(f"Rule {self.name}: no quotes or symbols in a reason: {self.reason!r}")


def node_rules(
    *,
    ssh_sources: Sequence[str],
    node_networks: Sequence[str],
    pod_networks: Sequence[str],
    node_addresses: Sequence[str] = (),
    ssh_port: int = 22,
    api_port: int | None = None,
    web_ports: Sequence[int] = PORTS,
    web_routed: bool = False,
    tunnels: Sequence[Tunnel] = ("vxlan",),
    bgp_between_nodes: bool = True,
    bgp_peers: Sequence[str] = (),
) -> list[Rule]:
    """The table for a cluster. Networks are CIDRs of either family.

    Raises ValueError for a source that isn't a network, and where nodes couldn't reach each other.

    Args:
        ssh_sources: networks of administrators; none closes SSH.
        node_networks: the nodes' private ones (the VPC).
        pod_networks: from which pods have their addresses.
        node_addresses: further networks that nodes talk to each other from, such as their public
            addresses. Default: none.
        ssh_port: where nodes take SSH. Default: 22.
        api_port: the API server's, where nodes of this cluster run it: administrators reach it.
            Default: none of them does.
        web_ports: those that Cloudflare reaches. Default: 80 and 443.
        web_routed: nodes pass Cloudflare's packets on to pods, and take none in. Default: false.
        tunnels: between nodes. vxlan belongs there whenever Calico runs eBPF with external services
            in tunnel mode, whatever its pools encapsulate (docs/facts/calico-ingress.md §1).
            Default: vxlan.
        bgp_between_nodes: nodes speak BGP with each other. Default: true.
        bgp_peers: routers that speak BGP with nodes. Default: none.
    """
    admins = _networks("ssh_sources", ssh_sources)
    nodes = _of_somebody("node_networks", node_networks)
    pods = _of_somebody("pod_networks", pod_networks)
    addresses = _of_somebody("node_addresses", node_addresses)
    routers = _of_somebody("bgp_peers", bgp_peers)
    peers = nodes + addresses
    if not peers:
        raise ValueError(
            "node_networks and node_addresses are both empty: the nodes could not reach each "
            "other. Name the VPC's network, or the nodes' addresses."
        )
    web = tuple((port, port) for port in sorted(web_ports))
    private = without((1024, 65535), shut := [NODE_PORTS, (ssh_port, ssh_port), *web])
    # Who reaches VXLAN's port speaks to pods as one of them.
    untunneled = [] if "vxlan" in tunnels else [(_VXLAN, _VXLAN)]
    datagrams = without((1024, 65535), [*shut, *untunneled])
    rules = [
        Rule("ssh", "tcp", ((ssh_port, ssh_port),), admins, "administrators"),
        _web(web, pods if web_routed else None),
        Rule("icmp", "icmp", (), EVERYBODY[:1], "path MTU, errors and ping"),
        Rule("icmpv6", "icmpv6", (), EVERYBODY[1:], "neighbour discovery, path MTU and ping"),
        Rule("bgp", "tcp", _BGP, peers if bgp_between_nodes else (), "Calico routes between nodes"),
        Rule("bgp-peers", "tcp", _BGP, routers, "routes to pods, told to routers"),
        *_of_nodes(nodes, addresses, private, datagrams),
        *_of_pods(nodes, addresses, pods, private, datagrams),
    ]
    if api_port is not None:
        rules.append(Rule("api", "tcp", ((api_port, api_port),), admins, "kubectl and pulumi"))
    rules += _of_tunnels(tunnels, addresses, peers)
    return [rule for rule in rules if rule.source and (rule.ports or rule.protocol not in PORTED)]


def _of_tunnels(
    tunnels: Sequence[Tunnel], addresses: tuple[str, ...], peers: tuple[str, ...]
) -> Iterator[Rule]:
    if "vxlan" in tunnels:
        yield Rule("vxlan", "udp", ((_VXLAN, _VXLAN),), addresses, _TUNNELED)
    if "ipip" in tunnels:
        yield Rule("ipip", "ipip", (), peers, "IPIP between nodes", "node")


def _of_nodes(
    nodes: tuple[str, ...], addresses: tuple[str, ...], private: Ports, datagrams: Ports
) -> list[Rule]:
    """What nodes send to each other."""
    return [
        Rule("node-tcp", "tcp", private, nodes, _INSIDE),
        Rule("node-udp", "udp", datagrams, nodes, "VXLAN and hostNetwork services of this cluster"),
        Rule("kubelet", "tcp", ((10250, 10250),), addresses, "logs, exec and metrics"),
        Rule("typha", "tcp", ((5473, 5473),), addresses, "Calico fan-out to nodes"),
    ]


def _of_pods(
    nodes: tuple[str, ...],
    addresses: tuple[str, ...],
    pods: tuple[str, ...],
    private: Ports,
    datagrams: Ports,
) -> list[Rule]:
    """What pods send to a node and through it."""
    return [
        Rule("pod-tcp", "tcp", private, pods, _INSIDE, "node"),
        Rule("pod-udp", "udp", datagrams, pods, "hostNetwork services of this cluster", "node"),
        Rule("pod-dns-tcp", "tcp", ((53, 53),), pods, "a DNS cache on the node", "node"),
        Rule("pod-dns-udp", "udp", ((53, 53),), pods, "a DNS cache on the node", "node"),
        Rule("from-pods", "any", (), pods, "pods to anywhere", "node", EVERYBODY),
        Rule("to-pods", "any", (), (*nodes, *addresses), "nodes to pods", "node", pods),
    ]


def bfd_rule(routers: Sequence[str]) -> Rule:
    """For routers that watch whether nodes live, next to us or behind others (RFC 5881, 5883)."""
    ports, sources = ((3784, 3784), (4784, 4784)), _networks("routers", routers)
    return Rule("bfd", "udp", ports, sources, "BFD with routers", "node")


def _web(ports: Ports, pods: tuple[str, ...] | None) -> Rule:
    """Cloudflare's rule: to the node itself, or on to the `pods` behind a Service."""
    if pods is None:
        return Rule("cloudflare", "tcp", ports, "cloudflare", "Cloudflare to the ingress")
    reason = "Cloudflare to the ingress pods"
    return Rule("cloudflare", "tcp", ports, "cloudflare", reason, "node", pods)


def amounts_to_everybody(cidrs: Iterable[str]) -> str | None:
    """What of these networks, put together, is wider than any that somebody has.

    0.0.0.0/1 and 128.0.0.0/1 are 0.0.0.0/0.
    """
    networks = [ip_network(cidr) for cidr in cidrs]
    together: list[Network] = [
        *collapse_addresses(n for n in networks if isinstance(n, IPv4Network)),
        *collapse_addresses(n for n in networks if isinstance(n, IPv6Network)),
    ]
    return next((str(n) for n in together if n.prefixlen < _WIDEST[n.version]), None)


def within_node_ports(rule: Rule) -> bool:
    """Whether all that the rule opens are NodePorts."""
    return bool(rule.ports) and all(
        NODE_PORTS[0] <= low and high <= NODE_PORTS[1] for low, high in rule.ports
    )


def networks_of(rule: Rule, cloudflare: Iterable[str]) -> list[Network]:
    """Whom a rule admits, of the families that its protocol exists in."""
    only = {"icmp": 4, "icmpv6": 6, "ipip": 4}.get(rule.protocol)
    sources = cloudflare if rule.source == "cloudflare" else rule.source
    networks = [ip_network(cidr) for cidr in sources]
    return [network for network in networks if only in (None, network.version)]


def check_web_ports(rules: Sequence[Rule]) -> list[int]:
    """The ports that are Cloudflare's alone.

    Raises ValueError for a table that admits anybody else to these, or nobody at all.
    """
    cloudflare = [rule for rule in rules if rule.source == "cloudflare"]
    if len(cloudflare) != 1:
        raise ValueError(f"{len(cloudflare)} rules for Cloudflare in the table: one belongs there.")
    web = {port for low, high in cloudflare[0].ports for port in range(low, high + 1)}
    if not web:
        raise ValueError(f"Rule {cloudflare[0].name} names no ports: 443 at least belongs there.")
    for rule in rules:
        if rule.source == "cloudflare" or rule.protocol not in ("tcp", "any"):
            continue
        if rule.routed_to is not None:
            continue
        ranges = rule.ports or ((1, 65535),)
        for port in sorted(web):
            if any(low <= port <= high for low, high in ranges):
                raise ValueError(
                    f"Rule {rule.name} admits {', '.join(rule.source)} to port {port}, which is "
                    "Cloudflare's alone."
                )
    return sorted(web)


def _of_somebody(argument: str, cidrs: Sequence[str]) -> tuple[str, ...]:
    found = _networks(argument, cidrs)
    if everybody := amounts_to_everybody(found):
        raise ValueError(f"{argument}: {everybody} is everybody. Name the network itself.")
    return found


def _networks(argument: str, cidrs: Sequence[str]) -> tuple[str, ...]:
    for cidr in cidrs:
        try:
            ip_network(cidr)
        except ValueError as error:
            raise ValueError(
                f"{argument}: {cidr!r} is not a network in CIDR form: {error}"
            ) from None
    return tuple(str(ip_network(cidr)) for cidr in cidrs)


def without(whole: tuple[int, int], holes: Iterable[tuple[int, int]]) -> Ports:
    """What of an inclusive range of ports is in none of `holes`."""
    ranges: list[tuple[int, int]] = []
    start = whole[0]
    for low, high in sorted(holes):
        if high < start:
            continue
        if low > whole[1]:
            break
        if low > start:
            ranges.append((start, low - 1))
        start = high + 1
    return (*ranges, (start, whole[1])) if start <= whole[1] else tuple(ranges)
