"""What a state's export says of an `up` that was cut off."""

from typing import Any

from ops.live.outputs import cut_off

URN = "urn:pulumi:us::edgefleet::cloudflare:index/dnsRecord:DnsRecord::us-dns-a"


def export(operation: str, *resources: str) -> dict[str, Any]:
    return {
        "resources": [{"urn": urn} for urn in resources],
        "pending_operations": [{"type": operation, "resource": {"urn": URN}}],
    }


def test_what_was_begun_and_is_not_there_is_cut_off():
    assert [*cut_off(export("creating"))] == ["creating us-dns-a"]
    assert [*cut_off({"resources": [{"urn": URN}]})] == []


def test_what_a_later_up_made_is_not():
    """The engine goes on naming it until a refresh."""
    assert [*cut_off(export("creating", URN))] == []


def test_what_was_being_changed_or_deleted_is_there_and_cut_off():
    assert [*cut_off(export("updating", URN))] == ["updating us-dns-a"]
    assert [*cut_off(export("deleting", URN))] == ["deleting us-dns-a"]
