"""A kubeconfig is a key to all of a cluster, so no state shows it."""

from collections.abc import Collection, Mapping
from typing import Any


def plain(props: Mapping[str, Any], secret: Collection[str]) -> list[str]:
    """The inputs that are a kubeconfig and none of those that are `secret`."""
    return [
        key
        for key, value in props.items()
        if key.replace("_", "").lower() == "kubeconfig" and value and key not in secret
    ]
