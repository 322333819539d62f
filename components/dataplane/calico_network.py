"""Pods' network: Calico's pool, tunnels and MTU, and how nodes find their own addresses.

Sources: docs/facts/calico-ingress.md §2.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Literal, NotRequired, TypedDict

Dataplane = Literal["ebpf", "iptables"]
Encapsulation = Literal["none", "vxlan", "ipip", "crossSubnet"]
Tunnel = Literal["vxlan", "ipip"]

DATAPLANE: Dataplane = "ebpf"
IP_POOL = "default-ipv4-ippool"
"""The pool that Calico's manifest makes."""
_AUTODETECTION = re.compile(
    r"first-found|kubernetes-internal-ip|(can-reach|interface|skip-interface|cidr)=\S+"
)
_EITHER_FAMILY = ("interface=", "skip-interface=")
OVERHEAD: Mapping[Encapsulation, int] = {"none": 0, "vxlan": 50, "crossSubnet": 50, "ipip": 20}
"""Bytes that an encapsulation takes of each IPv4 packet (felix, vxlanMTUOverhead, ipipMTUOverhead).
"""


class NetworkOptions(TypedDict):
    """What a pod's packets look like between nodes, and by which addresses nodes know each other.
    What is left out stays as it is in the cluster."""

    dataplane: NotRequired[Dataplane]
    """What forwards packets. Default: ebpf. A change rolls calico-node; docs/dataplane.md says what
    that disturbs."""
    encapsulation: NotRequired[Encapsulation | None]
    """Of the address pool. Changes in place."""
    ip_pool: NotRequired[str]
    """Name of the address pool. Default: default-ipv4-ippool."""
    nat_outgoing: NotRequired[bool | None]
    """Of the address pool: pods leave the cluster by their node's address. Changes in place."""
    mtu: NotRequired[int | None]
    """Of the pods' interfaces, bytes. A change rolls calico-node; pods have it when they are made.
    """
    nic_mtu: NotRequired[int | None]
    """Of the nodes' network cards, bytes, from which the other follows: with eBPF less 50, whatever
    pools encapsulate."""
    autodetection: NotRequired[str | None]
    """How a node finds its own address (IP_AUTODETECTION_METHOD). A change rolls calico-node."""
    ipv6: NotRequired[bool]
    """felix polices IPv6, whoever has set FELIX_IPV6SUPPORT to what. It gives pods no IPv6.
    Default: false. A change rolls calico-node."""


def network_mistakes(options: NetworkOptions) -> list[str]:
    """What of these can't be, or not together, as sentences."""
    return [*_mtu_mistakes(options), *_autodetection_mistakes(options)]


def _mtu_mistakes(options: NetworkOptions) -> Iterator[str]:
    mtu, card = options.get("mtu"), options.get("nic_mtu")
    if mtu is not None and not 1280 <= mtu <= 9000:
        yield f"mtu {mtu}: between 1280 (IPv6 needs that) and 9000 bytes"
    if card is None:
        return
    if mtu is not None:
        yield "mtu and nic_mtu: the one follows from the other. Say one of them"
    if options.get("encapsulation") is None and options.get("dataplane") == "iptables":
        yield "nic_mtu without encapsulation: what it takes off isn't known. Say both, or mtu"
    elif not 1280 <= (veth_mtu(options) or 0) <= 9000:
        yield f"nic_mtu {card}: leaves pods {veth_mtu(options)}, not 1280 to 9000 bytes"


def _autodetection_mistakes(options: NetworkOptions) -> Iterator[str]:
    method = options.get("autodetection")
    if method is None:
        return
    if not _AUTODETECTION.fullmatch(method):
        yield (
            f"autodetection {method!r}: one of first-found, kubernetes-internal-ip, can-reach=…, "
            "interface=…, skip-interface=…, cidr=…"
        )
        return
    kind, _, value = method.partition("=")
    for part in value.split(",") if value else []:
        try:
            if kind == "cidr":
                ip_network(part)
            elif kind.endswith("interface"):
                re.compile(part)
        except (ValueError, re.error) as error:
            yield f"autodetection {method!r}: {error}"


def veth_mtu(options: NetworkOptions) -> int | None:
    """The MTU of pods' interfaces, in bytes; None where nothing is said of it.

    eBPF tunnels what comes from outside to a pod on another node in VXLAN, whatever pools
    encapsulate (docs/facts/calico-ingress.md §2)."""
    card = options.get("nic_mtu")
    if card is None:
        return options.get("mtu")
    taken = OVERHEAD[options.get("encapsulation") or "none"]
    if options.get("dataplane", DATAPLANE) == "ebpf":
        taken = max(taken, OVERHEAD["vxlan"])
    return card - taken


def detection_environment(options: NetworkOptions) -> dict[str, str]:
    """calico-node's variables by which a node finds its own addresses. A method that names
    interfaces is good for both families, others name one's addresses."""
    method = options.get("autodetection")
    if not method:
        return {}
    found = {"IP_AUTODETECTION_METHOD": method}
    if options.get("ipv6") and method.startswith(_EITHER_FAMILY):
        found["IP6_AUTODETECTION_METHOD"] = method
    return found


def tunnels(options: NetworkOptions) -> tuple[Tunnel, ...]:
    """Which tunnels nodes need between them. Where nothing is said the owner's pools may have any:
    then VXLAN, which is open to nodes as it always was."""
    encapsulation = options.get("encapsulation")
    by_ebpf = options.get("dataplane", DATAPLANE) == "ebpf"
    bare = encapsulation in ("none", "ipip") and not by_ebpf
    vxlan: tuple[Tunnel, ...] = () if bare else ("vxlan",)
    return (*vxlan, "ipip") if encapsulation == "ipip" else vxlan


def pool_spec(options: NetworkOptions) -> dict[str, Any]:
    """Fields of the IPPool, which the CALICO_IPV4POOL_* variables don't change once it exists."""
    modes = {
        "none": ("Never", "Never"),
        "vxlan": ("Never", "Always"),
        "crossSubnet": ("Never", "CrossSubnet"),
        "ipip": ("Always", "Never"),
    }
    spec: dict[str, Any] = {}
    if encapsulation := options.get("encapsulation"):
        spec["ipipMode"], spec["vxlanMode"] = modes[encapsulation]
    if options.get("nat_outgoing") is not None:
        spec["natOutgoing"] = options.get("nat_outgoing")
    return spec


def felix_spec(options: NetworkOptions) -> dict[str, Any]:
    """felix's switches that match the pool's encapsulation (docs/facts/calico-ingress.md §2)."""
    encapsulation = options.get("encapsulation")
    if encapsulation is None:
        return {}
    return {
        "ipipEnabled": encapsulation == "ipip",
        "vxlanEnabled": encapsulation in ("vxlan", "crossSubnet"),
    }
