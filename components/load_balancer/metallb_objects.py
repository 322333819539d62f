"""What MetalLB is given: its chart's values, and its own kinds of objects."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from ..server_side.ownership import LABEL
from .metallb_options import BgpMode, Peer, Pool

CHART, REPOSITORY = "metallb", "https://metallb.github.io/metallb"
VERSION = "0.16.2"
NAMESPACE = "metallb-system"
ADDRESSES = "metallb.io/loadBalancerIPs"
"""Annotation of a Service: the addresses that it asks for."""
LABELS = dict([LABEL])
IMAGES = {
    part: f"quay.io/metallb/{part}:v{VERSION}" for part in ("controller", "speaker")
}  # fmt: skip


class _Image(TypedDict):
    repository: str
    tag: str


class _Part(TypedDict):
    image: _Image


class _Frr(TypedDict):
    enabled: bool


class _Speaker(_Part):
    frr: _Frr
    ignoreExcludeLB: bool


class _Definitions(TypedDict):
    enabled: bool
    validationFailurePolicy: str


class Values(TypedDict):
    """The chart's values that are ours; the others are as the chart has them."""

    crds: _Definitions
    controller: _Part
    speaker: _Speaker
    frrk8s: _Frr
    loadBalancerClass: NotRequired[str]


def values(
    mode: BgpMode, speaks_bgp: bool, images: Mapping[str, str], load_balancer_class: str | None
) -> Values:
    """The chart's values. FRR runs where somebody is told by BGP, and where it is FRR who tells.

    The validating webhook lets pass what it can't be asked about: it isn't there yet when the
    first objects come, and a controller that is down would keep `pulumi destroy` from ending. What
    it would refuse was refused by `metallb_options.refuse`, and MetalLB asks again when it loads.
    """
    found: Values = {
        "crds": {"enabled": True, "validationFailurePolicy": "Ignore"},
        "controller": {"image": _image(images["controller"])},
        "speaker": {
            "image": _image(images["speaker"]),
            "frr": {"enabled": False},
            "ignoreExcludeLB": False,
        },
        "frrk8s": {"enabled": speaks_bgp and mode == "frr-k8s"},
    }
    if load_balancer_class:
        found["loadBalancerClass"] = load_balancer_class
    return found


def _image(image: str) -> _Image:
    """Also name:tag@digest: the chart puts a colon between the two, and reads no more into it."""
    head, _, digest = image.partition("@")
    repository, _, tag = head.rpartition(":")
    return {"repository": repository, "tag": f"{tag}@{digest}" if digest else tag}


def annotations(addresses: Sequence[str]) -> dict[str, str]:
    """By which a Service asks for these addresses."""
    return {ADDRESSES: ",".join(addresses)}


def objects(pools: Sequence[Pool], peers: Sequence[Peer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """MetalLB's objects, by the name of their resource; peers without their passwords.

    A pool comes after what announces it: MetalLB gives addresses as soon as there is a pool.
    """
    for peer in peers:
        name = peer["name"]
        if (bfd := peer.get("bfd")) is not None:
            spec = {
                key: bfd.get(said)
                for key, said in (
                    ("transmitInterval", "transmit"),
                    ("receiveInterval", "receive"),
                    ("detectMultiplier", "multiplier"),
                )
                if said in bfd
            }
            yield f"bfd-{name}", _object("v1beta1", "BFDProfile", name, spec)
        yield f"peer-{name}", _object("v1beta2", "BGPPeer", name, _peer(peer))
    for pool in pools:
        name = pool["name"]
        if (l2 := pool.get("l2")) is not None:
            spec = {"ipAddressPools": [name], **_nodes(l2.get("node_selector"))}
            if interfaces := l2.get("interfaces"):
                spec["interfaces"] = list(interfaces)
            yield f"l2-{name}", _object("v1beta1", "L2Advertisement", name, spec)
        if (bgp := pool.get("bgp")) is not None:
            spec = {"ipAddressPools": [name], **_nodes(bgp.get("node_selector"))}
            for key in ("peers", "communities"):
                if said := bgp.get(key):
                    spec[key] = list(said)
            yield f"bgp-{name}", _object("v1beta1", "BGPAdvertisement", name, spec)
        spec = {
            "addresses": list(pool["addresses"]),
            "autoAssign": pool.get("auto_assign", False),
        }
        yield f"pool-{name}", _object("v1beta1", "IPAddressPool", name, spec)


def password_secret(peer: Peer) -> str:
    """Name of the Secret with the peer's password."""
    return f"bgp-{peer['name']}"


def _peer(peer: Peer) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "myASN": peer["my_asn"],
        "peerASN": peer["asn"],
        "peerAddress": peer["address"],
        "peerPort": peer.get("port", 179),
        "ebgpMultiHop": peer.get("multi_hop", False),
    }
    if seconds := peer.get("hold_seconds"):
        spec["holdTime"] = f"{seconds}s"
    if peer.get("bfd") is not None:
        spec["bfdProfile"] = peer["name"]
    if peer.get("password") is not None:
        spec["passwordSecret"] = {"name": password_secret(peer), "namespace": NAMESPACE}
    return {**spec, **_nodes(peer.get("node_selector"))}


def _nodes(labels: Mapping[str, str] | None) -> dict[str, Any]:
    return {"nodeSelectors": [{"matchLabels": dict(labels)}]} if labels else {}


def _object(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"metallb.io/{version}",
        "kind": kind,
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": LABELS},
        "spec": dict(spec),
    }
