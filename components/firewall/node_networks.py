"""`NodeNetworks`: the table's networks against those that the nodes have, before anything closes.

A table whose networks are guessed wrong shuts nodes from each other and from their pods.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, TypedDict

import pulumi

from ..json_object import object_at, objects_at
from ..server_side.api import Refused, ServerObject
from ..server_side.precondition import Precondition
from ..server_side.resource import ClusterResource
from .rule_data import RuleArgs, rules_of
from .rule_table import Rule

_CALICO = "projectcalico.org/"
_TUNNELS = ("IPv4VXLANTunnelAddr", "IPv4IPIPTunnelAddr")


class NodeNetworksArgs(TypedDict):
    """A cluster by its kubeconfig, and the table that its nodes are to be closed by."""

    kubeconfig: pulumi.Input[str]
    rules: pulumi.Input[Sequence[RuleArgs]]


def networks_of_table(rules: Iterable[Rule]) -> tuple[list[str], list[str]]:
    """Whom the table takes for nodes, and whom for pods."""
    nodes: dict[str, None] = {}
    pods: dict[str, None] = {}
    for rule in rules:
        if rule.name == "to-pods":
            nodes |= dict.fromkeys(rule.source)
            pods |= dict.fromkeys(rule.routed_to or ())
    return list(nodes), list(pods)


def strays(
    nodes: Iterable[Mapping[str, Any]],
    pools: Iterable[Mapping[str, Any]],
    node_networks: Sequence[str],
    pod_networks: Sequence[str],
) -> list[str]:
    """What of a cluster is outside the table's networks, as sentences.

    Args:
        nodes, pools: Kubernetes' nodes and Calico's IP pools.
    """
    outside: list[str] = []
    for node in nodes:
        name = object_at(node, "metadata")["name"]
        notes = object_at(node, "metadata", "annotations")
        listed = objects_at(object_at(node, "status"), "addresses")
        internal = [a["address"] for a in listed if a["type"] == "InternalIP"]
        # The first is what the API server and other nodes talk to.
        own = {"InternalIP": internal[0]} if internal else {}
        if address := notes.get(f"{_CALICO}IPv4Address"):
            own["Calico's address"] = address
        for what, address in own.items():
            if not _within(str(ip_interface(address).ip), node_networks):
                outside.append(f"node {name} has {what} {address}, in none of the nodes' networks")
        for key in _TUNNELS:
            if (address := notes.get(f"{_CALICO}{key}")) and not _within(address, pod_networks):
                outside.append(f"node {name} has {key} {address}, in none of the pods' networks")
    for pool in pools:
        spec = object_at(pool, "spec")
        network = ip_network(spec["cidr"])
        if spec.get("disabled") or network.version == 6:
            continue
        if not any(_subnet(str(network), cidr) for cidr in pod_networks):
            name = object_at(pool, "metadata")["name"]
            outside.append(f"Calico's pool {name} is {network}, in none of the pods' networks")
    return outside


def refusal(outside: Sequence[str], nodes: Sequence[str], pods: Sequence[str]) -> str:
    """What to do about what is outside."""
    more = f"; and {len(outside) - 5} more" if len(outside) > 5 else ""
    return (
        f"the firewall would shut the cluster from itself: {'; '.join(outside[:5])}{more}. Nothing "
        f"was closed. The table takes {', '.join(nodes)} for nodes and "
        f"{', '.join(pods) or 'nobody'} for pods: name the networks that are in edgefleet:firewall,"
        " nodeNetworks and podNetworks"
    )


def _within(address: str, networks: Iterable[str]) -> bool:
    return any(ip_address(address) in ip_network(network) for network in networks)


def _subnet(network: str, of: str) -> bool:
    inner, outer = ip_network(network), ip_network(of)
    return inner.version == outer.version and inner[0] in outer and inner[-1] in outer


class _Provider(Precondition):
    key = "nodes"
    subject = "the nodes' networks"
    spared = "Nothing was closed"

    def name(self, props: Mapping[str, Any]) -> str:
        return "node-networks"

    def problem(self, props: Mapping[str, Any], *, patient: bool) -> str | None:
        named = {"kind": "IPPool", "object_name": "default-ipv4-ippool"}
        server = ServerObject({**named, **props}, patient=patient)
        try:
            pools = server.items("/apis/crd.projectcalico.org/v1/ippools")
        except Refused as refused:
            if refused.status != 404:
                raise
            # No Calico: another dataplane's pods are for who runs it to know.
            pools = []
        outside = strays(server.items("/api/v1/nodes"), pools, props["nodes"], props["pods"])
        return refusal(outside, props["nodes"], props["pods"]) if outside else None


class NodeNetworks(ClusterResource, name="NodeNetworks", provider=_Provider):
    """Is there when every node's addresses are in the table's networks; looks again when these
    change, and in the preview where the cluster is there. What closes nodes comes after it."""

    def __init__(
        self, name: str, args: NodeNetworksArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        found = pulumi.Output.from_input(args["rules"]).apply(
            lambda rules: networks_of_table(rules_of(rules))
        )
        props = {
            "kubeconfig": args["kubeconfig"],
            "nodes": found.apply(lambda both: both[0]),
            "pods": found.apply(lambda both: both[1]),
            "generation": found.apply(lambda both: " ".join([*both[0], "/", *both[1]])),
        }
        super().__init__(name, props, opts)
