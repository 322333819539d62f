"""Pools against nodes: a node's own address, and labels that no node has."""

from typing import Any

import pytest

from components.load_balancer import pools_fit
from components.load_balancer.metallb_options import Peer, Pool
from components.load_balancer.pools_fit import PoolsFit, misfits, selectors
from components.server_side.api import ServerObject
from tests.registrations import all_registered

POOLS = {"pool web": ["10.9.0.8/29"], "pool six": ["2001:db8::8-2001:db8::f"]}


def node(name: str, *addresses: tuple[str, str], **labels: str) -> dict[str, Any]:
    listed = [{"type": kind, "address": address} for kind, address in addresses]
    return {"metadata": {"name": name, "labels": labels}, "status": {"addresses": listed}}


ONE = node("fra-1", ("Hostname", "fra-1"), ("InternalIP", "10.9.0.7"), edge="yes")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (node("fra-2", ("InternalIP", "10.9.0.16"), ("ExternalIP", "2001:db8::7")), []),
        (
            node("fra-2", ("InternalIP", "10.9.0.9")),
            ["pool web: 10.9.0.8/29 holds 10.9.0.9, the InternalIP of node fra-2"],
        ),
        (
            node("fra-2", ("ExternalIP", "2001:db8::a")),
            ["pool six: 2001:db8::8-2001:db8::f holds 2001:db8::a, the ExternalIP of node fra-2"],
        ),
    ],
)
def test_a_nodes_own_address(other: dict[str, Any], told: list[str]):
    found = misfits([ONE, other], POOLS, [])
    assert [line.partition(": its ")[0] for line in found] == told


def test_labels_that_no_node_has():
    pools: list[Pool] = [
        {"name": "web", "addresses": [], "l2": {"node_selector": {"edge": "yes"}}},
        {"name": "far", "addresses": [], "bgp": {"node_selector": {"edge": "yes", "rack": "b"}}},
        {"name": "all", "addresses": [], "l2": {}, "bgp": None},
    ]
    peer: Peer = {"name": "tor", "address": "10.9.0.1", "asn": 1, "my_asn": 2}
    peers: list[Peer] = [peer, {**peer, "name": "two", "node_selector": {"rack": "b"}}]
    wanted = [*selectors(pools, peers)]
    assert misfits([ONE, node("fra-2", rack="b")], {}, wanted) == [
        "pool far: bgp.nodeSelector: no node has edge=yes, rack=b: nobody would announce it"
    ]
    assert misfits([ONE], {}, wanted)[1] == (
        "peer two: nodeSelector: no node has rack=b: nobody would announce it"
    )


def test_it_looks_again_when_what_is_said_changes(monkeypatch: pytest.MonkeyPatch):
    taken = node("fra-2", ("InternalIP", "10.9.0.9"))
    monkeypatch.setattr(ServerObject, "items", lambda *_, **__: [ONE, taken])
    pool: Pool = {"name": "web", "addresses": ["10.9.0.8/29"], "l2": {}}
    args: pools_fit.PoolsFitArgs = {"kubeconfig": KUBECONFIG, "pools": [pool], "peers": []}
    (sent,), _ = all_registered(lambda: PoolsFit("p", args))
    props = {key: sent["object"][key] for key in ("pools", "wanted", "generation")}
    provider = pools_fit._Provider()  # pyright: ignore[reportPrivateUsage]
    news = {**props, "kubeconfig": KUBECONFIG}
    (failure,) = provider.check({}, news).failures or []
    assert failure.property == "pools"
    assert "10.9.0.9" in failure.reason
    assert provider.check({"generation": props["generation"]}, news).failures == []
    with pytest.raises(RuntimeError, match="the InternalIP of node fra-2"):
        provider.wait(news)


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
"""
