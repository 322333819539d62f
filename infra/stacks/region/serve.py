"""What listens on the nodes, and what may talk to what behind it."""

import pulumi

from components.cluster.drained_pool import POOL_LABEL
from components.dataplane.host_endpoints import HostEndpoints
from components.dataplane.network_baseline import NetworkBaseline
from components.ingress.contract import Certificate, LoadBalancerService
from components.ingress.controller import ControllerArgs
from components.ingress.nginx.daemon_set import IngressDaemonSet
from components.ingress.origin_tls import OriginTls
from components.ingress.placing import Canary
from components.ingress.traefik.daemon_set import TraefikIngress
from components.ingress.trust import trust_args
from components.load_balancer import kube_vip, metallb_objects
from infra.pins.images import pinned
from infra.settings.ingress import TraefikIngress as TraefikSettings
from infra.stacks.origin_trust import header_values, origin_trust
from infra.stacks.region.site import Site


def serve(site: Site, *closed: pulumi.Resource) -> IngressDaemonSet | TraefikIngress:
    ingress = site.stack.settings.ingress
    if isinstance(ingress, TraefikSettings):
        return TraefikIngress(
            site.name("ingress"),
            {
                **_given(site),
                "tuning": ingress.tuning.options(),
                "response_headers": ingress.response_headers,
                "gateway": ingress.gateway,
                "nginx_class": ingress.nginx_class,
            },
            site.after(*closed),
        )
    return IngressDaemonSet(
        site.name("ingress"),
        {**_given(site), "tuning": ingress.tuning.options(), "config": ingress.config},
        site.after(*closed),
    )


def _given(site: Site) -> ControllerArgs:
    """What every controller is given."""
    settings = site.stack.settings
    ingress = settings.ingress
    pools = site.stack.vke.pools if site.stack.vke else []
    return {
        "image": pinned(ingress.image, site.digests),
        "trusted_proxies": site.ranges.cidrs,
        "region": site.stack.region,
        "default_certificate": None if settings.tls.secret else _certificate(site),
        "default_tls_secret": settings.tls.secret,
        "trust": trust_args(origin_trust(site.stack, site.inventory)),
        "origin_secrets": header_values(site.stack, site.secret),
        "status_address": site.stack.hostname,
        "not_on": {POOL_LABEL: [p.label for p in pools if not p.serves]},
        "service": _service(site),
        "kubeconfig": site.cluster.kubeconfig,
        "namespace": ingress.namespace,
        "ingress_class": ingress.ingress_class,
        "resources": ingress.resources.options(),
        "canary": _canary(site),
        "custom_resources": ingress.custom_resources,
        "default_class": ingress.default_class,
        "metrics": ingress.metrics,
    }


def _service(site: Site) -> LoadBalancerService | None:
    settings = site.stack.settings
    if settings.load_balancer is None or settings.load_balancer.ingress is None:
        return None
    addresses, by = settings.load_balancer.ingress.said, settings.load_balancer
    return {
        "addresses": addresses,
        "annotations": (metallb_objects if by.metallb else kube_vip).annotations(addresses),
        "sources": site.ranges.cidrs,
        "ports": settings.firewall.web_ports,
    }


def isolate_namespaces(
    site: Site, dataplane: pulumi.Resource, endpoints: HostEndpoints | None
) -> None:
    policy = site.stack.settings.network_policy
    if not policy.namespaces:
        return
    NetworkBaseline(
        site.name("policy"),
        {
            "namespaces": policy.namespaces,
            "variant": policy.variant,
            "sources": policy.sources,
            "ingress_selector": policy.ingress_selector,
            "order": policy.order,
            "tier": policy.tier,
        },
        site.after(dataplane, *([endpoints] if endpoints and policy.by_host_endpoints else [])),
    )


def _certificate(site: Site) -> Certificate:
    stack = site.stack
    origin_tls = OriginTls(
        site.name("tls"),
        {
            "hostnames": [*stack.fleet.hosts, stack.hostname],
            "validity_days": stack.settings.tls.validity_days,
        },
    )
    pulumi.export("originCertificateExpires", origin_tls.expires_on)
    return {"certificate": origin_tls.certificate, "key": origin_tls.private_key}


def _canary(site: Site) -> Canary | None:
    canary = site.stack.settings.ingress.canary
    if canary is None:
        return None
    return {
        "image": pinned(canary.image, site.digests),
        "node_selector": canary.node_selector,
    }
