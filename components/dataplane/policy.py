"""One policy of Calico's, registered under a name that Calico leaves alone."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from ..server_side.kubernetes_object import KubernetesObject

HOST_ENDPOINTS = "projectcalico.org/created-by == 'calico-kube-controllers'"
"""The nodes, as host endpoints that Calico's controllers make and keep."""
TIER = "default"


def comes_after_something(opts: pulumi.ResourceOptions | None) -> bool:
    """Whether options name what goes before, as host endpoints go before their policies."""
    before = opts.depends_on if opts else None
    return before is not None and before != []


def policy_metadata(name: str, tier: str = TIER) -> dict[str, Any]:
    """Metadata of a GlobalNetworkPolicy that is called `name` in its tier.

    Up to v3.31 Calico stored a policy with the tier in front of its name. From v3.32 it doesn't,
    and its controllers rename those whose two names differ: our object would be gone, and a copy
    that nobody deletes in its place (`NeedsMigration` in kube-controllers' policymigrate.go). The
    annotation is where Calico itself notes the name it shows, and makes them the same.
    """
    tiered = f"{tier}.{name}"
    return {
        "name": tiered,
        "annotations": {"projectcalico.org/metadata": json.dumps({"name": tiered})},
    }


def global_policy(
    resource: str,
    name: str,
    spec: pulumi.Input[Mapping[str, Any]],
    opts: pulumi.ResourceOptions,
    tier: str = TIER,
) -> KubernetesObject:
    """Register the GlobalNetworkPolicy `name` as the resource `resource`."""
    return KubernetesObject(
        resource,
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "GlobalNetworkPolicy",
            "metadata": policy_metadata(name, tier),
            "spec": spec,
        },
        opts,
    )
