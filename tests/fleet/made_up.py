"""Values that a setting might have: what its type tells, and examples of what none does."""

import random
import types
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, Tag

OTHER_LOCATIONS = ("ord", "fra", "lhr")

EXAMPLES: Mapping[str, tuple[Any, ...]] = {
    "Autoscale.max": (3, 4),
    "Autoscale.min": (1, 2),
    "Bgp.as_number": (64512, 64520),
    "Calico.api_endpoint": ("192.0.2.1:6443", "kubeconfig"),
    "Calico.autodetection": ("interface=enp1s0", "first-found"),
    "Calico.init_containers": ({"install-cni": "cni"}, {"mount-bpffs": "node"}),
    "Calico.ip_pool": ("default-ipv4-ippool",),
    "Calico.mtu": (1400, 1450),
    "Calico.nic_mtu": (1450, 9000),
    "Calico.registry": ("registry.example.com/calico",),
    "Calico.version": ("v3.32.1", "v3.32.0"),
    "Cluster.label": ("vke-one", "vke-two"),
    "Cluster.location": OTHER_LOCATIONS,
    "Cluster.version": ("v1.36.1+1", "v1.36.2+1"),
    "Edge.default_regions": (["us"], ["eu", "us"], ["apac", "eu"]),
    "Edge.health_path": ("/up", "/ready"),
    "Edge.hosts{}": ("example.com", "api.example.com"),
    "Edge.script": ("edge-site", "edge-other"),
    "ExtraRule.port": (51820, 9100, 30080),
    "ExtraRule.reason": ("WireGuard", "monitoring host"),
    "ExtraRule.sources": (["192.0.2.0/24"], ["198.51.100.7/32", "2001:db8::/48"]),
    "Firewall.admin_cidrs": (["198.51.100.0/24"], ["203.0.114.0/24", "2001:db8:1::/48"]),
    "Firewall.node_networks": (["10.0.0.0/8"], ["10.0.0.0/9", "10.128.0.0/9"]),
    "Firewall.pod_networks": (["10.244.0.0/15"], ["10.240.0.0/12"]),
    "FleetValues.account_id": ("0123456789abcdef0123456789abcdef",),
    "FleetValues.domain": ("example.org",),
    "FleetValues.hosts": (
        ["example.com"], ["example.com", "www.example.com"],
        ["api.example.com", "example.com", "shop.example.com"],
    ),
    "FleetValues.stacks": (["staging"],),
    "FleetValues.zone_id": ("fedcba9876543210fedcba9876543210",),
    "Host.health_path": ("/well", "/ready?deep=1"),
    "Host.regions": (["us"], ["eu", "us"]),
    "Ingress.config": ({"proxy-read-timeout": "30s"}, {"client-max-body-size": "8m"}),
    "Ingress.image": ("nginx/nginx-ingress:5.6.0", "nginx/nginx-ingress:5.5.0"),
    "Ingress.ingress_class": ("edge", "public"),
    "Ingress.namespace": ("edge-ingress", "web"),
    "IngressCanary.image": ("nginx/nginx-ingress:5.5.0", "nginx/nginx-ingress:5.6.1"),
    "IngressCanary.node_selector": ({"for": "canary"}, {"for": "batch"}),
    "IngressResources.limits": ({"memory": "1Gi"}, {}),
    "IngressResources.requests": ({"cpu": "200m", "memory": "256Mi"}, {"cpu": "1"}),
    "IngressTuning.keepalive_timeout": (30, 75),
    "IngressTuning.shutdown_timeout": (10, 60),
    "IngressTuning.upstream_keepalive": (32, 256),
    "IngressTuning.worker_connections": (4096, 65536),
    "IngressTuning.worker_processes": ("auto", 2, 4),
    "KubeProxy.scheduler": ("lc", "rr"),
    "Metrics.dataset": ("edge_site", "edge_other"),
    "NetworkPolicy.ingress_selector": ("has(for)", "for == 'edge'"),
    "NetworkPolicy.namespaces": (["default"], ["default", "shop"], ["shop"]),
    "NetworkPolicy.order": (500.0, 2000.0),
    "NetworkPolicy.sources": (["10.0.0.0/8"], ["192.0.2.0/24", "10.244.0.0/16"]),
    "NetworkPolicy.tier": ("security", "edge"),
    "Pages.error": ("page.html",),
    "Pages.maintenance": ("page.html", "missing.html"),
    "Pages.unavailable": ("page.html",),
    "Pages.unclear": ("page.html",),
    "Peer.address": ("10.0.0.1", "10.0.0.2:1790"),
    "Peer.as_number": (64601, 64602),
    "Peer.name": ("tor-1", "tor-2"),
    "Peer.node_selector": ("rack == 'a'", "rack == 'b'"),
    "Pool.label": ("batch", "databases", "web"),
    "Pool.labels": ({"for": "canary"}, {"for": "batch", "tier": "1"}, {}),
    "Pool.nodes": (1, 2, 3, 4),
    "Pool.plan": ("vc2-2c-4gb", "vc2-4c-8gb"),
    "Reflectors.cluster_id": ("244.0.0.2", "244.0.0.3"),
    "Reflectors.nodes": (["node-1"], ["node-1", "node-2"]),
    "Region.region": ("west", "eu"),
    "Routing.countries": (["US", "CA"], ["DE"], []),
    "Taint.key": ("dedicated",),
    "Taint.value": ("batch", ""),
    "Tls.secret": ("shop/tls", "site-tls"),
    "Vpc.cidr": ("10.20.0.0/20", "10.21.0.0/20"),
}  # fmt: skip
"""Values of what no type tells, by model and field; keys of a mapping under FIELD{}."""


class NoGenerator(Exception):
    """A field whose values nobody can make up."""


def section_in(annotation: Any) -> tuple[str, type[BaseModel]] | None:
    """How a field holds a section, and which."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "", annotation
    kind = {list: "[]", dict: "{}"}.get(get_origin(annotation), "")  # type: ignore[arg-type]
    found = next((f for each in get_args(annotation) if (f := section_in(each))), None)
    return (kind or found[0], found[1]) if found else None


def value(rng: random.Random, model: type[BaseModel], name: str) -> Any:
    """A value that the field might have. Raises NoGenerator."""
    field, known_as = model.model_fields[name], f"{model.__name__}.{name}"
    if known_as in EXAMPLES:
        return deepcopy(rng.choice(EXAMPLES[known_as]))
    made = _of(rng, field.annotation, field.metadata, known_as)
    if made is None:
        raise NoGenerator(f"{known_as}: its type doesn't say what it may be: a line in EXAMPLES")
    return made()


def _of(
    rng: random.Random, annotation: Any, metadata: list[Any], known_as: str
) -> Callable[[], Any] | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _of(rng, arguments[0], [*metadata, *arguments[1:]], known_as)
    if origin in (Union, types.UnionType):
        # A cluster of another kind is refused, whatever it says: test_region_refusals.py.
        arguments = arguments[:1] if any(map(_is_tagged, arguments)) else arguments
        made = [m for each in arguments if (m := _of(rng, each, metadata, known_as))]
        return rng.choice(made) if made else None
    if origin is Literal:
        return lambda: rng.choice(arguments)
    if annotation is bool:
        return lambda: rng.random() < 0.5
    if annotation in (int, float):
        return _number(rng, annotation, metadata)
    if origin is list and (item := _of(rng, arguments[0], [], known_as)):
        return lambda: _without_twins([item() for _ in range(rng.randint(1, 2))])
    if origin is dict and (item := _of(rng, arguments[1], [], known_as)):
        keys = EXAMPLES.get(f"{known_as}{{}}")
        return (lambda: {rng.choice(keys): item()}) if keys else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return lambda: section(rng, annotation)
    return None


def _is_tagged(annotation: Any) -> bool:
    return any(isinstance(each, Tag) for each in get_args(annotation))


def _number(rng: random.Random, kind: type, metadata: list[Any]) -> Callable[[], Any] | None:
    bounds: dict[type, Any] = {Ge: None, Le: None}
    for each in metadata:
        bounds |= {Ge: each.ge} if isinstance(each, Ge) else {}
        bounds |= {Le: each.le} if isinstance(each, Le) else {}
    low, high = bounds[Ge], bounds[Le]
    if low is None:
        return None
    top = low + 100 if high is None else high
    return lambda: rng.randint(low, top) if kind is int else round(rng.uniform(low, top), 2)


def _without_twins(items: list[Any]) -> list[Any]:
    return [item for number, item in enumerate(items) if item not in items[:number]]


def section(rng: random.Random, model: type[BaseModel]) -> dict[str, Any]:
    """A section with what it must have, and some of what it may."""
    return {
        field.alias or name: value(rng, model, name)
        for name, field in model.model_fields.items()
        if field.is_required() or rng.random() < 0.2
    }
