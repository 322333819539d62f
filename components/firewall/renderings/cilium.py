"""The rule table as Cilium takes it: one policy for the nodes themselves.

Sources: docs/facts/cilium.md. Cilium knows who sends by identity, not by address: to a CIDR belong
addresses outside of the cluster, and nodes' with `policyCIDRMatchMode: [nodes]`, which
`CiliumDataplane` sets; pods' never do, and are named as pods.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from typing import Any

from ..rule_table import EVERYBODY, Network, Ports, Rule, networks_of

NAME = "edgefleet-nodes"
NODES = {"matchLabels": {"kubernetes.io/os": "linux"}}
PODS = {"matchExpressions": [{"key": "io.kubernetes.pod.namespace", "operator": "Exists"}]}
_MOST_PORTS = 40
"""In one list of ports (the CRD)."""
_ICMP = {
    # Echo and its reply, unreachable (path MTU among them), time exceeded, parameter problem.
    "icmp": ("IPv4", (0, 3, 8, 11, 12)),
    # The same, too big, and neighbour discovery.
    "icmpv6": ("IPv6", (1, 2, 3, 4, 128, 129, 133, 134, 135, 136)),
}


def host_policy(rules: Iterable[Rule], cloudflare: Sequence[str]) -> dict[str, Any]:
    """Spec of the CiliumClusterwideNetworkPolicy for packets to a node. What it doesn't name is
    denied, as a policy that selects a node denies the rest; replies need no rule.

    What a node passes on isn't a node's to Cilium: pods have their own policies. Raises ValueError
    for a source inside of the pods' networks, as Cilium doesn't know pods by address.
    """
    rules = list(rules)
    pods = [ip_network(cidr) for rule in rules for cidr in rule.routed_to or ()]
    pods = [network for network in pods if str(network) not in EVERYBODY]
    ingress = [*_vital()]
    for rule in rules:
        # IPIP is Calico's tunnel, and Cilium has no word for it.
        if rule.routed_to is None and rule.protocol != "ipip":
            ingress += _allowed(rule, networks_of(rule, cloudflare), pods)
    return {"nodeSelector": NODES, "ingress": ingress}


def _vital() -> Iterator[dict[str, Any]]:
    """DHCP's answers, which come from anybody, as in Calico's rendering."""
    yield {"fromCIDR": [EVERYBODY[0]], "toPorts": [_port_list(((68, 68),), "UDP")]}
    yield {"fromCIDR": ["fe80::/10"], "toPorts": [_port_list(((546, 546),), "UDP")]}


def _allowed(
    rule: Rule, sources: Sequence[Network], pods: Sequence[Network]
) -> Iterator[dict[str, Any]]:
    for network in sources:
        for pod in pods:
            if network != pod and network.version == pod.version and _within(network, pod):
                raise ValueError(
                    f"Rule {rule.name} admits {network}, a part of the pods' network {pod}: Cilium "
                    "knows pods by what they are, not by address. Name the whole network, or none"
                )
    # A network that is wholly the pods' has no other addresses.
    outside = [net for net in sources if not any(_same_family_within(net, pod) for pod in pods)]
    everybodys = any(_same_family_within(pod, net) for net in sources for pod in pods)
    for what in _what(rule):
        if outside:
            yield {"fromCIDR": list(dict.fromkeys(map(str, outside))), **what}
        if everybodys:
            yield {"fromEndpoints": [PODS], **what}


def _what(rule: Rule) -> Iterator[dict[str, Any]]:
    if rule.protocol in _ICMP:
        family, types = _ICMP[rule.protocol]
        yield {"icmps": [{"fields": [{"family": family, "type": number} for number in types]}]}
    elif rule.protocol == "any":
        yield {}
    else:
        ports = rule.ports or ((1, 65535),)
        for at in range(0, len(ports), _MOST_PORTS):
            listed = _port_list(ports[at : at + _MOST_PORTS], rule.protocol.upper())
            yield {"toPorts": [listed]}


def _port_list(ports: Ports, protocol: str) -> dict[str, Any]:
    return {
        "ports": [
            {"port": str(low), "protocol": protocol, **({"endPort": high} if high > low else {})}
            for low, high in ports
        ]
    }


def _within(inner: Network, outer: Network) -> bool:
    return inner[0] in outer and inner[-1] in outer


def _same_family_within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and _within(inner, outer)
