"""`PoolsFit`: MetalLB's pools against the nodes that there are, before anything is announced.

A pool that holds a node's own address has neighbours send that node's traffic elsewhere; an
advertisement whose labels no node has announces nothing, and MetalLB says nothing of it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, TypedDict

import pulumi

from ..json_object import object_at, objects_at
from ..server_side.api import CLUSTER_LEVEL, ServerObject
from ..server_side.precondition import Precondition
from ..server_side.resource import ClusterResource
from .addresses import ranges
from .metallb_options import Peer, Pool, by_name


class PoolsFitArgs(TypedDict):
    """A cluster by its kubeconfig, and what MetalLB is to be told there."""

    kubeconfig: pulumi.Input[str]
    pools: Sequence[Pool]
    peers: Sequence[Peer]


def selectors(pools: Iterable[Pool], peers: Iterable[Peer]) -> Iterator[tuple[str, dict[str, str]]]:
    """Labels that somebody has to have, by where they are said."""
    for pool in pools:
        l2, bgp = pool.get("l2") or {}, pool.get("bgp") or {}
        for kind, labels in (("l2", l2.get("node_selector")), ("bgp", bgp.get("node_selector"))):
            if labels:
                yield f"pool {pool['name']}: {kind}.nodeSelector", dict(labels)
    for peer in peers:
        if labels := peer.get("node_selector"):
            yield f"peer {peer['name']}: nodeSelector", dict(labels)


def misfits(
    nodes: Iterable[Mapping[str, Any]],
    pools: Mapping[str, Sequence[str]],
    wanted: Iterable[tuple[str, Mapping[str, str]]],
) -> list[str]:
    """What doesn't fit Kubernetes' nodes, as sentences: addresses of `pools` (by_name) that are a
    node's, and labels (`selectors`) that no node has."""
    held, found = [*ranges(pools)], list[str]()
    labels: list[Mapping[str, Any]] = []
    for node in nodes:
        meta = object_at(node, "metadata")
        labels.append(object_at(meta, "labels"))
        listed = objects_at(object_at(node, "status"), "addresses")
        for kind, text in ((a["type"], a["address"]) for a in listed):
            if not kind.endswith("IP"):
                continue
            found += [
                f"{name}: {each.text} holds {text}, the {kind} of node {meta['name']}: its "
                "neighbours would send that node's traffic elsewhere"
                for name, each in held
                if each.holds(ip_address(text))
            ]
    for where, these in wanted:
        if not any(these.items() <= each.items() for each in labels):
            said = ", ".join(f"{key}={value}" for key, value in these.items())
            found.append(f"{where}: no node has {said}: nobody would announce it")
    return found


class _Provider(Precondition):
    key = "pools"
    subject = "the nodes' addresses"
    spared = "MetalLB was left as it is"

    def name(self, props: Mapping[str, Any]) -> str:
        return "pools-fit"

    def problem(self, props: Mapping[str, Any], *, patient: bool) -> str | None:
        server = ServerObject({**CLUSTER_LEVEL, **props}, patient=patient)
        wanted = [(each["where"], each["labels"]) for each in props["wanted"]]
        found = misfits(server.items("/api/v1/nodes"), props["pools"], wanted)
        return "; ".join(found) or None


class PoolsFit(ClusterResource, name="PoolsFit", provider=_Provider):
    """Is there when no pool holds a node's address and every selector finds a node; looks again
    when these change, and in the preview where the cluster is there."""

    def __init__(
        self, name: str, args: PoolsFitArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        pools = {pool: [*addresses] for pool, addresses in by_name(args["pools"]).items()}
        found = selectors(args["pools"], args["peers"])
        wanted = [{"where": where, "labels": labels} for where, labels in found]
        props = {
            "kubeconfig": args["kubeconfig"],
            "pools": pools,
            "wanted": wanted,
            "generation": json.dumps([pools, wanted], sort_keys=True),
        }
        super().__init__(name, props, opts)
