"""The rule table as Calico takes it: policies for host endpoints, and felix's failsafe ports.

Sources: docs/facts/calico-ingress.md §2; docs.tigera.io on host endpoints (forwarded, pre-dnat,
failsafe); felix/rules (dispatch.go, static.go).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from ...dataplane.policy import HOST_ENDPOINTS, TIER
from ..rule_table import (
    EVERYBODY,
    NODE_PORTS,
    Network,
    Ports,
    Rule,
    networks_of,
    within_node_ports,
    without,
)

REASON = "edgefleet.dev/reason"
"""Annotation of a rule: which of the table's it is, and why."""
ORDER = 1000.0
"""Of the policy for packets to a node; a policy of somebody else's with a lower one goes first."""
# felix's own failsafe ports, which by default admit everybody whatever policies say: SSH, BGP,
# etcd, Typha, the API server, and etcd again (FelixConfiguration.failsafeInboundHostPorts, v3.32).
_FAILSAFE_TCP = frozenset([22, 179, 2379, 2380, 5473, 6443, 6666, 6667])
_DHCP_CLIENT = 68
# Not "ICMPv6": felix's eBPF doesn't know the name, and a rule with it never matches (felix v3.31,
# bpf/polprog, protocolToNumber; seen with real packets, docs/facts/felix.md §5).
_PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "icmpv6": 58, "ipip": 4}


def node_policy(rules: Iterable[Rule], cloudflare: Sequence[str]) -> dict[str, Any]:
    """Spec of the policy for packets to a node itself. What it doesn't name, it denies.

    It ends in a denial of its own: neither a tier that passes by default nor a policy behind it can
    open what the table keeps shut, and `forward_policy()`, which is behind it and by Calico's rules
    sees these packets too, never decides about them.
    """
    admitted = [*_vital()]
    for rule in rules:
        if rule.routed_to is None:
            admitted += _allowed(rule, cloudflare)
    return _policy([*admitted, {"action": "Deny"}], ORDER)


def forward_policy(rules: Iterable[Rule], cloudflare: Sequence[str]) -> dict[str, Any]:
    """Spec of the policy for packets that a node passes on, NodePorts' after their translation.

    By then a packet has its pod's port: whoever may ask for a NodePort may reach pods.
    """
    rules = list(rules)
    passed: list[dict[str, Any]] = []
    for rule in rules:
        if rule.routed_to is not None:
            passed += _allowed(rule, cloudflare)
        elif within_node_ports(rule) and (pods := _pods(rules)):
            passed += _allowed(replace(rule, ports=(), routed_to=tuple(pods)), cloudflare)
    return _policy([*passed, {"action": "Deny"}], ORDER + 1, applyOnForward=True)


def node_port_policy(rules: Iterable[Rule], cloudflare: Sequence[str]) -> dict[str, Any]:
    """Spec of the policy that shuts NodePorts before they are translated, for which eBPF needs no
    iptables. Pods may listen on such a port: what is addressed to them passes on."""
    rules = list(rules)
    pods = _pods(rules)
    opening = [rule for rule in rules if rule.routed_to is None]
    denied: list[dict[str, Any]] = []

    def deny(version: int, protocol: str, ports: Ports, others: Sequence[str], why: str) -> None:
        destination: dict[str, Any] = {"ports": _ports(ports)}
        if here := [cidr for cidr in pods if ip_network(cidr).version == version]:
            destination["notNets"] = here
        denied.append(
            {
                "action": "Deny",
                "protocol": _PROTOCOLS[protocol],
                "ipVersion": version,
                **({"source": {"notNets": list(others)}} if others else {}),
                "destination": destination,
                "metadata": {"annotations": {REASON: why}},
            }
        )

    for version in (4, 6):
        for protocol in ("tcp", "udp"):
            opened = [rule for rule in opening if rule.protocol in (protocol, "any")]
            shut = without(NODE_PORTS, [ports for rule in opened for ports in _ranges(rule)])
            if shut:
                deny(version, protocol, shut, (), "NodePorts are nobody's")
            for rule in filter(within_node_ports, opened):
                # Whoever else may there isn't shut out.
                same = [other for other in opened if _overlap(rule, other)]
                sources = [n for other in same for n in networks_of(other, cloudflare)]
                here = [n for n in sources if n.version == version]
                if all(network.prefixlen for network in here):
                    others = list(dict.fromkeys(map(str, here)))
                    deny(version, protocol, rule.ports, others, f"others than of {rule.name}")
    # Without a denial at its end: before translation, what no rule matches goes on to the others.
    return _policy(denied, ORDER, preDNAT=True, applyOnForward=True)


def failsafe_ports(rules: Iterable[Rule], cloudflare: Sequence[str]) -> list[dict[str, Any]]:
    """felix's failsafe ports, each for those that the table admits there, and SSH's own port.

    Whatever becomes of the policies, administrators, BGP and Typha still get in; and nobody gets in
    by these that the table keeps out. DHCP's answers come from anybody, as in Calico's default.
    """
    rules = [rule for rule in rules if rule.routed_to is None and rule.protocol in ("tcp", "any")]
    ssh = [low for rule in rules if rule.name == "ssh" for low, _ in rule.ports]
    found = [
        {"net": str(network), "port": port, "protocol": "tcp"}
        for port in sorted(_FAILSAFE_TCP.union(ssh))
        for rule in rules
        if any(low <= port <= high for low, high in _ranges(rule))
        for network in networks_of(rule, cloudflare)
    ]
    unique = {tuple(entry.values()): entry for entry in found}
    return [*unique.values(), {"port": _DHCP_CLIENT, "protocol": "udp"}]


def _overlap(one: Rule, other: Rule) -> bool:
    return any(
        low <= last and first <= high
        for low, high in _ranges(one)
        for first, last in _ranges(other)
    )


def _pods(rules: Iterable[Rule]) -> list[str]:
    return sorted({cidr for r in rules for cidr in r.routed_to or () if cidr not in EVERYBODY})


def _policy(ingress: list[dict[str, Any]], order: float, **flags: bool) -> dict[str, Any]:
    return {
        "tier": TIER,
        "order": order,
        "selector": HOST_ENDPOINTS,
        "types": ["Ingress"],
        "ingress": ingress,
        **flags,
    }


def _vital() -> Iterator[dict[str, Any]]:
    """What no node can live without. Replies need no rule: Calico lets established ones pass.

    In the iptables dataplane a host endpoint stands for the loopback interface too (in eBPF it
    doesn't: projectcalico/felix#2664), and a rule can't name an interface.
    """
    local = ("127.0.0.0/8", "::1/128")
    for version, cidr in zip((4, 6), local, strict=True):
        yield _rule("loopback", version, {"nets": [cidr]}, {"nets": [cidr]})
    yield _rule("DHCP client", 4, {"ports": [67]}, {"ports": [_DHCP_CLIENT]}, "UDP")
    link = {"nets": ["fe80::/10"]}
    yield _rule("DHCP client", 6, {**link, "ports": [547]}, {**link, "ports": [546]}, "UDP")


def _allowed(rule: Rule, cloudflare: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A rule of the table; one a family, as Calico refuses rules that mix them."""
    sources = networks_of(rule, cloudflare)
    destinations = [ip_network(cidr) for cidr in rule.routed_to or EVERYBODY]
    for version in (4, 6):
        sides = [
            [network for network in side if network.version == version]
            for side in (sources, destinations)
        ]
        if not all(sides):
            continue
        source, destination = (_nets(side) for side in sides)
        if rule.protocol in ("tcp", "udp") and rule.ports:
            destination["ports"] = _ports(rule.ports)
        protocol = _PROTOCOLS.get(rule.protocol)
        yield _rule(f"{rule.name}: {rule.reason}", version, source, destination, protocol)


def _rule(
    reason: str,
    version: int,
    source: dict[str, Any],
    destination: dict[str, Any],
    protocol: str | int | None = None,
) -> dict[str, Any]:
    rule: dict[str, Any] = {"action": "Allow", "ipVersion": version}
    if protocol is not None:
        rule["protocol"] = protocol
    if source:
        rule["source"] = source
    if destination:
        rule["destination"] = destination
    return {**rule, "metadata": {"annotations": {REASON: reason}}}


def _nets(networks: Sequence[Network]) -> dict[str, Any]:
    # Everybody is said by naming nobody.
    if any(network.prefixlen == 0 for network in networks):
        return {}
    # A set to the API server, which refuses one that says a network twice.
    return {"nets": list(dict.fromkeys(map(str, networks)))}


def _ports(ranges: Iterable[tuple[int, int]]) -> list[int | str]:
    return [low if low == high else f"{low}:{high}" for low, high in ranges]


def _ranges(rule: Rule) -> tuple[tuple[int, int], ...]:
    if rule.protocol not in ("tcp", "udp", "any"):
        return ()
    return rule.ports or ((1, 65535),)
