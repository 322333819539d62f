"""Records follow nodes."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from components.dns.regional import records, to_follow
from tests.projects import copy_project, region, write_stack
from tests.rendered import live_nodes, of_type, rendered, serving_nodes

RECORD = "cloudflare:index/dnsRecord:DnsRecord"


def test_an_a_and_an_aaaa_for_each_node():
    assert records("us", serving_nodes(1)) == {
        "node-1-a": {
            "type": "A",
            "content": "192.0.2.1",
            "comment": "edgefleet us node node-1",
        },
        "node-1-aaaa": {
            "type": "AAAA",
            "content": "2001:db8::1",
            "comment": "edgefleet us node node-1",
        },
    }


@given(st.sets(st.integers(1, 250), min_size=1), st.data())
def test_replacing_a_node_changes_its_own_records_only(numbers: set[int], data: st.DataObject):
    nodes = [node for i, node in enumerate(serving_nodes(250), 1) if i in numbers]
    gone = data.draw(st.sampled_from(nodes))
    new = replace(gone, id="node-new", ipv4="198.51.100.1", ipv6="2001:db8:1::1")
    before = records("us", nodes)
    after = records("us", [new if node is gone else node for node in nodes])
    assert before.keys() - after.keys() == {f"{gone.id}-a", f"{gone.id}-aaaa"}
    assert after.keys() - before.keys() == {"node-new-a", "node-new-aaaa"}
    assert all(before[key] == after[key] for key in before.keys() & after.keys())


def test_a_node_without_ipv6_has_an_a_record_alone():
    node = replace(serving_nodes(1)[0], ipv6="")
    assert [r["type"] for r in records("us", [node]).values()] == ["A"]


@given(st.permutations(serving_nodes(5)))
def test_the_order_of_nodes_does_not_matter(nodes: list):
    assert list(records("us", nodes).items()) == list(records("us", serving_nodes(5)).items())


def test_two_clusters_of_a_region_never_share_a_record():
    assert records("us", serving_nodes(2)).keys() == records("us-2", serving_nodes(2)).keys()
    contents = [r["comment"] for r in records("us-2", serving_nodes(2)).values()]
    assert all("us-2" in comment for comment in contents)


def test_what_follows():
    assert to_follow("us.example.com", 3, 3) is None
    assert to_follow("us.example.com", 4, 3) is None
    assert to_follow("us.example.com", 2, 3) == (
        "us.example.com: 2 records follow (A and AAAA for 1 node) once Vultr has made the nodes"
    )


def test_records_are_proxied_and_wait_for_ingress_and_firewall(tmp_path: Path):
    project = copy_project(tmp_path)
    found = of_type(rendered(project, "us", live_nodes(2)), RECORD)
    assert len(found) == 4
    record = found["us-dns-node-1-a"]
    assert record.inputs == {
        "zoneId": "809846d39026662b50a8a0b0dd159151",
        "name": "us.example.com",
        "type": "A",
        "content": "192.0.2.1",
        "comment": "edgefleet us node node-1",
        "proxied": True,
        "ttl": 1,
    }
    needed = " ".join(record.options["dependsOn"])
    assert "us-firewall-cloudflare-443-v4" in needed
    assert "us-ingress-controller" in needed


def test_a_cluster_that_drains_beside_another_has_no_records(tmp_path: Path):
    project = copy_project(tmp_path)
    write_stack(project, "us", {**region(), "drain": True})
    assert len(of_type(rendered(project, "us", live_nodes(2)), RECORD)) == 4
    write_stack(project, "us-2", region(location="ord"))
    assert of_type(rendered(project, "us", live_nodes(2)), RECORD) == {}
    assert len(of_type(rendered(project, "us-2", live_nodes(2)), RECORD)) == 4
