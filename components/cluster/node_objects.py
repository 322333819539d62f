"""Which of a cluster's Node objects can serve, and at which public addresses.

For a cluster whose machines no vendor's API lists. A node's addresses are, of these, the first that
names one of the family: what the caller says for the node's name, the node's annotations
`edgefleet.dev/ipv4` and `edgefleet.dev/ipv6`, `ExternalIP` in its status. A private address is
never taken: one in the status is passed over (kubelet lists them, too), one that somebody wrote
down is a mistake.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, NotRequired, TypedDict

from ..json_object import object_at, objects_at
from .contract import Node

ANNOTATIONS = {4: "edgefleet.dev/ipv4", 6: "edgefleet.dev/ipv6"}
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""Kubernetes' well-known label of nodes that are no way in; kubeadm puts it on control planes."""
_TRANSIENT = "node.kubernetes.io/"
"""What begins so comes and goes by itself, and DaemonSets' pods tolerate it."""


class NodeMistake(ValueError):
    """An address that somebody wrote down for a node and that can't be one."""


class Addresses(TypedDict):
    """Public addresses of a node."""

    ipv4: NotRequired[str]
    """Default: what its Node object says."""
    ipv6: NotRequired[str]
    """Default: what its Node object says."""


@dataclass(frozen=True)
class NodesSeen:
    """A cluster's nodes, sorted by name.

    Attributes:
        serving: those that can serve.
        unable: `name (why)` of each that should, and can't now.
        apart: names of those that aren't meant to: labelled as no way in, or tainted so that the
            ingress doesn't run there.
        addresses: public ones of all nodes, of those that can't serve and those apart, too.
    """

    serving: tuple[Node, ...]
    unable: tuple[str, ...]
    apart: tuple[str, ...]
    addresses: frozenset[str] = frozenset()


def nodes_seen(
    nodes: Iterable[Mapping[str, Any]], said: Mapping[str, Addresses], ipv6: bool = True
) -> NodesSeen:
    """What Node objects say.

    Args:
        said: addresses by a node's name, for what the objects don't know.
        ipv6: only nodes with an IPv6 address can serve; without it they have none here.

    Raises NodeMistake for an address that is no public one of its family, that two nodes have, or
    that is said of a node that there is not.
    """
    found = {str(object_at(node, "metadata").get("name")): node for node in nodes}
    if unknown := sorted(said.keys() - found.keys()):
        there = ", ".join(sorted(found)) or "none"
        raise NodeMistake(f"{unknown[0]}: the cluster has no such node; it has {there}")
    serving: list[Node] = []
    unable: list[str] = []
    apart: list[str] = []
    every: set[str] = set()
    for name, node in sorted(found.items()):
        ipv4s, ipv6s = (_address(name, node, said.get(name, {}), family) for family in (4, 6))
        every |= {ipv4s, ipv6s} - {""}
        if _is_apart(node):
            apart.append(name)
        elif why := _why_not(node, ipv4s, ipv6s, ipv6):
            unable.append(f"{name} ({why})")
        else:
            serving.append(Node(name, name, ipv4s, ipv6s if ipv6 else ""))
    _each_its_own(serving)
    return NodesSeen(tuple(serving), tuple(unable), tuple(apart), frozenset(every))


def _why_not(node: Mapping[str, Any], ipv4: str, ipv6: str, needs_ipv6: bool) -> str:
    conditions = objects_at(node, "status", "conditions")
    if not any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
        return "not ready"
    missing = [
        (family, kind)
        for family, kind, address in ((4, "IPv4", ipv4), (6, "IPv6", ipv6))
        if not address and (family == 4 or needs_ipv6)
    ]
    return ", ".join(
        f"no public {kind} address: annotate it {ANNOTATIONS[family]}, or name it in the "
        "cluster's `addresses`"
        for family, kind in missing
    )


def _is_apart(node: Mapping[str, Any]) -> bool:
    if EXCLUDED in object_at(node, "metadata", "labels"):
        return True
    return any(
        taint.get("effect") in ("NoSchedule", "NoExecute")
        and not str(taint.get("key")).startswith(_TRANSIENT)
        for taint in objects_at(node, "spec", "taints")
    )


def _address(name: str, node: Mapping[str, Any], said: Addresses, family: int) -> str:
    """In canonical form, "" where the node has none."""
    written = {
        f"ipv{family}": said.get("ipv4" if family == 4 else "ipv6"),
        ANNOTATIONS[family]: object_at(node, "metadata", "annotations").get(ANNOTATIONS[family]),
    }
    for where, value in written.items():
        if value is None:
            continue
        if address := public_address(value, family):
            return address
        raise NodeMistake(f"{name}: {where}: {value!r} is no public IPv{family} address")
    return next(_external(node, family), "")


def _external(node: Mapping[str, Any], family: int) -> Iterator[str]:
    for entry in objects_at(node, "status", "addresses"):
        if entry.get("type") == "ExternalIP" and (
            address := public_address(entry["address"], family)
        ):
            yield address


def public_address(value: object, family: int) -> str:
    """In canonical form; "" for what is no address of this family, or none that the internet
    routes to."""
    try:
        address = ip_address(str(value))
    except ValueError:
        return ""
    public = address.is_global and not address.is_multicast
    return str(address) if public and address.version == family else ""


def _each_its_own(nodes: Iterable[Node]) -> None:
    owners: dict[str, str] = {}
    for node in nodes:
        for address in (node.ipv4, node.ipv6):
            if address and owners.setdefault(address, node.name) != node.name:
                raise NodeMistake(
                    f"{node.name}: {address} is also the address of {owners[address]}"
                )
