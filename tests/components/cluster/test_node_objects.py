"""Node objects as kubelets and people write them, and who of them gets records."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster.existing import loss
from components.cluster.node_objects import (
    ANNOTATIONS,
    EXCLUDED,
    Addresses,
    NodeMistake,
    nodes_seen,
    public_address,
)

CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "NoSchedule")
CORDONED = ("node.kubernetes.io/unschedulable", "NoSchedule")
V4, V6 = "45.76.1.10", "2001:19f0:1:a::a"


def node(
    name: str = "n1",
    *addresses: tuple[str, str],
    ready: str = "True",
    taints: tuple[tuple[str, str], ...] = (),
    labels: tuple[str, ...] = (),
    **annotations: str,
) -> dict[str, Any]:
    known = {"ipv4": ANNOTATIONS[4], "ipv6": ANNOTATIONS[6]}
    return {
        "metadata": {
            "name": name,
            "labels": dict.fromkeys(labels, ""),
            "annotations": {known[key]: value for key, value in annotations.items()},
        },
        "spec": {"taints": [{"key": key, "effect": effect} for key, effect in taints]},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": type_, "address": address} for type_, address in addresses],
        },
    }


EXTERNAL = (("InternalIP", "10.0.0.5"), ("ExternalIP", V4), ("ExternalIP", V6))


@pytest.mark.parametrize(
    ("obj", "said", "addresses"),
    [
        (node("n1", *EXTERNAL), {}, (V4, V6)),
        # kubelet lists a private one first, as k3s does with --node-external-ip of both kinds.
        (node("n1", ("ExternalIP", "10.1.2.3"), *EXTERNAL), {}, (V4, V6)),
        (node("n1", *EXTERNAL, ipv4="45.76.1.11"), {}, ("45.76.1.11", V6)),
        (
            node("n1", *EXTERNAL, ipv4="45.76.1.11"),
            {"ipv4": "45.76.1.12", "ipv6": "2001:19F0:1:B:0:0:0:0"},
            ("45.76.1.12", "2001:19f0:1:b::"),
        ),
    ],
)
def test_the_nearest_word_counts(obj: dict[str, Any], said: Addresses, addresses: tuple[str, str]):
    (found,) = nodes_seen([obj], {"n1": said} if said else {}).serving
    assert (found.id, found.name, found.ipv4, found.ipv6) == ("n1", "n1", *addresses)


@pytest.mark.parametrize(
    ("obj", "why"),
    [
        (node("n1", *EXTERNAL, ready="False"), "not ready"),
        (node("n1", *EXTERNAL, ready="Unknown"), "not ready"),
        (node("n1", ("ExternalIP", V6)), "no public IPv4 address: annotate it edgefleet.dev/ipv4"),
        (node("n1", ("InternalIP", V4), ("ExternalIP", V6)), "no public IPv4 address"),
        (node("n1", ("ExternalIP", V4)), "no public IPv6 address: annotate it edgefleet.dev/ipv6"),
    ],
)
def test_who_cannot_serve_is_named_with_the_reason(obj: dict[str, Any], why: str):
    seen = nodes_seen([obj], {})
    assert seen.serving == ()
    (told,) = seen.unable
    assert told.startswith(f"n1 ({why}")


def test_ipv6_is_left_out_where_nodes_may_be_without():
    seen = nodes_seen(
        [node("n1", ("ExternalIP", V4)), node("n2", *EXTERNAL, ipv4=V4[:-1])], {}, False
    )
    assert [(each.ipv4, each.ipv6) for each in seen.serving] == [(V4, ""), (V4[:-1], "")]


@pytest.mark.parametrize(
    ("obj", "apart"),
    [
        (node("n1", *EXTERNAL, labels=(EXCLUDED,)), True),
        (
            node("n1", *EXTERNAL, taints=(CONTROL_PLANE,)),
            True,
        ),
        (node("n1", *EXTERNAL, taints=(("gpu", "NoExecute"),)), True),
        # Cordoned: DaemonSets' pods stay there, and go on serving.
        (
            node("n1", *EXTERNAL, taints=(CORDONED,)),
            False,
        ),
        (node("n1", *EXTERNAL, taints=(("gpu", "PreferNoSchedule"),)), False),
    ],
)
def test_nodes_that_are_no_way_in_are_nobodys_fault(obj: dict[str, Any], apart: bool):
    seen = nodes_seen([obj], {})
    assert seen.unable == ()
    assert (seen.apart == ("n1",)) is apart
    assert bool(seen.serving) is not apart


@pytest.mark.parametrize(
    ("nodes", "said", "sentence"),
    [
        ([node()], {"n2": {"ipv4": V4}}, "n2: the cluster has no such node; it has n1"),
        ([node(ipv4="10.0.0.5")], {}, "n1: edgefleet.dev/ipv4: '10.0.0.5' is no public IPv4"),
        ([node()], {"n1": {"ipv4": V6}}, f"n1: ipv4: '{V6}' is no public IPv4 address"),
        ([node("n1", *EXTERNAL), node("n2", *EXTERNAL)], {}, f"n2: {V4} is also the address of n1"),
    ],
)  # fmt: skip
def test_mistakes_have_sentences(nodes: list[Any], said: dict[str, Addresses], sentence: str):
    with pytest.raises(NodeMistake) as caught:
        nodes_seen(nodes, said)
    assert str(caught.value).startswith(sentence)


@given(st.one_of(st.ip_addresses(), st.ip_addresses(network="10.0.0.0/8"), st.text()))
def test_a_private_address_is_never_published(value: Any):
    for family in (4, 6):
        found = public_address(str(value), family)
        assert not found or (value.is_global and value.version == family)
    seen = nodes_seen([node("n1", ("ExternalIP", str(value)))], {}, ipv6=False)
    assert all(not each.ipv4.startswith(("10.", "192.168.", "127.")) for each in seen.serving)


@pytest.mark.parametrize(
    ("ready", "there", "published", "stops"),
    [
        ("123", "123", "", False),
        ("123", "123", "123", False),
        ("23", "123", "123", False),
        ("3", "123", "123", True),
        # Taken out of the cluster: they are meant to go.
        ("3", "3", "123", False),
        # An API server that lists nobody isn't believed.
        ("", "", "123", True),
        ("", "", "", False),
    ],
)
def test_most_records_go_only_for_a_reason(ready: str, there: str, published: str, stops: bool):
    nodes = [
        node(name, ("ExternalIP", f"45.76.1.{name}"), ready=str(name in ready)) for name in there
    ]
    text = loss("us", nodes_seen(nodes, {}, ipv6=False), there, published)
    assert (text is not None) is stops


def test_the_brake_names_who_would_go_and_why():
    nodes = [node(name, ("ExternalIP", f"45.76.1.{name}"), ready="Unknown") for name in "12"]
    text = loss("us", nodes_seen(nodes, {}, ipv6=False), "12", "12")
    assert text == (
        "cluster us: the records of 2 of 2 nodes would go, but nobody took these out of the "
        "cluster: 1, 2. 1 (not ready), 2 (not ready)"
    )


def test_a_node_that_is_set_apart_is_meant_to_go():
    nodes = [node(name, ("ExternalIP", f"45.76.1.{name}"), labels=(EXCLUDED,)) for name in "12"]
    assert loss("us", nodes_seen(nodes, {}, ipv6=False), "12", "12") is None
