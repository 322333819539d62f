"""`PodRoutes`: whether the cluster can route pods' addresses as they are, before it has to.

Without an overlay a packet between pods has pods' addresses on the wire: each node must know which
node has them, and every router between two nodes, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_interface
from typing import Any, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..json_object import object_at, objects_at
from ..server_side.api import CLUSTER_LEVEL, Refused, ServerObject
from ..server_side.precondition import Precondition
from ..server_side.resource import ClusterResource
from .bgp_options import BgpOptions

_CALICO = "/apis/crd.projectcalico.org/v1"
_ADDRESS = "projectcalico.org/IPv4Address"


class PodRoutesArgs(TypedDict):
    """A cluster, and the routes that it needs."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    bare: bool
    """Pods' packets go unencapsulated between nodes."""
    bgp: NotRequired[BgpOptions | None]
    """Who is to tell whom where pods are, asked about anew when it changes. Default: as Calico has
    it."""


class Seen(TypedDict):
    """What a cluster says about its routes.

    `backend` is `calico_backend` of calico-config, `bgp` the spec of the BGPConfiguration
    "default", `peers` how many BGPPeers there are, `felix` the spec of felix's default
    configuration.
    """

    nodes: Sequence[Mapping[str, Any]]
    backend: str | None
    bgp: Mapping[str, Any]
    peers: int
    felix: Mapping[str, Any]


def obstacles(seen: Seen, bare: bool, bgp: BgpOptions | None) -> list[str]:
    """Why it can't be so, as sentences; none where nothing speaks against it."""
    found: list[str] = []
    by_felix = seen["felix"].get("programClusterRoutes") == "Enabled"
    runs_bird = seen["backend"] in (None, "bird")
    if not runs_bird and (bgp is not None or (bare and not by_felix)):
        why = "BGP needs BIRD" if bgp else "without an overlay nodes learn routes to pods by BGP"
        found.append(
            f"{why}, and calico-node runs none: calico_backend of ConfigMap kube-system/"
            f"calico-config is {seen['backend']!r}. Make it bird, with -bird-live and -bird-ready "
            "in the probes of calico-node, as Calico's own manifest has it"
        )
    names = {node["metadata"]["name"] for node in seen["nodes"]}
    wanted = ((bgp or {}).get("route_reflectors") or {"nodes": []})["nodes"]
    if missing := sorted(set(wanted) - names):
        found.append(
            f"routeReflectors.nodes: there is no node {', '.join(missing)}; there are "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    if not bare:
        return found
    meshed = seen["bgp"].get("nodeToNodeMeshEnabled", True)
    if bgp is None and runs_bird and not meshed and not seen["peers"] and not by_felix:
        found.append(
            "nobody tells a node where another's pods are: the BGPConfiguration default has the "
            "mesh off, and there is no BGPPeer. Say calico.bgp"
        )
    routed = bool((bgp or {}).get("peers")) or bool(bgp is None and seen["peers"])
    networks = networks_of(seen["nodes"])
    if len(networks) > 1 and not routed:
        told = "; ".join(f"{net}: {', '.join(nodes[:3])}" for net, nodes in networks.items())
        found.append(
            f"the nodes are in {len(networks)} networks ({told}), and routers between these don't "
            "know pods' addresses. Name the routers in calico.bgp.peers, or say encapsulation: "
            "crossSubnet, which tunnels between networks alone"
        )
    return found


def networks_of(nodes: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Names of nodes by the IPv4 network that calico-node found its node in."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        meta = object_at(node, "metadata")
        if address := object_at(meta, "annotations").get(_ADDRESS):
            found.setdefault(str(ip_interface(address).network), []).append(meta["name"])
    return dict(sorted(found.items()))


class _Provider(Precondition):
    key = "routes"
    subject = "the cluster's routes"
    spared = "Nothing was changed"

    def name(self, props: Mapping[str, Any]) -> str:
        return "pod-routes"

    def problem(self, props: Mapping[str, Any], *, patient: bool) -> str | None:
        server = ServerObject({**CLUSTER_LEVEL, **props}, patient=patient)
        config = _get(server, "/api/v1/namespaces/kube-system/configmaps/calico-config")
        seen: Seen = {
            "nodes": server.items("/api/v1/nodes"),
            "backend": object_at(config, "data").get("calico_backend"),
            "bgp": object_at(_get(server, f"{_CALICO}/bgpconfigurations/default"), "spec"),
            "peers": len(objects_at(_get(server, f"{_CALICO}/bgppeers"), "items")),
            "felix": object_at(_get(server, f"{_CALICO}/felixconfigurations/default"), "spec"),
        }
        found = obstacles(seen, props["bare"], props.get("bgp"))
        return f"pods' addresses would lead nowhere: {'; '.join(found)}" if found else None


def _get(server: ServerObject, path: str) -> Mapping[str, Any]:
    """An object, empty where there is none."""
    try:
        return server.request("GET", path)
    except Refused as refused:
        if refused.status == 404:
            return {"items": []}
        raise


class PodRoutes(ClusterResource, name="PodRoutes", provider=_Provider):
    """Is there when nothing speaks against the routes that the options need; asks again when these
    change, and in the preview where the cluster is there."""

    def __init__(
        self, name: str, args: PodRoutesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("PodRoutes", name, PodRoutesArgs, args)
        bgp = args.get("bgp")
        said = [f"bare={args['bare']}"]
        if bgp is not None:
            nodes = (bgp.get("route_reflectors") or {"nodes": []})["nodes"]
            peers = [peer["name"] for peer in bgp.get("peers") or []]
            said += [f"mesh={bgp.get('mesh', True)}", *nodes, "/", *peers]
        props = {**args, "generation": " ".join(said)}
        super().__init__(name, props, opts)
