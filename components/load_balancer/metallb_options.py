"""What MetalLB is told, and what it can't be told: options, and their refusals.

Sources: MetalLB v0.16.2, api/ and internal/config (validation.go, config.go);
charts/metallb/values.yaml.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Literal, NotRequired, TypedDict

import pulumi

from .addresses import LoadBalancerMistake, ranges, refuse_overlaps

BgpMode = Literal["frr-k8s", "native"]
"""Who speaks BGP: FRR in pods of its own (the chart's default), or the speaker by itself, which
knows neither BFD nor IPv6. The third, FRR inside of the speaker, is deprecated upstream."""


class Bfd(TypedDict):
    """Bidirectional forwarding detection with a router."""

    transmit: NotRequired[int]
    """Milliseconds between packets to it, 10 to 60000. Default: FRR's, 300."""
    receive: NotRequired[int]
    """Milliseconds between packets from it, 10 to 60000. Default: FRR's, 300."""
    multiplier: NotRequired[int]
    """How many may be missing, 2 to 255. Default: FRR's, 3."""


class Peer(TypedDict):
    """A router that is told."""

    name: str
    """Unique. By another one it is another object."""
    address: str
    """Its IP address."""
    asn: int
    """The router's number."""
    my_asn: int
    """The cluster's number."""
    port: NotRequired[int]
    """The router's. Default: 179."""
    hold_seconds: NotRequired[int]
    """Seconds after which a silent peer is given up, 3 to 65535. Default: 90 in mode native, FRR's
    180 in frr-k8s."""
    password: NotRequired[pulumi.Input[str] | None]
    """Of the session (TCP MD5), a secret. Default: none."""
    bfd: NotRequired[Bfd | None]
    """Notices sooner that a peer is gone. Default: not."""
    multi_hop: NotRequired[bool]
    """The router isn't a neighbour. Default: false."""
    node_selector: NotRequired[Mapping[str, str]]
    """Only nodes with all of these labels speak to it. Default: all nodes."""


class MetalLbL2(TypedDict):
    """Announced by ARP and NDP, by one node at a time."""

    node_selector: NotRequired[Mapping[str, str]]
    """Labels of the nodes that may. Default: all nodes."""
    interfaces: NotRequired[Sequence[str]]
    """Names of the interfaces that it is done on. Default: all."""


class Bgp(TypedDict):
    """Announced to routers."""

    peers: NotRequired[Sequence[str]]
    """Names of those that are told. Default: all."""
    communities: NotRequired[Sequence[str]]
    """Of what is told (64512:100). Default: none."""
    node_selector: NotRequired[Mapping[str, str]]
    """Labels of the nodes that tell. Default: all nodes."""


class Pool(TypedDict):
    """Addresses to give, and how they become known: by `l2`, `bgp` or both."""

    name: str
    """Unique. By another one it is another object."""
    addresses: Sequence[str]
    """Networks, or ranges FIRST-LAST."""
    auto_assign: NotRequired[bool]
    """A Service that asks for none in particular may get one, too. Default: false."""
    l2: NotRequired[MetalLbL2 | None]
    """By ARP and NDP. Default: not."""
    bgp: NotRequired[Bgp | None]
    """By BGP. Default: not."""


_BFD = {"transmit": (10, 60000), "receive": (10, 60000), "multiplier": (2, 255)}


def by_name(pools: Iterable[Pool]) -> dict[str, Sequence[str]]:
    """Their addresses (`pool NAME`). Raises LoadBalancerMistake where two have one name."""
    found: dict[str, Sequence[str]] = {}
    for pool in pools:
        if (name := f"pool {pool['name']}") in found:
            raise LoadBalancerMistake(f"{name}: stands there twice")
        found[name] = pool["addresses"]
    return found


def refuse(
    pools: Sequence[Pool],
    peers: Sequence[Peer],
    mode: BgpMode,
    others: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raises LoadBalancerMistake for what MetalLB would refuse, ignore, or announce in vain.

    `others` are addresses of other clusters, by whose they are.
    """
    if not pools:
        raise LoadBalancerMistake("there is no pool: MetalLB would have no address to give")
    refuse_overlaps(by_name(pools), others)
    names = {peer["name"] for peer in peers}
    if len(names) < len(peers):
        raise LoadBalancerMistake("two peers have the same name")
    told = False
    for pool in pools:
        where, bgp = f"pool {pool['name']}", pool.get("bgp")
        if not pool["addresses"]:
            raise LoadBalancerMistake(f"{where}: has no addresses")
        if bgp is None and pool.get("l2") is None:
            raise LoadBalancerMistake(f"{where}: nobody would announce it: say l2, bgp or both")
        if bgp is None:
            continue
        told = True
        if not peers:
            raise LoadBalancerMistake(f"{where}: bgp without a peer: say whom to tell in `peers`")
        if unknown := sorted(set(bgp.get("peers", ())) - names):
            raise LoadBalancerMistake(
                f"{where}: peer {unknown[0]}: there is none of that name; there are "
                f"{', '.join(sorted(names))}"
            )
        if mode == "native":
            _refuse_native(where, pool, bgp)
    for peer in peers:
        _refuse_peer(peer, mode)
    if peers and not told:
        raise LoadBalancerMistake("peers: no pool says bgp: they would be told nothing")


def _refuse_native(where: str, pool: Pool, bgp: Bgp) -> None:
    six = [r.text for _, r in ranges({where: pool["addresses"]}) if r.family == 6]
    if six:
        raise LoadBalancerMistake(
            f"{where}: {six[0]}: mode native announces no IPv6 by BGP. Say mode: frr-k8s"
        )
    if large := [one for one in bgp.get("communities", ()) if one.count(":") != 1]:
        raise LoadBalancerMistake(
            f"{where}: community {large[0]}: mode native knows those of the form 64512:100 only"
        )


def _refuse_peer(peer: Peer, mode: BgpMode) -> None:
    where, bfd = f"peer {peer['name']}", peer.get("bfd")
    try:
        ip_address(peer["address"])
    except ValueError as error:
        raise LoadBalancerMistake(f"{where}: address: {error}") from None
    if bfd is None:
        return
    if mode == "native":
        raise LoadBalancerMistake(
            f"{where}: bfd: mode native has none, MetalLB would refuse its whole configuration. "
            "Say mode: frr-k8s"
        )
    for key, (low, high) in _BFD.items():
        value = bfd.get(key)
        if value is not None and not (isinstance(value, int) and low <= value <= high):
            raise LoadBalancerMistake(f"{where}: bfd.{key}: {value}: must be {low} to {high}")
