"""What programs in any language get from this package's plugin, and what each thing is called.

A list of its own: what stands here is held to for users that no type checker of ours sees.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from inspect import get_annotations
from typing import Any, get_args, get_origin

import pulumi

PACKAGE = "edgefleet"
COMPONENTS: Mapping[str, str] = {
    "CalicoDataplane": "dataplane.calico",
    "CloudFirewall": "firewall.cloud",
    "EdgeRouter": "edge.router",
    "IngressDaemonSet": "ingress.nginx.daemon_set",
    "NodeFirewall": "firewall.node",
    "OriginTls": "ingress.origin_tls",
    "RegionalDns": "dns.regional",
    "VkeCluster": "cluster.vke",
}
"""Components by name, and the module of each below this package."""
RESOURCES: Mapping[str, str] = {"ServerSidePatch": "server_side.patch"}
"""Resources of their own, which have no children."""
FUNCTIONS: Mapping[str, str] = {
    "cloudflare_networks": "firewall.cloudflare_ranges",
    "node_rules": "firewall.rule_data",
}
"""Functions of plain values."""
RESULTS: Mapping[str, str] = {"cloudflare_networks": "networks", "node_rules": "rules"}
"""Elsewhere a function gives an object: what its list is called there."""
SECRETS = frozenset(
    {
        "Certificate.key",
        "kubeconfig",
        "origin_secret",
        "origin_secrets",
        "private_key",
        "status_token",
    }
)
"""Fields that are secrets, in arguments and outputs: wherever they are, or of one type."""


def published(name: str) -> Any:
    """The class or function of a name in the lists above. Raises KeyError."""
    module = {**COMPONENTS, **RESOURCES, **FUNCTIONS}[name]
    return getattr(import_module(f"..{module}", __package__), name)


def arguments(name: str) -> Any:
    """The TypedDict that a component or resource is given."""
    module = {**COMPONENTS, **RESOURCES}[name]
    return getattr(import_module(f"..{module}", __package__), f"{name}Args")


def outputs(name: str) -> dict[str, Any]:
    """Types of a component's or resource's outputs, by the names of its attributes."""
    return {
        key: get_args(hint)[0]
        for key, hint in get_annotations(published(name)).items()
        if get_origin(hint) is pulumi.Output and not key.startswith("_")
    }


def is_secret(of: str, field: str) -> bool:
    """Whether a field is a secret.

    Args:
        of: the name of the component, resource or TypedDict that has it.
        field: its name in Python.
    """
    return not SECRETS.isdisjoint({field, f"{of}.{field}"})


def camel(name: str) -> str:
    """The name of a field in other languages: cluster_version is clusterVersion."""
    return re.sub(r"_+([a-z0-9])", lambda found: found[1].upper(), name)
