"""Whom the firewalls of a rendered stack admit, and what of that is new."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from components.firewall.rule_table import EVERYBODY, Network
from infra.state.resource_types import DAEMON_SET, FIREWALL_RULE
from ops.render.resources import Rendering

_VULTR_RULES = "pulumi-python:dynamic/index:VultrFirewallRules"
_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_POLICY = "kubernetes:crd.projectcalico.org/v1:GlobalNetworkPolicy"
_CALICO_NODES = "default.edgefleet-nodes"
_PORTS = (1, 65535)
_PROTOCOLS = {"any": (0, 255), "icmp": (1, 1), "ipip": (4, 4), "tcp": (6, 6), "udp": (17, 17)}
"""By IP's numbers. ICMP is one, whatever its version: that stands in the network."""
_SPELLED = {"ipv6-icmp": "icmp", "icmpv6": "icmp", "58": "icmp", "4": "ipip"}

Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Admission:
    """Who may send what to a node: packets of a protocol, to ports (first and last), from a
    network."""

    protocol: str
    ports: tuple[int, int]
    source: Network

    @property
    def box(self) -> Box:
        """As intervals of protocols, addresses and ports, with the family before them."""
        first, last = int(self.source[0]), int(self.source[-1])
        version = self.source.version
        return (version, version), _PROTOCOLS[self.protocol], (first, last), self.ports


def newly(before: Iterable[Admission], after: Iterable[Admission]) -> list[Admission]:
    """Those of `after` of which a part was not admitted before, however it was said."""
    known = [each.box for each in before]
    return [each for each in dict.fromkeys(after) if any(True for _ in beyond(each.box, known))]


def by_vultr(rendering: Rendering, cloudflare: Sequence[str]) -> list[Admission]:
    """Whom Vultr's firewall group admits; `cloudflare` are the networks that its source of this
    name stands for."""
    rules: list[Mapping[str, Any]] = []
    for each in rendering.resources:
        if each.type == FIREWALL_RULE:
            rules.append(each.inputs)
        elif each.type == _VULTR_RULES:
            rules += [
                {"subnetSize": rule["subnet_size"], "ipType": rule["ip_type"], **rule}
                for rule in each.inputs["rules"].values()
            ]
    return [admission for rule in rules for admission in _of_vultr(rule, cloudflare)]


def _of_vultr(rule: Mapping[str, Any], cloudflare: Sequence[str]) -> Iterator[Admission]:
    networks = [ip_network(f"{rule['subnet']}/{rule['subnetSize']}")]
    if rule.get("source") == "cloudflare":
        version = 4 if rule["ipType"] == "v4" else 6
        networks = [net for net in map(ip_network, cloudflare) if net.version == version]
    for network in networks:
        yield Admission(_protocol(rule["protocol"]), _range(rule.get("port")), network)


def by_node(rendering: Rendering) -> list[Admission] | None:
    """Whom the nodes' own firewall admits, ufw's or Calico's; None where neither is enforced."""
    table: str | None = None
    enforced = False
    for each in rendering.resources:
        if each.type == DAEMON_SET and each.name.endswith("-node-firewall-daemon-set"):
            (container,) = each.inputs["spec"]["template"]["spec"]["containers"]
            enforced = container["args"][0] == "enforce"
        elif each.type == _CONFIG_MAP and each.name.endswith("-node-firewall-files"):
            table = each.inputs["data"]["table"]
        elif each.type == _POLICY and each.inputs["metadata"]["name"] == _CALICO_NODES:
            return [a for rule in each.inputs["spec"]["ingress"] for a in _of_calico(rule)]
    if not enforced or table is None:
        return None
    return [a for line in table.splitlines() for a in _of_ufw(line)]


def _of_ufw(line: str) -> Iterator[Admission]:
    """What a line of the table admits to the node itself. What every node needs besides (loopback,
    replies, DHCP) is in every table alike."""
    version = re.match(r"block([46])\t-A edgefleet-input ", line)
    said = re.sub(r' -m comment --comment "[^"]*"', "", line)
    if (
        not version
        or not said.endswith(" -j ACCEPT")
        or re.search(r"-i lo|--ctstate|--sport", said)
    ):
        return
    words = dict(re.findall(r"(?:^| )-{1,2}(s|p|dports?) (\S+)", said))
    source = ip_network(words.get("s", EVERYBODY[version[1] == "6"]))
    for ports in words.get("dports", words.get("dport", "")).split(","):
        yield Admission(_protocol(words.get("p", "any")), _range(ports), source)


def _of_calico(rule: Mapping[str, Any]) -> Iterator[Admission]:
    source, destination = rule.get("source", {}), rule.get("destination", {})
    if rule["action"] != "Allow" or "nets" in destination or "ports" in source:
        return
    for network in source.get("nets", [EVERYBODY[rule["ipVersion"] == 6]]):
        for ports in destination.get("ports", [""]):
            protocol = _protocol(str(rule.get("protocol", "any")).lower())
            yield Admission(protocol, _range(str(ports)), ip_network(network))


def _protocol(name: str) -> str:
    return _SPELLED.get(name, name)


def _range(ports: str | None) -> tuple[int, int]:
    if not ports:
        return _PORTS
    low, _, high = ports.partition(":")
    return int(low), int(high or low)


def beyond(box: Box, others: Sequence[Box]) -> Iterator[Box]:
    """What of a box is in none of the others."""
    left = [box]
    for other in others:
        left = [piece for each in left for piece in _cut(each, other)]
    yield from left


def _cut(box: Box, other: Box) -> Iterator[Box]:
    """What of a box is beyond another, as boxes."""
    pairs = list(zip(box, other, strict=True))
    if any(last < low or high < first for (low, high), (first, last) in pairs):
        yield box
        return
    for side, ((low, high), (first, last)) in enumerate(pairs):
        if low < first:
            yield (*box[:side], (low, first - 1), *box[side + 1 :])
        if last < high:
            yield (*box[:side], (last + 1, high), *box[side + 1 :])
        box = (*box[:side], (max(low, first), min(high, last)), *box[side + 1 :])
