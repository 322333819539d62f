"""Before the ingress: who announces its addresses, where the nodes' own aren't taken."""

from collections.abc import Mapping, Sequence

import pulumi

from components.cluster.contract import ServingNode
from components.load_balancer.kube_vip import KubeVip
from components.load_balancer.metallb import MetalLb
from components.load_balancer.metallb_objects import IMAGES
from components.load_balancer.metallb_options import Peer
from infra.pins.images import pinned
from infra.settings.load_balancer import MetalLbSettings
from infra.stacks.region.site import Site


def announce(site: Site, *closed: pulumi.Resource) -> list[pulumi.Resource]:
    """What a Service's addresses come from; nothing, where the stack file names none."""
    balancer = site.stack.settings.load_balancer
    if balancer is None:
        return []
    found: list[pulumi.Resource] = []
    if balancer.metallb:
        found.append(_metallb(site, balancer.metallb, *closed))
    vip = balancer.kube_vip
    if vip and vip.services:
        args = vip.options(0)
        image = pinned(vip.image, site.digests)
        kubeconfig = site.cluster.kubeconfig
        found.append(
            KubeVip(
                site.name("kube-vip"),
                {**args, "image": image, "kubeconfig": kubeconfig},
                site.after(*closed),
            )
        )
    return found


def _metallb(site: Site, settings: MetalLbSettings, *closed: pulumi.Resource) -> MetalLb:
    peers = [_with_password(site, peer.password, peer.options()) for peer in settings.peers]
    return MetalLb(
        site.name("metallb"),
        {
            "pools": settings.pool_options(),
            "peers": peers,
            "mode": settings.mode,
            "taken": site.cluster.nodes.apply(_taken),
            "images": _images(site.digests),
            "kubeconfig": site.cluster.kubeconfig,
        },
        site.after(*closed),
    )


def _taken(nodes: Sequence[ServingNode]) -> dict[str, str]:
    return {
        address: f"node {node['name']}"
        for node in nodes
        for address in (node["ipv4"], node["ipv6"])
        if address
    }


def _with_password(site: Site, wanted: bool, peer: Peer) -> Peer:
    return {**peer, "password": site.secret("bgpPassword")} if wanted else peer


def _images(digests: Mapping[str, str]) -> dict[str, str]:
    return {part: pinned(image, digests) for part, image in IMAGES.items()}
