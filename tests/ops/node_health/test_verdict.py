"""What the checks' lines mean."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.doctor.finding import Finding, Note
from ops.node_health.verdict import Context, judge, percentile

CONTEXT = Context("us-metal")
WELL: dict[str, dict[str, Any]] = {
    "etcd": {"running": True, "fsync": {"0.001": 100, "0.002": 100, "+Inf": 100}},
    "disk": {"directory": "/var/lib/etcd", "p99_ms": 2.1},
    "steal": {"seconds": 10, "percent": 0.5},
    "mtu": {
        "device": "eth0", "card": 1500, "pods": 1450, "tunnels": {"vxlan.calico": 1450},
        "peers": {"10.9.0.6": "whole"},
    },
    "limits": {
        "device": "eth0", "ring": 512, "ring_most": 4096, "missed": 1, "fifo": 0,
        "packets": 100000, "conntrack": 800, "conntrack_most": 1000, "conntrack_dropped": 0,
    },
    "ipvs": {"kernel": "6.1.0", "missing": []},
}  # fmt: skip


def line(check: str, **other: Any) -> dict[str, Any]:
    return {"check": check, **WELL[check], **other}


def test_a_well_node_has_no_finding():
    assert judge(CONTEXT, {"n1": [line(check) for check in WELL]}) == []


@pytest.mark.parametrize(
    ("check", "other", "fault", "came"),
    [
        ("etcd", {"fsync": {"0.008": 90, "0.016": 100, "+Inf": 100}}, "etcd-disk", "15.2 ms"),
        ("disk", {"p99_ms": 12.386}, "etcd-disk", "up to 12.4 ms, above 10 ms"),
        ("steal", {"percent": 0.51}, "cpu-steal", "0.51 % stolen, above 0.5 %"),
        ("mtu", {"card": 1400}, "mtu-mismatch", "vxlan.calico has 1450 bytes, eth0 1400"),
        ("mtu", {"pods": 1500}, "mtu-mismatch", "up to 1500 bytes, what carries them 1450"),
        ("mtu", {"tunnels": {}, "pods": 1501}, "mtu-mismatch", "what carries them 1500"),
        ("mtu", {"peers": {"10.9.0.6": "cut"}}, "mtu-mismatch", "doesn't reach 10.9.0.6"),
        ("limits", {"conntrack": 801}, "conntrack-full", "801 of 1000 connections, 80 %"),
        ("limits", {"conntrack_dropped": 3}, "conntrack-dropped", "3 packets dropped"),
        ("limits", {"missed": 90, "fifo": 10}, "nic-ring", "its ring holds 512, and could 4096"),
        ("limits", {"missed": 100, "ring": None}, "nic-ring", "eth0 lost 100 of 100100 packets"),
    ],
)
def test_each_fault_is_found(check: str, other: dict[str, Any], fault: str, came: str):
    (found,) = judge(CONTEXT, {"n1": [line(check, **other)]})
    assert isinstance(found, Finding)
    assert (found.stack, found.subject, found.fault) == ("us-metal", "n1", fault)
    assert came in found.came


def test_modules_matter_to_whom_they_serve():
    lines = {"n1": [line("ipvs", missing=["ip_vs_lc"])]}
    assert judge(CONTEXT, lines) == []
    (found,) = judge(Context("us-metal", ipvs=True), lines)
    assert isinstance(found, Finding)
    assert found.came == "there is no ip_vs_lc"


def test_cards_that_differ_are_told_once():
    lines = {"n1": [line("mtu")], "n2": [line("mtu", card=9000)], "n3": [line("mtu")]}
    (found,) = judge(CONTEXT, lines)
    assert isinstance(found, Finding)
    assert (found.fault, found.came) == ("mtu-differs", "n1 1500, n2 9000, n3 1500")


@pytest.mark.parametrize(
    ("check", "other", "told"),
    [
        ("etcd", {"fsync": {}}, "its metrics aren't at 127.0.0.1:2381; --fio measures"),
        ("disk", {"skipped": "fio is not installed there"}, "n1: disk: fio is not installed"),
        ("mtu", {"peers": {"10.9.0.6": "silent"}}, "no answer to a ping from 10.9.0.6"),
    ],
)
def test_what_was_not_measured_is_noted(check: str, other: dict[str, Any], told: str):
    (note,) = judge(CONTEXT, {"n1": [line(check, **other)]})
    assert isinstance(note, Note)
    assert told in note.text
    assert judge(CONTEXT, {"n1": [line("etcd", running=False, fsync={})]}) == []


@pytest.mark.parametrize(
    ("buckets", "quantile"),
    [
        ({}, None),
        ({"0.001": 0, "+Inf": 0}, None),
        ({"0.001": 50, "0.002": 100, "+Inf": 100}, 0.00198),
        ({"0.001": 10, "+Inf": 100}, 0.001),
    ],
)
def test_the_percentile_is_prometheus_own(buckets: dict[str, int], quantile: float | None):
    assert percentile(buckets) == pytest.approx(quantile)


@given(st.lists(st.sampled_from([0.001, 0.002, 0.004, 0.008, 0.016]), min_size=1))
def test_it_lies_in_the_bucket_of_the_value_itself(values: list[float]):
    bounds = [0.001, 0.002, 0.004, 0.008, 0.016]
    buckets: dict[str, Any] = {str(b): sum(v <= b for v in values) for b in bounds}
    buckets["+Inf"] = len(values)
    itself = sorted(values)[max(0, -(-99 * len(values) // 100) - 1)]
    found = percentile(buckets)
    assert found is not None
    assert itself / 2 - 0.0005 - 1e-9 <= found <= itself + 1e-9
