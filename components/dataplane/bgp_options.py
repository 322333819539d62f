"""Who tells whom where pods are, by BGP: options in, Calico's objects out.

Sources: docs/facts/calico-ingress.md §2; the fields are those of Calico's BGPConfiguration and
BGPPeer (v3.32.1).
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Literal, NotRequired, TypedDict

from .calico_options import CalicoMistake

AS_NUMBER = 64512
"""Calico's default for all nodes: the first of the private ones."""
REFLECTOR_LABEL = "edgefleet.dev/route-reflector"
REFLECTOR_ANNOTATION = "projectcalico.org/RouteReflectorClusterID"
"""Where calico-node reads it, with Kubernetes as its store (libcalico-go, resources/node.go)."""
CLUSTER_ID = "244.0.0.1"
PASSWORDS = "edgefleet-bgp-passwords"
SourceAddress = Literal["UseNodeIP", "None"]


class BgpPeer(TypedDict):
    """A router that nodes speak BGP with."""

    name: str
    """A DNS label of at most 42 characters, unique. By another one it is another object."""
    address: str
    """An IP address, or with a port: 192.0.2.1:1790, [2001:db8::1]:1790."""
    as_number: int
    """The router's, 1 to 4294967295."""
    node_selector: NotRequired[str | None]
    """Which nodes speak to it, in Calico's words ("rack == 'a'"). Default: all."""
    source_address: NotRequired[SourceAddress]
    """Where sessions come from: the node's own address, or, with "None", what the kernel takes.
    Default: UseNodeIP."""
    password: NotRequired[bool]
    """There is one for it among the component's `passwords`. Default: false."""


class RouteReflectors(TypedDict):
    """Nodes that pass on what the others tell them."""

    nodes: Sequence[str]
    """Their names; two, so that one may fail."""
    cluster_id: NotRequired[str]
    """Of all of them, in IPv4's form. Default: 244.0.0.1."""


class BgpOptions(TypedDict):
    """Who tells whom where pods are. All of it changes in place."""

    mesh: NotRequired[bool]
    """Every node with every other one, up to about a hundred nodes. Default: true, as is Calico's.
    """
    as_number: NotRequired[int]
    """Of the nodes, 1 to 4294967295. Default: 64512."""
    route_reflectors: NotRequired[RouteReflectors | None]
    """In place of the mesh. Default: none."""
    peers: NotRequired[Sequence[BgpPeer]]
    """Routers, instead of the mesh or beside it. Default: none."""


def refuse_bgp(options: BgpOptions) -> None:
    """Raise CalicoMistake for options that don't go together."""
    for mistake in _mistakes(options):
        raise CalicoMistake(mistake)


def _mistakes(options: BgpOptions) -> list[str]:
    peers, reflectors = options.get("peers") or [], options.get("route_reflectors")
    mesh = options.get("mesh", True)
    found: list[str] = []
    if not mesh and not peers and not reflectors:
        found.append(
            "mesh false without peers and route_reflectors: no node would learn where another's "
            "pods are. Name a peer or reflectors, or leave the mesh on"
        )
    if mesh and reflectors:
        found.append(
            "route_reflectors beside the mesh: every node would tell every other one what the "
            "reflectors tell it, too. Say mesh: false"
        )
    if reflectors:
        if not reflectors["nodes"]:
            found.append("route_reflectors.nodes is empty: name two nodes, so that one may fail")
        cluster_id = reflectors.get("cluster_id", CLUSTER_ID)
        if not _address(cluster_id, 4):
            found.append(f"route_reflectors.cluster_id {cluster_id!r}: in IPv4's form, 244.0.0.1")
    found += _as_number("as_number", options.get("as_number", AS_NUMBER))
    names = [peer["name"] for peer in peers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        found.append(f"two peers are called {', '.join(twice)}: names must differ")
    for peer in peers:
        where = f"peers.{peer['name']}"
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?", peer["name"]):
            found.append(f"{where}: a name is a DNS label of at most 42 characters")
        if peer_host(peer) is None:
            found.append(
                f"{where}.address {peer['address']!r}: an IP address, or with a port like "
                "192.0.2.1:1790 or [2001:db8::1]:1790"
            )
        found += _as_number(f"{where}.as_number", peer["as_number"])
    return found


def _as_number(where: str, number: int) -> list[str]:
    # RFC 6793; the CRDs say int32, and a real API server stores what is above all the same.
    if 1 <= number <= 2**32 - 1:
        return []
    return [f"{where} {number}: from 1 to 4294967295"]


def _address(text: str, version: int | None = None) -> bool:
    try:
        return ip_address(text).version == version or version is None
    except ValueError:
        return False


def peer_host(peer: BgpPeer) -> str | None:
    """A peer's IP address without its port; None where it has no such form."""
    match = re.fullmatch(
        r"\[(?P<v6>[0-9A-Fa-f:]+)\]:\d{1,5}|(?P<v4>[0-9.]+):\d{1,5}", peer["address"]
    )
    host = (match["v6"] or match["v4"]) if match else peer["address"]
    return host if _address(host) else None


def bgp_configuration(options: BgpOptions) -> dict[str, Any]:
    """Fields of the BGPConfiguration `default`, which holds for every node."""
    return {
        "nodeToNodeMeshEnabled": options.get("mesh", True),
        "asNumber": options.get("as_number", AS_NUMBER),
    }


def bgp_peers(options: BgpOptions) -> dict[str, dict[str, Any]]:
    """Specs of the BGPPeers, by the name of the object."""
    specs: dict[str, dict[str, Any]] = {}
    if options.get("route_reflectors"):
        specs["edgefleet-route-reflectors"] = {
            "nodeSelector": "all()",
            "peerSelector": f"{REFLECTOR_LABEL} == 'true'",
        }
    for peer in options.get("peers") or []:
        spec: dict[str, Any] = {"peerIP": peer["address"], "asNumber": peer["as_number"]}
        if selector := peer.get("node_selector"):
            spec["nodeSelector"] = selector
        if source := peer.get("source_address"):
            spec["sourceAddress"] = source
        if peer.get("password"):
            spec["password"] = {"secretKeyRef": {"name": PASSWORDS, "key": peer["name"]}}
        specs[f"edgefleet-{peer['name']}"] = spec
    return specs


def reflector_fields(reflectors: RouteReflectors) -> dict[str, Any]:
    """What a route reflector's Node has besides."""
    return {
        "metadata": {
            "labels": {REFLECTOR_LABEL: "true"},
            "annotations": {REFLECTOR_ANNOTATION: reflectors.get("cluster_id", CLUSTER_ID)},
        }
    }


def password_readers(service_account: str = "calico-node") -> dict[str, Mapping[str, Any]]:
    """The Role by which calico-node reads the passwords, and whom it is bound to: it looks for
    Secrets in its own namespace (confd, secret_watcher.go), and Calico's manifest gives it none."""
    rights = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [PASSWORDS],
        "verbs": ["get", "list", "watch"],
    }
    group = "rbac.authorization.k8s.io"
    metadata = {"name": PASSWORDS, "namespace": "kube-system"}
    subject = {"kind": "ServiceAccount", "name": service_account, "namespace": "kube-system"}
    return {
        "role": {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [rights],
        },
        "role-binding": {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": PASSWORDS},
            "subjects": [subject],
        },
    }


def speakers(options: BgpOptions | None) -> tuple[bool, list[str]]:
    """Whether nodes speak BGP with each other, and the addresses of routers that do with them.

    Without options it is Calico's own default, the mesh."""
    if options is None:
        return True, []
    between = bool(options.get("mesh", True) or options.get("route_reflectors"))
    hosts = [host for peer in options.get("peers") or [] if (host := peer_host(peer))]
    return between, [f"{host}/{32 if _address(host, 4) else 128}" for host in hosts]
