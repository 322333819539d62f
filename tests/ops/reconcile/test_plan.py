"""What may happen when nobody looks, and what may not."""

from collections.abc import Sequence
from typing import Any

import pytest

from ops.approval.steps import PreviewError
from ops.reconcile.plan import plan

BASE = "urn:pulumi:us::edgefleet::"
STACK = f"{BASE}pulumi:pulumi:Stack::edgefleet-us"
DNS = f"{BASE}edgefleet:index:RegionalDns$cloudflare:index/dnsRecord:DnsRecord::us-dns-"
TLS = f"{BASE}edgefleet:index:OriginTls$"
CLOCK = f"{TLS}tls:index/selfSignedCert:SelfSignedCert::us-tls-clock"
REQUEST = f"{TLS}tls:index/certRequest:CertRequest::us-tls-request"
CERTIFICATE = f"{TLS}cloudflare:index/originCaCertificate:OriginCaCertificate::us-tls-certificate"
SECRET = f"{BASE}edgefleet:index:IngressDaemonSet$kubernetes:core/v1:Secret::us-ingress-certificate"
HOST = f"{BASE}cloudflare:index/dnsRecord:DnsRecord::edge-dns-example.com-a"
POOL = f"{BASE}edgefleet:index:VkeCluster$vultr:index/kubernetesNodePools:X::us-pool-big"


def record(op: str, node: str, address: str, **more: Any) -> dict[str, Any]:
    kind = "aaaa" if ":" in address else "a"
    side = "oldState" if op == "delete" else "newState"
    return {"op": op, "urn": f"{DNS}{node}-{kind}", side: {"inputs": {"content": address}}, **more}


def anew(urn: str, reason: str) -> dict[str, Any]:
    return {"op": "replace", "urn": urn, "diffReasons": [reason], "replaceReasons": [reason]}


def secret(*reasons: str) -> dict[str, Any]:
    return {"op": "update", "urn": SECRET, "diffReasons": reasons or ["data", "stringData"]}


RENEWAL = [
    anew(CLOCK, "readyForRenewal"),
    anew(REQUEST, "subject"),
    anew(CERTIFICATE, "csr"),
    secret(),
]


def preview(*made: dict[str, Any], known: Sequence[str] = ()) -> dict[str, Any]:
    nodes = {address: {"ipv4": address, "ipv6": None} for address in known}
    stack = {"op": "same", "urn": STACK, "oldState": {"outputs": {"nodes": nodes}}}
    return {"steps": [stack, *made], "changeSummary": {}}


RECYCLED = [
    record("create", "new", "192.0.2.9"),
    record("create", "new", "2001:db8::9"),
    record("delete", "old", "192.0.2.1"),
    record("delete", "old", "2001:db8::1"),
]
KNOWN = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_nothing_is_nothing():
    found = plan(preview(known=KNOWN), withdrawn=False, certificates=True)
    assert (found.targets, found.refused, found.certificate) == ((), (), False)


def test_just_the_records_of_a_recycled_node_are_touched():
    found = plan(preview(*RECYCLED, known=KNOWN), withdrawn=False, certificates=False)
    assert found.refused == ()
    assert found.came == {"new": ["192.0.2.9", "2001:db8::9"]}
    assert found.went == {"old": ["192.0.2.1", "2001:db8::1"]}
    assert set(found.targets) == {step["urn"] for step in RECYCLED}


def test_what_an_answer_that_was_lost_made_is_taken_over():
    step = record("import", "new", "192.0.2.9")
    found = plan(preview(step, known=KNOWN), withdrawn=False, certificates=False)
    assert found.came == {"new": ["192.0.2.9"]}


def test_a_node_with_another_address_keeps_its_record():
    step = record("update", "old", "192.0.2.9", diffReasons=["content"])
    found = plan(preview(step, known=KNOWN), withdrawn=False, certificates=False)
    assert found.moved == {"old": ["192.0.2.9"]}
    assert found.targets == (step["urn"],)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"op": "create", "urn": POOL}, "us-pool-big (X) create"),
        ({"op": "update", "urn": POOL}, "us-pool-big (X) update"),
        ({"op": "delete", "urn": HOST}, "edge-dns-example.com-a (DnsRecord) delete"),
        (
            record("update", "old", "192.0.2.1", diffReasons=["comment", "content"]),
            "us-dns-old-a (DnsRecord) update",
        ),
        (record("replace", "old", "192.0.2.1"), "us-dns-old-a (DnsRecord) replace"),
        # A Secret that no renewal changes; one for another reason.
        (secret(), "us-ingress-certificate (Secret) update"),
        # Other hosts, another time: the files' doing.
        (anew(REQUEST, "dnsNames"), "us-tls-request (CertRequest) replace"),
        (anew(CLOCK, "validityPeriodHours"), "us-tls-clock (SelfSignedCert) replace"),
    ],
)
@pytest.mark.parametrize("certificates", [True, False])
def test_anything_else_stops_all_of_it(step: dict[str, Any], told: str, certificates: bool):
    found = plan(preview(*RECYCLED, step, known=KNOWN), False, certificates)
    assert found.targets == ()
    (why,) = found.refused
    assert why.startswith(f"more than records of nodes would change: {told}. Somebody has to look")


def test_not_all_that_stops_it_is_named():
    steps = [{"op": "create", "urn": f"{POOL}{number}"} for number in range(8)]
    (why,) = plan(preview(*steps), withdrawn=False, certificates=False).refused
    assert why.count("us-pool-big") == 5
    assert "and 3 more" in why


def test_a_drain_of_the_files_is_carried_out_by_up_alone():
    found = plan(preview(*RECYCLED[2:], known=KNOWN), withdrawn=True, certificates=False)
    assert found.targets == ()
    assert "drains this cluster" in found.refused[0]
    assert plan(preview(known=KNOWN), withdrawn=True, certificates=False).refused == ()


def test_nodes_that_were_there_are_published_by_up_alone():
    """The drain was lifted in the files."""
    steps = [record("create", node[-1], node) for node in KNOWN]
    found = plan(preview(*steps, known=KNOWN), withdrawn=False, certificates=False)
    assert found.targets == ()
    assert "publishing a cluster" in found.refused[0]


@pytest.mark.parametrize("known", [[], ["192.0.2.8"]])
def test_a_cluster_that_lost_all_its_nodes_gets_records_of_those_that_come(known: list[str]):
    step = record("create", "new", "192.0.2.9")
    assert plan(preview(step, known=known), False, False).targets == (step["urn"],)


def test_the_rest_of_an_up_that_was_cut_off_is_made():
    step = record("create", "c", KNOWN[2])
    assert plan(preview(step, known=KNOWN), False, False).targets == (step["urn"],)


def test_a_certificate_that_is_due_is_renewed_where_that_is_asked_for():
    found = plan(preview(*RECYCLED, *RENEWAL, known=KNOWN), False, certificates=False)
    assert found.certificate
    assert found.refused == ()
    assert not {CLOCK, REQUEST, CERTIFICATE, SECRET} & {*found.targets}
    found = plan(preview(*RECYCLED, *RENEWAL, known=KNOWN), False, certificates=True)
    assert {CLOCK, REQUEST, CERTIFICATE, SECRET} < {*found.targets}


def test_a_renewal_that_was_cut_off_goes_on():
    left = {"op": "delete-replaced", "urn": CERTIFICATE}
    found = plan(preview(left, secret(), known=KNOWN), False, certificates=True)
    assert (found.refused, {*found.targets}) == ((), {CERTIFICATE, SECRET})


def test_a_secret_that_changes_otherwise_is_not_part_of_it():
    found = plan(preview(*RENEWAL[:3], secret("data", "metadata"), known=KNOWN), False, True)
    assert found.targets == ()


def test_a_preview_that_failed_is_no_plan():
    said = {"severity": "error", "message": "error: the records of 3 of 3 nodes would go"}
    with pytest.raises(PreviewError, match="the records of 3 of 3 nodes would go"):
        plan({"diagnostics": [said]}, withdrawn=False, certificates=False)
