"""What programs in any language get from this package's plugin, and what each thing is called.

A list of its own: what stands here is held to for users that no type checker of ours sees.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from inspect import get_annotations, signature
from typing import Any, NotRequired, TypedDict, get_args, get_origin

import pulumi

PACKAGE = "edgefleet"
COMPONENTS = (
    "CalicoDataplane",
    "CloudFirewall",
    "EdgeRouter",
    "IngressDaemonSet",
    "NodeFirewall",
    "OriginTls",
    "RegionalDns",
    "VkeCluster",
)
RESOURCES = ("ServerSidePatch",)
"""Resources of their own, which have no children."""
FUNCTIONS = ("cloudflare_networks", "node_rules")
"""Functions of plain values."""
RESULTS: Mapping[str, str] = {"cloudflare_networks": "networks", "node_rules": "rules"}
"""What a function's list is called in the object that it gives to other languages."""
CONFIGURATION: Mapping[str, str] = {
    "vultrApiKey": "vultr:apiKey",
    "cloudflareApiToken": "cloudflare:apiToken",
    "cloudflareBaseUrl": "cloudflare:baseUrl",
}
"""The plugin's configuration, and where a Python program has the same (`vendors/credentials.py`).
The environment's variables do as well, for both."""
SECRETS = frozenset(
    {
        "Certificate.key",
        "cloudflareApiToken",
        "kubeconfig",
        "origin_secret",
        "origin_secrets",
        "private_key",
        "status_token",
        "vultrApiKey",
    }
)
"""What is secret of arguments, outputs and configuration: wherever it is, or of one type."""


def published(name: str) -> Any:
    """The class or function of a name in the lists above. Raises AttributeError."""
    return getattr(import_module("..", __package__), name)


def arguments(name: str) -> Any:
    """The TypedDict that a component, resource or function is given."""
    if name in FUNCTIONS:
        return _keywords(name)
    return getattr(import_module(published(name).__module__), f"{name}Args")


def result(name: str) -> Any:
    """The type of what a function returns."""
    return signature(published(name)).return_annotation


def _keywords(name: str) -> Any:
    function = published(name)
    fields = {
        each.name: each.annotation if each.default is each.empty else NotRequired[each.annotation]
        for each in signature(function).parameters.values()
    }
    return TypedDict(camel(name), fields)  # pyright: ignore[reportArgumentType]


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
