"""Clusters beside each other: which cell is odd, why, and what settles it."""

import re
from dataclasses import replace
from typing import Any

import pytest

from ops.compare.matrix import Matrix, matrix
from ops.compare.text import html, text
from ops.live.asking import Unasked, known
from ops.live.seen import RegionSeen
from tests.ops.live.healthy import changed, metal, region, without


def three(eu: RegionSeen) -> Matrix:
    return matrix([region("apac"), eu, region("us")])


def odd(found: Matrix) -> list[tuple[str, str]]:
    cells = [
        (stack, row.trait)
        for row in found.rows
        for stack, cell in zip(found.stacks, row.cells, strict=True)
        if cell.mark == "odd"
    ]
    assert sorted(cells) == sorted((d.stack, d.trait) for d in found.differences)
    return cells


def cluster(**changes: Any) -> RegionSeen:
    return changed(region("eu"), "cluster", **changes)


def calico(**changes: Any) -> RegionSeen:
    found = known(region("eu").cluster)
    assert found
    assert found.calico
    env = {k: v for k, v in {**found.calico.env, **changes}.items() if v is not None}
    return cluster(calico=replace(found.calico, env=env))


def test_clusters_that_are_alike():
    found = three(region("eu"))
    assert odd(found) == []
    assert not found.unseen
    shown = text(found)
    assert "No difference" in shown
    assert max(map(len, shown.splitlines())) <= 60


def test_the_outage_of_the_field_report_is_one_cell():
    made = changed(calico(FELIX_BPFENABLED=None), "vultr", created="2024-10-02T00:00:00+00:00")
    found = three(made)
    assert odd(found) == [("eu", "FELIX_BPFENABLED")]
    (difference,) = found.differences
    assert (difference.value, difference.right) == ("(none)", "true")
    assert "made on 2024-10-02, before VKE made clusters with eBPF" in difference.why
    assert difference.do == "pulumi up -s eu"
    assert "!   eu    (none)" in text(found)


def rule(**said: Any) -> dict[str, Any]:
    base = {"id": 99, "ip_type": "v4", "protocol": "tcp", "port": "443", "subnet": "0.0.0.0"}
    return {**base, "subnet_size": 0, "source": "0.0.0.0/0", **said}


def opened() -> RegionSeen:
    vultr = known(region("eu").vultr)
    assert vultr
    return changed(region("eu"), "vultr", rules=(*vultr.rules, rule()))


def rebuilt(**changes: Any) -> RegionSeen:
    vultr = known(region("eu").vultr)
    assert vultr
    assert vultr.cluster
    return changed(region("eu"), "vultr", cluster=replace(vultr.cluster, **changes))


def kernel() -> RegionSeen:
    found = known(region("eu").cluster)
    assert found
    return cluster(nodes=tuple(replace(node, kernel="5.15.0-1") for node in found.nodes))


def ingress(**changes: Any) -> RegionSeen:
    found = known(region("eu").cluster)
    assert found
    return cluster(ingress=(replace(found.ingress[0], **changes),))


@pytest.mark.parametrize(
    ("eu", "trait", "value"),
    [
        (calico(FELIX_BPFENABLED="false"), "FELIX_BPFENABLED", "false"),
        (calico(FELIX_BPFLOGLEVEL="debug"), "FELIX_BPFLOGLEVEL", "debug"),
        (cluster(fell_back=("edge-1",)), "felix runs", "fell back on edge-1"),
        (cluster(corefile=".:53 {\n}\n"), "CoreDNS", "asks nobody"),
        (cluster(corefile=None), "CoreDNS", "no Corefile"),
        (cluster(kube_proxy=None), "kube-proxy", "absent"),
        (cluster(pool={"ipipMode": "Always", "vxlanMode": "Never"}), "address pool", "IPIP Always"),
        (cluster(veth_mtu=1500), "pods' MTU", "1500"),
        (cluster(config={"keepalive": "1"}), "ingress config", "1 keys"),
        (cluster(node_firewall=None), "node firewall", "(none)"),
        (ingress(images={"nginx-ingress": "nginx:latest"}), "ingress", "nginx:latest"),
        (ingress(ready=2), "ingress pods", "2 of 3 ready"),
        (kernel(), "kernel", "5.15.0-1"),
        (opened(), "cloud firewall", "also tcp 443 from 0.0.0.0/0"),
        (rebuilt(version="v1.36.2+1"), "Kubernetes", "v1.36.2+1"),
        (
            changed(region("eu"), records=without(known(region("eu").records) or ())),
            "records",
            "5 right",
        ),
    ],
)
def test_the_odd_one_out(eu: RegionSeen, trait: str, value: str):
    found = three(eu)
    assert odd(found) == [("eu", trait)]
    (difference,) = found.differences
    assert value in difference.value
    assert difference.why
    assert difference.do


def test_two_that_differ_are_both_marked_where_no_file_says_who_is_right():
    found = matrix([kernel(), region("us")])
    assert odd(found) == [("eu", "kernel"), ("us", "kernel")]
    assert found.differences[0].right == "the others have 6.8.0-85-generic (us)"


def test_what_the_files_mean_is_no_finding():
    eu = rebuilt(version="v1.36.2+1")
    found = three(replace(eu, expected=replace(eu.expected, version="v1.36.2+1")))
    assert odd(found) == []
    marks = {row.trait: [cell.mark for cell in row.cells] for row in found.rows}
    assert marks["Kubernetes"] == ["meant"] * 3
    assert "~   eu    v1.36.2+1" in text(found)


def test_a_cluster_that_cannot_be_asked_blames_nobody():
    eu = changed(region("eu"), cluster=Unasked("the API server does not answer"))
    found = three(eu)
    assert odd(found) == []
    assert found.unseen == ("eu: its API server: the API server does not answer",)
    assert "Couldn't be asked:" in text(found)
    assert "the API server does not answer" in html(found, "now")


def test_a_page_needs_nothing_else():
    page = html(three(calico(FELIX_BPFENABLED="<b>")), "2026-11-21")
    assert '<td class="odd">&lt;b&gt;</td>' in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)


def test_twenty_clusters_and_one():
    many = [region("us") for _ in range(19)]
    found = matrix([*many, calico(FELIX_BPFENABLED=None)])
    assert odd(found) == [("eu", "FELIX_BPFENABLED")]
    assert odd(matrix([region("us")])) == []
    assert odd(matrix([calico(FELIX_BPFENABLED=None)])) == [("eu", "FELIX_BPFENABLED")]


def test_what_comes_from_a_clusters_maker_is_no_finding_beside_another_makers():
    found = matrix([region("us"), metal(), metal("us-metal-2")])
    assert odd(found) == []
    assert found.unseen == ()
    marks = {row.trait: [cell.mark for cell in row.cells] for row in found.rows}
    for trait in ("Kubernetes", "kernel", "node's OS", "CoreDNS", "cloud firewall"):
        assert marks[trait] == ["meant"] * 3, trait
    assert marks["ingress"] == marks["node firewall"] == ["same"] * 3
    shown = text(found)
    assert "~   us-metal    (not Vultr's)" in shown
    assert "No difference but those that the files or the clusters' makers mean (~)." in shown
    assert shown.splitlines()[-3:] == [
        "  us: VKE",
        "  us-metal: kubeadm or the like",
        "  us-metal-2: kubeadm or the like",
    ]


def old() -> RegionSeen:
    found = known(metal().cluster)
    assert found
    nodes = tuple(replace(node, kernel="5.15.0-1") for node in found.nodes)
    return changed(metal("old"), "cluster", nodes=nodes)


def test_two_of_one_maker_are_held_against_each_other():
    found = matrix([region("us"), metal(), metal("us-metal-2"), old()])
    assert odd(found) == [("old", "kernel")]
    assert found.differences[0].right == "6.12.48"
    two = matrix([region("us"), metal(), old()])
    assert two.differences[0].right == "the others have 5.15.0-1 (old)"
    k3s = changed(old(), "cluster", version="v1.36.2+k3s1")
    assert odd(matrix([region("us"), metal(), k3s])) == []


def test_what_is_ours_is_odd_whoever_made_the_cluster():
    bare = changed(metal(), "cluster", node_firewall=None)
    assert odd(matrix([region("us"), bare])) == [("us-metal", "node firewall")]
    gone = changed(metal(), records=without(known(metal().records) or (), 6))
    assert odd(matrix([region("us"), gone])) == [("us-metal", "records")]
