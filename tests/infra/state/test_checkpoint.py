"""Reading the stack's own state."""

import pytest

from infra.state import checkpoint as module
from infra.state.checkpoint import StackState


def test_resources_are_told_apart_by_type_and_name():
    urn = "urn:pulumi:us::edgefleet::edgefleet:index:VkeCluster$vultr:index/vpc:Vpc::us-vpc"
    state = StackState(
        {
            urn: {"id": "v1"},
            "urn:pulumi:us::edgefleet::vultr:index/vpc:Vpc::lone": {"id": "v2"},
            "urn:pulumi:us::edgefleet::cloudflare:index/dnsRecord:DnsRecord::a::b": {"id": "r"},
        }
    )
    assert state.of_type("vultr:index/vpc:Vpc") == {"us-vpc": {"id": "v1"}, "lone": {"id": "v2"}}
    assert state.of_type("cloudflare:index/dnsRecord:DnsRecord") == {"a::b": {"id": "r"}}
    assert state.of_type("nothing") == {}


def answers(*given: object):
    left = list(given)

    def ask() -> object:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_a_checkpoint_that_was_half_written_is_read_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_PAUSES", (0, 0))
    half = Exception("invoke failed: failed to load checkpoint: EOF")
    assert module._whole(answers(half, half, {"outputs": {}})) == {"outputs": {}}
    with pytest.raises(Exception, match="load checkpoint"):
        module._whole(answers(half, half, half, {}))
    with pytest.raises(Exception, match="no such stack"):
        module._whole(answers(Exception("no such stack"), {}))
