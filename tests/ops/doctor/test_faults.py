"""Each fault is found by name, and nothing else is blamed; a healthy fleet has none."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ops.doctor.rungs
from components.cluster.node_objects import NodesSeen
from components.vendors.vultr_cluster import LiveCluster, LiveNode
from ops.doctor.finding import RUNGS
from ops.doctor.ladder import Report, climb_down
from ops.doctor.text import text
from ops.expected import Member
from ops.live.addresses import addresses
from ops.live.asking import Unasked, known
from ops.live.facts import (
    ClusterFacts,
    PodFacts,
    Record,
    Route,
    ServiceFacts,
    StateFacts,
    Verdict,
    WebAnswer,
    Workload,
)
from ops.live.probe_facts import ProbeFacts
from ops.live.seen import EdgeSeen, RegionSeen, Seen
from ops.live.status_page import RegionStatus
from tests.ops.live.healthy import NOW, changed, edge, fleet, metal, region, without
from tests.projects import ROOT

Us = Callable[[RegionSeen], RegionSeen]
Edge = Callable[[EdgeSeen], EdgeSeen]


def with_us(change: Us) -> Seen:
    seen = fleet()
    return replace(seen, regions=(*seen.regions[:2], change(seen.regions[2])))


def with_edge(change: Edge) -> Seen:
    seen = fleet()
    return replace(seen, edges=(change(seen.edges[0]),))


def look(seen: Seen) -> Report:
    return climb_down(seen, NOW, whole=True)


# --- what is changed about the healthy facts --------------------------------------------------


def vultr(**changes: Any) -> Us:
    return lambda seen: changed(seen, "vultr", **changes)


def live(seen: RegionSeen) -> LiveCluster:
    found = known(seen.vultr)
    assert found
    assert found.cluster
    return found.cluster


def made(**changes: Any) -> Us:
    """The cluster at Vultr."""
    return lambda seen: changed(seen, "vultr", cluster=replace(live(seen), **changes))


def cluster(**changes: Any) -> Us:
    return lambda seen: changed(seen, "cluster", **changes)


def facts(seen: RegionSeen) -> ClusterFacts:
    found = known(seen.cluster)
    assert found
    return found


def workload(part: str, **changes: Any) -> Us:
    def change(seen: RegionSeen) -> RegionSeen:
        return changed(seen, "cluster", **{part: replace(getattr(facts(seen), part), **changes)})

    return change


def ingress(change: Callable[[Workload], Workload]) -> Us:
    return lambda seen: changed(seen, "cluster", ingress=(change(facts(seen).ingress[0]),))


def unready(found: Workload, why: str) -> Workload:
    pods = (replace(found.pods[0], ready=False, why=why), *found.pods[1:])
    return replace(found, ready=found.ready - 1, pods=pods)


def keeper(why: str) -> Us:
    """A node that can't be brought in step, and why."""

    def change(seen: RegionSeen) -> RegionSeen:
        found = facts(seen).node_firewall
        assert found
        return changed(seen, "cluster", node_firewall=unready(found, why))

    return change


def kernels(kernel: str) -> Us:
    def change(seen: RegionSeen) -> RegionSeen:
        nodes = tuple(replace(node, kernel=kernel) for node in facts(seen).nodes)
        return changed(seen, "cluster", nodes=nodes)

    return change


def environment(**variables: str | None) -> Us:
    def change(seen: RegionSeen) -> RegionSeen:
        found = facts(seen).calico
        assert found
        env = {k: v for k, v in {**found.env, **variables}.items() if v is not None}
        return changed(seen, "cluster", calico=replace(found, env=env))

    return change


def certificate(**changes: Any) -> Us:
    def change(seen: RegionSeen) -> RegionSeen:
        found = facts(seen).certificate
        assert found
        assert not isinstance(found, Unasked)
        return changed(seen, "cluster", certificate=replace(found, **changes))

    return change


def record(number: int = 0, **changes: Any) -> Us:
    def change(seen: RegionSeen) -> RegionSeen:
        records = known(seen.records)
        assert records
        kept = list(records)
        kept[number] = replace(kept[number], **changes)
        return replace(seen, records=tuple(kept))

    return change


def also_record(content: str, comment: str) -> Us:
    more = Record("r-more", "us.example.com", "A", content, True, comment)
    return lambda seen: replace(seen, records=(*(known(seen.records) or ()), more))


def rule(**said: Any) -> Us:
    base = {"id": 99, "ip_type": "v4", "protocol": "tcp", "port": "443", "subnet": "0.0.0.0"}
    more = {**base, "subnet_size": 0, "source": "", **said}

    def change(seen: RegionSeen) -> RegionSeen:
        found = known(seen.vultr)
        assert found
        return changed(seen, "vultr", rules=(*found.rules, more))

    return change


def no_rule(seen: RegionSeen) -> RegionSeen:
    found = known(seen.vultr)
    assert found
    return changed(seen, "vultr", rules=without(found.rules, 3))


def node(**changes: Any) -> Us:
    """The first node, as the cluster knows it."""

    def change(seen: RegionSeen) -> RegionSeen:
        first, *rest = facts(seen).nodes
        return changed(seen, "cluster", nodes=(replace(first, **changes), *rest))

    return change


def machine(seen: RegionSeen, **changes: Any) -> RegionSeen:
    """The first node, as Vultr knows it."""
    first, *rest = live(seen).nodes
    return made(nodes=(replace(first, **changes), *rest))(seen)


def dead_node(seen: RegionSeen) -> RegionSeen:
    """Not ready, and so none of its pods is."""
    broken = node(ready=False, why="NodeStatusUnknown: Kubelet stopped posting node status.")(seen)
    for part in ("calico", "node_firewall"):
        pods = unready(getattr(facts(broken), part), "edge-1 (NodeLost)")
        broken = changed(broken, "cluster", **{part: pods})
    return ingress(lambda found: unready(found, "edge-1 (NodeLost)"))(broken)


def recycled(seen: RegionSeen) -> RegionSeen:
    """A machine that is gone at Vultr, and its node; its records stay."""
    gone = live(seen).nodes[0]
    left = made(nodes=live(seen).nodes[1:])(seen)
    left = changed(left, "cluster", nodes=facts(left).nodes[1:])
    ours = tuple(
        replace(r, comment="edgefleet us node id-1") if r.content in (gone.ipv4, gone.ipv6) else r
        for r in known(seen.records) or ()
    )
    return replace(left, records=ours, addresses=(seen.addresses or set()) - {gone.ipv4, gone.ipv6})


def new_node(seen: RegionSeen) -> RegionSeen:
    """A machine that is there, and has no records yet."""
    more = LiveNode("id-9", "edge-9", "edge", "active", "192.0.1.9", "2001:db8::99")
    found = made(nodes=(*live(seen).nodes, more))(seen)
    joined = replace(facts(seen).nodes[0], name="edge-9", id="id-9")
    found = changed(found, "cluster", nodes=(*facts(found).nodes, joined))
    for part in ("calico", "node_firewall"):
        found = changed(found, "cluster", **{part: one_more(getattr(facts(found), part))})
    found = ingress(one_more)(found)
    return replace(found, addresses=(found.addresses or frozenset()) | {more.ipv4, more.ipv6})


def one_more(found: Workload) -> Workload:
    return replace(found, pods=(*found.pods, replace(found.pods[0], node="edge-9")))


def probed(**changes: Any) -> Us:
    healthy = ProbeFacts(40.0, 1.0, 2.0, 1500, True, True)
    return lambda seen: replace(seen, probes={**seen.probes, "edge-1": replace(healthy, **changes)})


def worker(**changes: Any) -> Edge:
    def change(seen: EdgeSeen) -> EdgeSeen:
        found = known(seen.facts)
        assert found
        return replace(seen, facts=replace(found, **changes))

    return change


def table(old: str, new: str) -> Edge:
    return lambda seen: worker(config=seen.expected.config.replace(old, new))(seen)


def verdict(up: bool, minutes: int) -> Edge:
    said = Verdict(up, NOW - timedelta(minutes=minutes), "status 503")
    return worker(verdicts={"us": said})


def pulls(**changes: Any) -> Edge:
    def change(seen: EdgeSeen) -> EdgeSeen:
        wants = replace(seen, expected=replace(seen.expected, pulls="require"))
        return worker(**changes)(wants)

    return change


def page(region: str, told: RegionStatus) -> Edge:
    """What the Worker's status page says of a region, asked on the first host."""

    def change(seen: EdgeSeen) -> EdgeSeen:
        host, said = next((h, s) for h, s in seen.status.items() if not isinstance(s, Unasked))
        other = replace(said, regions={**said.regions, region: told})
        return replace(seen, status={**seen.status, host: other})

    return change


def lone_host(records: tuple[Record, ...]) -> Edge:
    return lambda seen: replace(seen, records={**seen.records, "example.com": records})


def answers(**answer: tuple[str, ...]) -> Us:
    return lambda seen: replace(seen, answers={**seen.answers, **answer})


def wants(**changes: Any) -> Us:
    return lambda seen: replace(seen, expected=replace(seen.expected, **changes))


def both(*changes: Us) -> Us:
    def change(seen: RegionSeen) -> RegionSeen:
        for each in changes:
            seen = each(seen)
        return seen

    return change


def running_proxy(seen: RegionSeen) -> RegionSeen:
    pods = tuple(PodFacts(f"p{n}", f"edge-{n}", True) for n in (1, 2, 3))
    return workload("kube_proxy", desired=3, ready=3, pods=pods)(seen)


OUR_POD = "edge-1 (blocked: MANAGE_BUILTINS=yes in /etc/default/ufw)"
REGION: Mapping[str, tuple[str, Us, str]] = {
    # name: rung, what is changed, what the finding says
    "record-missing: a node without records": ("dns", new_node, "edge-9 (192.0.1.9)"),
    "record-missing: a record deleted by hand": (
        "dns",
        lambda seen: replace(seen, records=without(known(seen.records) or ())),
        "no record for edge-1",
    ),
    "record-dead: of a node that is gone": ("dns", recycled, "no node of the region"),
    "record-dead: somebody else's": ("dns", also_record("203.0.113.9", ""), "203.0.113.9"),
    "record-unproxied": ("dns", record(proxied=False), "not proxied: A 192.0.1.1"),
    "name-unresolved": ("dns", answers(A=(), AAAA=()), "no address"),
    "name-elsewhere": ("dns", answers(A=("198.51.100.7",)), "198.51.100.7: not Cloudflare's"),
    "rule-missing": ("cloud-firewall", no_rule, "not there: tcp 443 from Cloudflare (v6)"),
    "web-open: 443 to all": ("cloud-firewall", rule(), "tcp 443 from 0.0.0.0/0"),
    "web-open: a range of ports from an office": (
        "cloud-firewall",
        rule(port="1:1000", subnet="198.51.100.0", subnet_size=24),
        "tcp 1:1000 from 198.51.100.0/24",
    ),
    "open-to-everybody: SSH": ("cloud-firewall", rule(port="22"), "tcp 22 from 0.0.0.0/0"),
    "group-missing": ("cloud-firewall", made(firewall_group_id=""), "no firewall group"),
    "port-reachable": (
        "cloud-firewall",
        lambda seen: replace(seen, open_ports=("192.0.1.1:443",)),
        "192.0.1.1:443 took it",
    ),
    "keeper-missing": ("node-firewall", cluster(node_firewall=None), "no DaemonSet"),
    "table-old: a range of Cloudflare's is missing": (
        "node-firewall",
        workload("node_firewall", files=("edgefleet-node-firewall-0000",)),
        "edgefleet-node-firewall-0000",
    ),
    "table-old: only observed": (
        "node-firewall",
        workload("node_firewall", args=("observe", "60")),
        "mode observe",
    ),
    "node-behind: a deny before ours": ("node-firewall", keeper(OUR_POD), OUR_POD),
    "node-behind: it waits": (
        "node-firewall",
        lambda seen: workload(
            "node_firewall",
            pods=(
                replace(seen.cluster.node_firewall.pods[0], files=("old",)),  # type: ignore[union-attr]
                *seen.cluster.node_firewall.pods[1:],  # type: ignore[union-attr]
            ),
        )(seen),
        "it waits behind another node",
    ),
    "keeper-absent": (
        "node-firewall",
        lambda seen: workload(
            "node_firewall",
            pods=seen.cluster.node_firewall.pods[1:],  # type: ignore[union-attr]
        )(seen),
        "no pod on edge-1",
    ),
    "cluster-missing": (
        "node",
        both(
            vultr(cluster=None, rules=()),
            lambda seen: replace(
                seen,
                records=(),
                addresses=frozenset(),
                cluster=Unasked("no kubeconfig: Vultr has no cluster"),
            ),
        ),
        "none is labelled edgefleet-us",
    ),
    "cluster-inactive": ("node", made(status="upgrading"), "it is upgrading"),
    "node-not-ready": ("node", dead_node, "Kubelet stopped posting"),
    "node-not-joined": (
        "node",
        lambda seen: changed(seen, "cluster", nodes=without(facts(seen).nodes)),
        "is no node",
    ),
    "machine-down": ("node", lambda seen: machine(dead_node(seen), status="pending"), "pending"),
    "node-without-ipv6: IPv6 gone": (
        "node",
        both(
            lambda seen: replace(
                seen,
                records=tuple(r for r in known(seen.records) or () if r.content != "2001:db8::1"),
            ),
            lambda seen: machine(seen, ipv6=""),
        ),
        "no IPv6 address",
    ),
    "node-pressure: the disk is full": ("node", node(problems=("DiskPressure",)), "DiskPressure"),
    "version-other: Vultr upgraded by itself": ("node", made(version="v1.36.2+1"), "v1.36.2+1"),
    "version-ended": (
        "node",
        both(made(version="v1.34.3+1"), wants(version="v1.34.3+1")),
        "v1.34.3+1 ended on 2026-10-27",
    ),
    "disk-full": ("node", probed(disk_used=93.0), "93 %"),
    "steal": ("node", probed(steal=35.0), "35 %"),
    "conntrack-full": ("node", probed(conntrack_used=97.0), "97 %"),
    "ingress-missing": ("process", cluster(ingress=()), "no DaemonSet"),
    "ingress-pod-missing": (
        "process",
        ingress(lambda found: replace(found, pods=found.pods[1:])),
        "no pod of the ingress on edge-1",
    ),
    "ingress-pod-not-ready": (
        "process",
        ingress(lambda found: unready(found, "edge-1 (CrashLoopBackOff)")),
        "CrashLoopBackOff",
    ),
    "ingress-image": (
        "process",
        ingress(lambda found: replace(found, images={"nginx-ingress": "nginx:latest"})),
        "nginx:latest",
    ),
    "ingress-refused: a bad Ingress": (
        "process",
        cluster(bad_ingresses=("shop/cart: host is required",)),
        "host is required",
    ),
    "certificate-missing": ("process", cluster(certificate=None), "no certificate"),
    "certificate-expired": (
        "process",
        certificate(ends=NOW - timedelta(days=2)),
        "ended on 2026-11-19",
    ),
    "certificate-ending": ("process", certificate(ends=NOW + timedelta(days=9)), "in 9 days"),
    "certificate-early": (
        "process",
        certificate(begins=NOW + timedelta(hours=1)),
        "valid from 2026-11-21 13:00",
    ),
    "certificate-wrong": (
        "process",
        certificate(hosts=("example.com",)),
        "not for api.example.com, us.example.com",
    ),
    "calico-missing": ("dataplane", cluster(calico=None), "no DaemonSet"),
    "felix-environment: a variable is missing": (
        "dataplane",
        environment(FELIX_BPFENABLED=None),
        "FELIX_BPFENABLED is not there, not true",
    ),
    "felix-environment: another value": (
        "dataplane",
        environment(FELIX_BPFEXTERNALSERVICEMODE="DSR"),
        "is DSR, not Tunnel",
    ),
    "felix-fell-back": (
        "dataplane",
        both(cluster(fell_back=("edge-1",)), probed(from_pod=False)),
        "gave eBPF up on edge-1",
    ),
    "felix-fell-back: by a probe, where no log is seen": (
        "dataplane",
        both(cluster(fell_back=Unasked("no log")), probed(fell_back=True)),
        "gave eBPF up on edge-1",
    ),
    "felix-kernel": (
        "dataplane",
        both(
            workload("calico", images={"calico-node": "quay.io/calico/node:v3.31.2@sha256:0"}),
            kernels("6.12.53-1-amd64"),
        ),
        "Calico v3.31.2 on ",
    ),
    "calico-image": (
        "dataplane",
        lambda seen: wants(
            calico={**seen.expected.calico, "images": {"calico-node": "calico/node:v3.32.1"}}
        )(seen),
        "not calico/node:v3.32.1",
    ),
    "calico-pod": (
        "dataplane",
        lambda seen: changed(
            seen,
            "cluster",
            calico=unready(seen.cluster.calico, "edge-1 (Init:0/3)"),  # type: ignore[union-attr]
        ),
        "Init:0/3",
    ),
    "kube-proxy-beside": ("dataplane", running_proxy, "runs on 3 nodes"),
    "kube-proxy-missing": (
        "dataplane",
        lambda seen: wants(calico={**seen.expected.calico, "kubeProxy": "left"})(seen),
        "runs nowhere",
    ),
    "network-beside": ("dataplane", cluster(networks=("kube-system/cilium",)), "cilium runs, too"),
    "ipip-leftover": (
        "dataplane",
        cluster(pool={"ipipMode": "Always", "vxlanMode": "Never"}),
        "ipipMode is Always",
    ),
    "mtu-too-large": ("dataplane", cluster(veth_mtu=1500), "1500 bytes, the nodes' 1500"),
    "coredns-missing": ("dataplane", cluster(corefile=None), "no ConfigMap"),
    "coredns-no-upstream": (
        "dataplane",
        cluster(corefile=".:53 {\n    cache 30\n}\n"),
        "no forward",
    ),
    "coredns-down": ("dataplane", workload("coredns", desired=0, ready=0, pods=()), "0 replicas"),
    "service-from-pod": ("dataplane", probed(from_pod=False), "on edge-1"),
    "service-from-node": ("dataplane", probed(from_node=False), "on edge-1"),
    "region-unanswered": (
        "edge",
        lambda seen: replace(seen, web=WebAnswer(522, "")),
        "522",
    ),
    "region-unanswered: by another": (
        "edge",
        lambda seen: replace(seen, web=WebAnswer(200, "eu")),
        "answered by region eu",
    ),
    "pulls-refused": (
        "edge",
        both(wants(pulls="require"), cluster(shown={"NONE": 30})),
        "came with 0 of the last 30 requests logged (30 NONE)",
    ),
    "locked": (
        "state",
        lambda seen: replace(seen, state=StateFacts(locks=("me@laptop, process 7",))),
        "held by me@laptop",
    ),
    "cut-off": (
        "state",
        lambda seen: replace(seen, state=StateFacts(pending=("creating us-cluster",))),
        "creating us-cluster",
    ),
    "kubeconfig-old": ("state", lambda seen: replace(seen, stale_key=True), "401"),
}

EDGE: Mapping[str, tuple[str, Edge, str]] = {
    "host-record-missing": ("dns", lone_host(()), "no record"),
    "host-unproxied": (
        "dns",
        lone_host((Record("r", "example.com", "CNAME", "us.example.com", False),)),
        "not proxied: CNAME us.example.com",
    ),
    "worker-missing": ("edge", worker(sha256="", routes=()), "no Worker edgefleet"),
    "worker-old": ("edge", worker(sha256="0" * 64), "script 000000000000…"),
    "table-old: a region is missing": (
        "edge",
        lambda seen: worker(config=seen.expected.config.replace('"name":"us"', '"name":"old"'))(
            seen
        ),
        "lacks region us, has region old",
    ),
    "table-old: drained": ("edge", table('"drain":false', '"drain":true'), "drain is true, not"),
    "table-old: no table": ("edge", worker(config=""), "no table that can be read"),
    "route-missing": (
        "edge",
        worker(routes=(Route("1", "api.example.com/*", "edgefleet"),)),
        "there is no route example.com/*",
    ),
    "route-missing: to another": (
        "edge",
        worker(
            routes=(
                Route("1", "api.example.com/*", "edgefleet"),
                Route("2", "example.com/*", "old-router"),
            )
        ),
        "leads to old-router",
    ),
    "probes-off: no schedule": ("edge", worker(schedules=()), "no schedule"),
    "probes-off: no binding": ("edge", worker(bindings=("CONFIG",)), "no binding HEALTH"),
    "verdict-stale": ("edge", verdict(False, 90), "last confirmed 2026-11-21 10:30"),
    "region-down": ("edge", verdict(False, 10), "found us down: status 503"),
    "region-down: just now, whatever its cron found": (
        "edge",
        page("us", RegionStatus(False, "status 503")),
        "found us down just now: status 503 (at FRA)",
    ),
    "application-ejected": (
        "edge",
        page("eu", RegionStatus(True, "status 200", {"example.com": "ejected for 25 s"})),
        "ejected for 25 s",
    ),
    "pulls-off": ("edge", pulls(pulls=False), "they are off"),
    "pulls-ending": (
        "edge",
        pulls(pulls=True, pulls_end=(NOW + timedelta(days=5),)),
        "ends on 2026-11-26",
    ),
    "host-failing": (
        "edge",
        lambda seen: replace(seen, web={**seen.web, "example.com": WebAnswer(503, "")}),
        "answered 503",
    ),
}
FAULTS = {
    **{name: (rung, with_us(change), said) for name, (rung, change, said) in REGION.items()},
    **{name: (rung, with_edge(change), said) for name, (rung, change, said) in EDGE.items()},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_name_and_nothing_else_is_blamed(name: str):
    rung, seen, said = FAULTS[name]
    report = look(seen)
    assert [(f.rung, f.fault) for f in report.findings] == [(rung, name.partition(":")[0])]
    (finding,) = report.findings
    assert said in finding.came
    assert finding.stack == ("us" if name in REGION else "edge")
    assert report.blind == ()
    for part in (finding.subject, finding.asked, finding.means, finding.do):
        assert part


def test_a_healthy_fleet():
    report = look(fleet())
    assert (report.findings, report.blind, report.notes, report.left) == ((), (), (), ())
    assert report.well == RUNGS


def given(**changes: Any) -> Us:
    return lambda seen: changed(seen, "given", **changes)


def serving(seen: RegionSeen) -> NodesSeen:
    found = known(seen.given)
    assert found
    return found.nodes


def unable(ready: bool) -> Us:
    """A node that can't serve, as `why` has it; its records are still there."""

    def change(seen: RegionSeen) -> RegionSeen:
        nodes = serving(seen)
        why = f"{nodes.serving[0].name} ({'no public IPv4 address' if ready else 'not ready'})"
        seen = given(nodes=replace(nodes, serving=nodes.serving[1:], unable=(why,)))(seen)
        if ready:
            return seen
        first = replace(facts(seen).nodes[0], ready=False, why="NodeStatusUnknown: no word")
        return changed(seen, "cluster", nodes=(first, *facts(seen).nodes[1:]))

    return change


def asked_nothing(seen: RegionSeen) -> RegionSeen:
    """As `looking` has it of another cluster."""
    return replace(seen, cluster=Unasked("opens another cluster"), addresses=None, due=None)


GIVEN: Mapping[str, tuple[str, Us, str]] = {
    "record-missing": (
        "dns",
        lambda seen: replace(seen, records=(known(seen.records) or ())[:-1]),
        "no record for us-metal-3 (2001:db8:9::3)",
    ),
    "record-dead": (
        "dns",
        also_record("198.51.100.77", "edgefleet us-metal node us-metal-7"),
        "A 198.51.100.77: no node of the region",
    ),
    "cluster-other": (
        "node",
        both(asked_nothing, given(identity="uid-2", nodes=NodesSeen((), (), ()))),
        "the kubeconfig opens uid-2; the stack was made in uid-1",
    ),
    "node-not-ready": ("node", unable(ready=False), "NodeStatusUnknown"),
    "node-without-address": ("node", unable(ready=True), "us-metal-1 (no public IPv4"),
    "node-address-wrong": (
        "node",
        both(
            lambda seen: replace(seen, addresses=None, due=None),
            given(nodes=NodesSeen((), (), ()), mistake="us-metal-1: ipv4: '10.0.0.5' is no public"),
        ),
        "10.0.0.5",
    ),
    "version-ended": ("node", cluster(version="v1.33.1"), "v1.33.1 ended on 2026-06-28"),
    "node-port-reachable": (
        "node-firewall",
        lambda seen: replace(seen, open_ports=("198.51.100.1:443",)),
        "198.51.100.1:443 took it",
    ),
    "kube-proxy-beside": (
        "dataplane",
        workload("kube_proxy", desired=3),
        "kube-proxy (nftables) runs on 3 nodes",
    ),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_fault_of_a_cluster_that_vultr_did_not_make(name: str):
    """By name, with nothing else blamed, and nobody sent to Vultr."""
    rung, change, said = GIVEN[name]
    report = look(Seen((change(metal()),)))
    assert [(f.rung, f.fault) for f in report.findings] == [(rung, name)]
    (finding,) = report.findings
    assert said in finding.came
    assert report.blind == ()
    for part in (finding.subject, finding.asked, finding.means, finding.do):
        assert part
        assert "Vultr" not in part


def test_what_is_vultrs_alone_is_off_and_said_once():
    report = look(Seen((metal(), metal("ber"))))
    assert (report.findings, report.blind, report.left) == ((), (), ())
    assert "cloud-firewall" not in report.well
    assert report.off == ("cloud-firewall",)
    nobody = replace(metal(), records=Unasked("no token"))
    assert "? cloud-firewall" not in text(look(Seen((nobody,))))
    assert {note.rung for note in report.notes} == {"cloud-firewall"}
    shown = " ".join(text(report).split())
    assert shown.count("stands before a cluster that it didn't make") == 1
    assert "us-metal, ber: no firewall of Vultr's" in shown
    both_kinds = look(Seen((region(), metal())))
    assert (both_kinds.findings, both_kinds.blind) == ((), ())
    assert "cloud-firewall" in both_kinds.well


def test_who_is_beside_a_cluster_and_cannot_be_asked_leaves_its_records_alone():
    stray = also_record("198.51.100.77", "")
    us = replace(stray(region()), addresses=None, due=None, unlisted="us-metal: no answer")
    report = look(Seen((us,)))
    assert (report.findings, report.blind) == ((), ())
    assert [note.text for note in report.notes] == [
        "records that lead nowhere: us-metal: no answer"
    ]


def test_every_fault_that_there_is_has_a_test_and_stands_in_the_runbook():
    rungs = Path(ops.doctor.rungs.__file__).parent
    sources = "".join(path.read_text() for path in sorted(rungs.glob("*.py")))
    named = {name.partition(":")[0] for name in FAULTS}
    # What a call names itself; others come from tables, and have their test above.
    named |= {*GIVEN, *(name.partition(":")[0] for name in SERVICES)}
    told = set(re.findall(r'inding\(\s*(?:seen|stack|"[a-z-]+"),\s*"([a-z0-9-]+)"', sources))
    assert len(told) > 40
    assert told <= named
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert {fault for fault in named if f"`{fault}`" not in runbook} == set()


def test_what_is_above_explains_what_is_below():
    """A symptom is told alone; beside its cause it is not."""
    bad = both(no_rule, lambda seen: replace(seen, web=WebAnswer(522, "")))
    report = look(with_us(bad))
    assert [f.fault for f in report.findings] == ["rule-missing"]
    seen = with_us(no_rule)
    report = look(replace(seen, edges=(verdict(False, 10)(edge()),)))
    assert [f.fault for f in report.findings] == ["rule-missing"]


def test_the_ladder_stops_at_the_first_rung_that_fails():
    seen = with_us(both(record(proxied=False), environment(FELIX_BPFENABLED=None)))
    report = climb_down(seen, NOW)
    assert [f.fault for f in report.findings] == ["record-unproxied"]
    assert report.left == RUNGS[1:]
    assert [f.fault for f in look(seen).findings] == ["record-unproxied", "felix-environment"]
    only = climb_down(seen, NOW, ["dataplane"])
    assert [f.fault for f in only.findings] == ["felix-environment"]
    assert (only.well, only.left) == ((), ())


@pytest.mark.parametrize(
    ("seen", "systems"),
    [
        (with_us(lambda s: replace(s, cluster=Unasked("down"))), [("its API server", "us")]),
        (with_us(lambda s: replace(s, vultr=Unasked("401"))), [("Vultr", "us")]),
        (with_us(lambda s: replace(s, records=Unasked("403"))), [("Cloudflare", "us")]),
        (with_us(lambda s: replace(s, state=Unasked("no login"))), [("Pulumi's state", "us")]),
        (with_edge(lambda s: replace(s, facts=Unasked("429"))), [("Cloudflare", "edge")]),
    ],
)
def test_who_cannot_be_asked_is_named_once_and_nobody_is_blamed(
    seen: Seen, systems: list[tuple[str, str]]
):
    report = look(seen)
    assert report.findings == ()
    assert [(b.system, b.stack) for b in report.blind] == systems


def test_what_was_not_seen_is_a_note_and_no_fault():
    unseen = Unasked("not from here")
    seen = with_us(
        lambda s: replace(
            changed(s, "cluster", fell_back=unseen, certificate=unseen),
            answers={"A": unseen},
            open_ports=unseen,
            web=unseen,
            probes={},
        )
    )
    report = look(seen)
    assert (report.findings, report.blind) == ((), ())
    assert len(report.notes) == 7


@pytest.mark.parametrize(
    ("pulls", "shown", "said"),
    [
        ("observe", {"SUCCESS": 40}, "with 40 of the last 40 requests logged: `originPulls: requi"),
        ("observe", {"SUCCESS": 9, "NONE": 1}, "9 of the last 10 requests logged (1 NONE): not y"),
        ("observe", {}, "shows with the first visitors"),
        ("observe", Unasked("no log"), "whether Cloudflare's client certificate comes: no log"),
        ("require", {"SUCCESS": 9, "NONE": 1}, ""),
        ("off", Unasked("nobody asked for its log"), ""),
    ],
)
def test_whether_require_may_be_switched_on(pulls: str, shown: object, said: str):
    report = look(with_us(both(wants(pulls=pulls), cluster(shown=shown))))
    assert (report.findings, report.blind) == ((), ())
    assert [said in note.text for note in report.notes] == [True] * bool(said)


def test_a_region_that_drains_beside_another_has_no_records():
    def change(seen: RegionSeen) -> RegionSeen:
        expected = replace(seen.expected, withdrawn=True)
        return replace(seen, expected=expected, records=())

    assert look(with_us(change)).findings == ()


ANNOUNCED = ("203.0.113.80", "2001:db8:8::80")


def behind(service: ServiceFacts | None, *, by_neighbours: bool = True) -> RegionSeen:
    """A cluster of servers whose ingress stands behind a Service."""
    seen = metal("us")
    own = replace(seen.expected.members[0], announced=ANNOUNCED)
    records = [
        Record(f"s{a}", "us.example.com", "AAAA" if ":" in a else "A", a, True,
               "edgefleet us node load-balancer")
        for a in own.announced
    ]  # fmt: skip
    found = addresses([own], {}, Unasked("nobody is asked"))
    assert found == (frozenset(ANNOUNCED), frozenset(ANNOUNCED), "")
    cluster = known(seen.cluster)
    assert cluster
    return replace(
        seen,
        expected=replace(seen.expected, members=(own,), by_neighbours=by_neighbours),
        cluster=replace(cluster, service=service),
        records=tuple(records),
        addresses=found[0],
        due=found[1],
    )


def test_a_load_balancers_addresses_have_the_records_of_its_nodes():
    seen = behind(ServiceFacts(ANNOUNCED, ("us-1",)))
    assert look(Seen((seen,))).findings == ()
    (lacks,) = look(Seen((replace(seen, records=seen.records[:1]),))).findings  # pyright: ignore
    assert (lacks.fault, lacks.came) == (
        "record-missing",
        "no record for the ingress's Service (2001:db8:8::80)",
    )


SERVICES: Mapping[str, tuple[ServiceFacts | None, str]] = {
    "service-address: none there": (None, "it isn't there; the file says 203.0.113.80"),
    "service-address: not given": (
        ServiceFacts((), complaint='Failed to allocate IP for "traefik/traefik": in use'),
        "no address (Failed to allocate IP",
    ),
    "service-address: others": (ServiceFacts(("203.0.113.81",), ("us-1",)), "203.0.113.81; the"),
    "service-unannounced": (
        ServiceFacts(ANNOUNCED, (), 'the interfaces specified by LB IP "203.0.113.80" doesn\'t'),
        "no node that answers ARP or NDP for 203.0.113.80, 2001:db8:8::80: the interfaces",
    ),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_nobody_finds(name: str):
    service, said = SERVICES[name]
    (finding,) = look(Seen((behind(service),))).findings
    assert (finding.rung, finding.fault) == ("process", name.partition(":")[0])
    assert said in finding.came
    # By BGP nobody is asked who tells the routers.
    others = look(Seen((behind(service, by_neighbours=False),))).findings
    assert len(others) == (finding.fault != "service-unannounced")


def test_clusters_of_one_region_share_its_records():
    seen = region("us")
    other = "203.0.113.50"
    us_2 = Member("us-2", "Pulumi.us-2.yaml", "edgefleet-us-2")
    twin = Record("r-2", "us.example.com", "A", other, True, "edgefleet us-2 node id-7")
    shared = replace(
        seen,
        expected=replace(seen.expected, members=(*seen.expected.members, us_2)),
        records=(*(known(seen.records) or ()), twin),
        addresses=(seen.addresses or frozenset()) | {other},
    )
    assert look(Seen((shared,))).findings == ()
    gone = replace(shared, addresses=seen.addresses)
    assert look(Seen((gone,))).findings == (), "that is for us-2 to tell"
