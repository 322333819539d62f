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
    """Bidirectional forwarding detection with a router: milliseconds between packets each way (10
    to 60000; FRR's own are 300), and how many may be missing (2 to 255; 3)."""

    transmit: NotRequired[int]
    receive: NotRequired[int]
    multiplier: NotRequired[int]


class Peer(TypedDict):
    """A router that is told. `my_asn` is the cluster's number, `asn` the router's.

    `hold_seconds` after which a silent peer is given up (3 to 65535; MetalLB's own is 90).
    `password` is that of the session (TCP MD5), a secret. `multi_hop` where the router isn't a
    neighbour. Only nodes with all of `node_selector`'s labels speak to it.
    """

    name: str
    address: str
    asn: int
    my_asn: int
    port: NotRequired[int]
    hold_seconds: NotRequired[int]
    password: NotRequired[pulumi.Input[str] | None]
    bfd: NotRequired[Bfd | None]
    multi_hop: NotRequired[bool]
    node_selector: NotRequired[Mapping[str, str]]


class L2(TypedDict):
    """Announced by ARP and NDP, by one node at a time: of those with all of these labels, on these
    interfaces; on all without any."""

    node_selector: NotRequired[Mapping[str, str]]
    interfaces: NotRequired[Sequence[str]]


class Bgp(TypedDict):
    """Announced to `peers` (all, without any), with `communities` (64512:100), from the nodes with
    all of these labels."""

    peers: NotRequired[Sequence[str]]
    communities: NotRequired[Sequence[str]]
    node_selector: NotRequired[Mapping[str, str]]


class Pool(TypedDict):
    """Addresses to give, as networks or ranges. With `auto_assign` a Service that asks for none in
    particular may get one, too."""

    name: str
    addresses: Sequence[str]
    auto_assign: NotRequired[bool]
    l2: NotRequired[L2 | None]
    bgp: NotRequired[Bgp | None]


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
