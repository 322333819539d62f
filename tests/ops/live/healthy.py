"""The facts of a fleet where all is well: the repository's own files, and clouds that hold them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from components.cluster.contract import Node
from components.cluster.node_objects import NodesSeen
from components.vendors.vultr_cluster import LiveCluster, LiveNode, Pool
from infra.fleet.reading import load
from ops.expected import EdgeExpected, Given, Member, RegionExpected, chosen
from ops.live.asking import known
from ops.live.facts import (
    Certificate,
    ClusterFacts,
    EdgeFacts,
    GivenFacts,
    NodeFacts,
    PodFacts,
    Record,
    Route,
    StateFacts,
    Verdict,
    VultrFacts,
    WebAnswer,
    Workload,
)
from ops.live.probe_facts import ProbeFacts
from ops.live.seen import EdgeSeen, RegionSeen, Seen
from ops.live.status_page import EdgeStatus, RegionStatus
from tests.projects import ROOT

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PROXIED = {"A": ("104.21.48.1",), "AAAA": ("2606:4700:3030::6815:3001",)}
COREFILE = ".:53 {\n    forward . /etc/resolv.conf\n    cache 30\n}\n"


@cache
def files() -> tuple[tuple[RegionExpected, ...], tuple[EdgeExpected, ...]]:
    regions, edges = chosen(load(ROOT), [])
    return tuple(regions), tuple(edges)


def region(name: str = "us", count: int = 3) -> RegionSeen:
    """A region stack of the repository's, with so many nodes."""
    expected = next(each for each in files()[0] if each.stack == name)
    block = {"us": 1, "eu": 2, "apac": 3}[name]
    nodes = tuple(
        LiveNode(f"id-{i}", f"edge-{i}", "edge", "active", f"192.0.{block}.{i}", f"2001:db8::{i}")
        for i in range(1, count + 1)
    )
    vultr = VultrFacts(
        LiveCluster(
            id=f"cluster-{name}",
            label=expected.label,
            location="ewr",
            version=expected.version,
            status="active",
            firewall_group_id="group",
            pools=(Pool("pool", "edge", count),),
            nodes=nodes,
        ),
        created="2026-01-02T03:04:05+00:00",
        rules=tuple(
            {"id": number, **rule} for number, rule in enumerate(expected.rules.values(), 1)
        ),
        upgrades=("v1.36.2+1",),
    )
    addresses = frozenset(a for node in nodes for a in (node.ipv4, node.ipv6))
    records = tuple(
        Record(f"r{i}", expected.hostname, "AAAA" if ":" in address else "A", address, True)
        for i, address in enumerate(sorted(addresses))
    )
    return RegionSeen(
        expected,
        vultr=vultr,
        cluster=cluster(expected, nodes),
        records=records,
        answers=dict(PROXIED),
        open_ports=(),
        addresses=addresses,
        due=addresses,
        state=StateFacts(),
        web=WebAnswer(200, expected.region),
        probes={n.label: ProbeFacts(40.0, 1.0, 2.0, 1500, True, True) for n in nodes},
    )


def metal(name: str = "us-metal", count: int = 3) -> RegionSeen:
    """A further cluster of region us, on servers: kubeadm's, with nodes and a kernel of its own."""
    us = region("us")
    machines = tuple(
        LiveNode(f"{name}-{i}", f"{name}-{i}", "", "", f"198.51.100.{i}", f"2001:db8:9::{i}")
        for i in range(1, count + 1)
    )
    said = Given("/srv/kubeconfigs/us-metal", {}, True)
    own = Member(name, f"Pulumi.{name}.yaml", f"edgefleet-{name}", given=said)
    expected = replace(
        us.expected,
        stack=name,
        file=own.file,
        label=own.label,
        version="",
        rules={},
        members=(own, *us.expected.members),
    )
    nodes = tuple(Node(n.id, n.label, n.ipv4, n.ipv6) for n in machines)
    addresses = frozenset(a for node in nodes for a in (node.ipv4, node.ipv6))
    found = cluster(us.expected, machines)
    found = replace(
        found,
        version="v1.36.2",
        nodes=tuple(replace(n, pool="", kernel="6.12.48", os="Debian 13") for n in found.nodes),
        kube_proxy=replace(workload("kube-proxy", []), desired=0),
        kube_proxy_mode="nftables",
        corefile=COREFILE.replace("cache 30", "cache 60"),
    )
    records = tuple(
        Record(f"m{a}", us.expected.hostname, "AAAA" if ":" in a else "A", a, True,
               f"edgefleet {name} node {node.id}")
        for node in nodes
        for a in (node.ipv4, node.ipv6)
    )  # fmt: skip
    return replace(
        us,
        expected=expected,
        vultr=None,
        given=GivenFacts("uid-1", "uid-1", NodesSeen(nodes, (), (), addresses)),
        cluster=found,
        records=(*(known(us.records) or ()), *records),
        addresses=(us.addresses or frozenset()) | addresses,
        due=(us.due or frozenset()) | addresses,
        probes={n.name: ProbeFacts(40.0, 1.0, 2.0, 1500, True, True) for n in nodes},
    )


def cluster(expected: RegionExpected, nodes: Iterable[LiveNode]) -> ClusterFacts:
    names = [node.label for node in nodes]
    keeper = expected.node_firewall
    assert keeper
    return ClusterFacts(
        version=expected.version.partition("+")[0],
        nodes=tuple(
            NodeFacts(
                node.label,
                node.id,
                "edge",
                True,
                addresses=(node.ipv4, node.ipv6),
                version=expected.version.partition("+")[0],
                kernel="6.8.0-85-generic",
                os="Ubuntu 24.04 LTS",
            )
            for node in nodes
        ),
        calico=workload(
            "calico-node",
            names,
            images={"calico-node": "docker.io/calico/node:v3.32.0"},
            env={**expected.calico["environment"], "FELIX_IPV6SUPPORT": "false"},
        ),
        kube_proxy=workload("kube-proxy", []),
        kube_proxy_mode="iptables",
        corefile=COREFILE,
        coredns=workload("coredns", names[:2], images={"coredns": "coredns:v1.12.1"}),
        ingress=(
            workload(
                "nginx-ingress",
                names,
                expected.namespace,
                images={"nginx-ingress": expected.ingress_image},
                args=("-default-server-tls-secret=nginx-ingress/origin-tls",),
            ),
        ),
        config={
            "external-status-address": expected.hostname,
            "http-snippets": f"add_header x-edge-region {expected.region} always;",
            "keepalive": "100",
        },
        certificate=Certificate(
            tuple(sorted(expected.certificate_hosts)),
            NOW - timedelta(days=100),
            NOW + timedelta(days=995),
            "Cloudflare",
        ),
        node_firewall=workload(
            "edgefleet-node-firewall",
            names,
            images={"node-firewall": keeper.image},
            args=(keeper.mode, "60"),
            files=(keeper.files,),
        ),
        pool={"ipipMode": "Never", "vxlanMode": "Always"},
    )


def workload(
    name: str, nodes: Iterable[str], namespace: str = "kube-system", **more: Any
) -> Workload:
    image = next(reversed(more.get("images", {"": ""}).values()))
    pods = tuple(
        PodFacts(
            f"{name}-{node}", node, True, image, "", more.get("args", ()), more.get("files", ())
        )
        for node in nodes
    )
    return Workload(namespace, name, len(pods), len(pods), pods=pods, **more)


def edge() -> EdgeSeen:
    """The repository's edge stack."""
    expected = replace(files()[1][0], status_page=True)
    well = {name: RegionStatus(True, "status 200") for name in expected.regions}
    facts = EdgeFacts(
        routes=tuple(Route(host, f"{host}/*", expected.script) for host in expected.hosts),
        sha256=expected.sha256,
        config=expected.config,
        bindings=("CONFIG", "HEALTH"),
        schedules=("* * * * *",),
        verdicts={name: Verdict(True, NOW, "status 200") for name in expected.regions},
    )
    return EdgeSeen(
        expected,
        facts=facts,
        records={
            host: (Record(f"r-{host}", host, "CNAME", "us.example.com", True),)
            for host in expected.hosts
        },
        answers=dict.fromkeys(expected.hosts, PROXIED["A"]),
        state=StateFacts(),
        web={host: WebAnswer(200, "us") for host in expected.hosts},
        status={host: EdgeStatus("FRA", well) for host in expected.hosts},
    )


def fleet() -> Seen:
    """All of it."""
    return Seen(tuple(region(name) for name in ("apac", "eu", "us")), (edge(),))


def changed(seen: RegionSeen, part: str = "", **changes: Any) -> RegionSeen:
    """The region with another `cluster`, `vultr` or, without a part, of its own."""
    if not part:
        return replace(seen, **changes)
    found: Any = known(getattr(seen, part))
    return replace(seen, **{part: replace(found, **changes)})


def without(values: Iterable[Any], number: int = 0) -> tuple[Any, ...]:
    """All but one."""
    kept = list(values)
    del kept[number]
    return tuple(kept)
