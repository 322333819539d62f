"""Before the ingress: who announces its addresses, where the nodes' own aren't taken."""

import json
from collections.abc import Mapping, Sequence

import pulumi

from components.cluster.contract import ServingNode
from components.ingress.nginx.pod import APP as NGINX
from components.ingress.traefik.pod import APP as TRAEFIK
from components.load_balancer.announced import Announced
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


def announced_by_neighbours(site: Site, ingress: pulumi.Resource) -> list[pulumi.Resource]:
    """What the records wait for: a node that answers ARP and NDP, where that is how it is found.
    By BGP nobody but the router could say."""
    settings = site.stack.settings
    balancer = settings.load_balancer
    if balancer is None or balancer.metallb is None or not balancer.by_neighbours:
        return []
    said = [balancer.ingress and balancer.ingress.said, balancer.metallb.pool_options()]
    return [
        Announced(
            site.name("announced"),
            {
                "kubeconfig": site.cluster.kubeconfig,
                "namespace": settings.ingress.namespace,
                "service": NGINX if settings.ingress.controller == "nginx" else TRAEFIK,
                "generation": json.dumps(said, sort_keys=True),
            },
            site.after(ingress),
        )
    ]


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
