"""Before the ingress: who announces its addresses, where the nodes' own aren't taken."""

from collections.abc import Mapping

import pulumi

from components.load_balancer.metallb import MetalLb
from components.load_balancer.metallb_objects import IMAGES
from components.load_balancer.metallb_options import Peer
from infra.pins.images import pinned
from infra.stacks.region.site import Site


def announce(site: Site, *closed: pulumi.Resource) -> list[pulumi.Resource]:
    """What a Service's addresses come from; nothing, where the stack file names none."""
    balancer = site.stack.settings.load_balancer
    if balancer is None:
        return []
    settings = balancer.metallb
    return [
        MetalLb(
            site.name("metallb"),
            {
                "pools": settings.pool_options(),
                "peers": [
                    _with_password(site, peer.password, peer.options()) for peer in settings.peers
                ],
                "mode": settings.mode,
                "taken": site.cluster.nodes.apply(
                    lambda nodes: {
                        address: f"node {node.name}"
                        for node in nodes
                        for address in (node.ipv4, node.ipv6)
                        if address
                    }
                ),
                "images": _images(site.digests),
                "kubeconfig": site.cluster.kubeconfig,
            },
            site.after(*closed),
        )
    ]


def _with_password(site: Site, wanted: bool, peer: Peer) -> Peer:
    return {**peer, "password": site.secret("bgpPassword")} if wanted else peer


def _images(digests: Mapping[str, str]) -> dict[str, str]:
    return {part: pinned(image, digests) for part, image in IMAGES.items()}
