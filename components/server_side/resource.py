"""What resources in a cluster share: the way into it, which nobody may read in a state."""

from collections.abc import Mapping
from typing import Any

import pulumi

from ..own_resource import OwnResource


class ClusterResource(OwnResource):
    """`props` have a `kubeconfig`. It is a secret in the state, whoever gave it."""

    def __init__(
        self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        hidden = pulumi.Output.secret(props["kubeconfig"])
        super().__init__(name, {**props, "kubeconfig": hidden}, opts)
