"""Addresses to announce: one family each, nobody's twice."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.load_balancer.addresses import (
    LoadBalancerMistake,
    address_range,
    refuse_outside,
    refuse_overlaps,
    refuse_taken,
)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("192.0.2.8/29", "192.0.2.8", "192.0.2.15"),
        ("192.0.2.8 - 192.0.2.9", "192.0.2.8", "192.0.2.9"),
        ("2001:db8::10/127", "2001:db8::10", "2001:db8::11"),
        ("2001:db8::1-2001:db8::1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_range_is_what_it_says(text: str, first: str, last: str):
    found = address_range(text)
    assert (str(found.first), str(found.last)) == (first, last)
    assert found.holds(ip_address(first))
    assert found.holds(ip_address(last))
    assert not found.holds(found.last + 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.0.2.9/29", "host bits"),
        ("192.0.2.9", "a single address is 192.0.2.9/32"),
        ("192.0.2.9-2001:db8::1", "begins in IPv4 and ends in the other"),
        ("192.0.2.9-192.0.2.1", "ends before it begins"),
        ("web", "must be a network like"),
    ],
)
def test_what_is_none_is_refused(text: str, why: str):
    with pytest.raises(LoadBalancerMistake, match=why):
        address_range(text)


_ADDRESSES = st.integers(0, 40)


@given(_ADDRESSES, _ADDRESSES, _ADDRESSES, _ADDRESSES, st.sampled_from(["192.0.2.", "2001:db8::"]))
def test_two_pools_overlap_exactly_when_an_address_is_in_both(
    a: int, b: int, c: int, d: int, prefix: str
):
    one, two = sorted((a, b)), sorted((c, d))
    pools = {
        name: [f"{ip_address(prefix + '0') + low}-{ip_address(prefix + '0') + high}"]
        for name, (low, high) in (("pool one", one), ("pool two", two))
    }
    both = set(range(one[0], one[1] + 1)) & set(range(two[0], two[1] + 1))
    if not both:
        refuse_overlaps(pools)
        return
    with pytest.raises(LoadBalancerMistake, match=r"pool two: .* of pool one"):
        refuse_overlaps(pools)


def test_families_never_overlap():
    refuse_overlaps({"one": ["0.0.0.0/0", "::/0"]})


def test_other_clusters_and_machines_keep_theirs():
    with pytest.raises(LoadBalancerMistake, match=r"of Pulumi\.eu\.yaml, pool web: two clusters"):
        refuse_overlaps({"web": ["192.0.2.0/28"]}, {"Pulumi.eu.yaml, pool web": ["192.0.2.8/29"]})
    with pytest.raises(LoadBalancerMistake, match=r"holds 192\.0\.2\.9, which is node n1's own"):
        refuse_taken({"web": ["192.0.2.8/29"]}, {"192.0.2.9": "node n1"})
    refuse_taken({"web": ["192.0.2.8/29"]}, {"192.0.2.16": "node n1", "2001:db8::9": "node n1"})


def test_an_address_that_no_pool_has_is_announced_by_nobody():
    refuse_outside({"web": ["192.0.2.8/29"]}, ["192.0.2.8"])
    with pytest.raises(LoadBalancerMistake, match=r"192\.0\.2\.16 is in none of the pools \(web\)"):
        refuse_outside({"web": ["192.0.2.8/29"]}, ["192.0.2.16"])
