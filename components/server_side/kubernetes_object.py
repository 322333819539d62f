"""An object in a cluster, registered with Kubernetes' provider without its SDK's types.

Importing those takes a fifth of what a preview's program computes; what is registered is the same
(tests/components/server_side/test_kubernetes_object.py). And a manifest is spelled as Kubernetes
spells it, all the way down.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import pulumi


class KubernetesObject(pulumi.CustomResource):
    """One object. `manifest` has its apiVersion, kind, metadata, and what else the kind has.

    A Secret's content is secret in the state too.
    """

    metadata: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        resource_name: str,
        manifest: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        secret = ("data", "stringData") if manifest["kind"] == "Secret" else ()
        own = pulumi.ResourceOptions(version=_sdk(), additional_secret_outputs=list(secret) or None)
        props = {key: value for key, value in manifest.items() if value is not None}
        hidden = {key: pulumi.Output.secret(props[key]) for key in secret if key in props}
        super().__init__(
            _type(manifest["apiVersion"], manifest["kind"]),
            resource_name,
            {**props, **hidden},
            pulumi.ResourceOptions.merge(own, opts),
        )

    @property
    def name(self) -> pulumi.Output[str]:
        """The object's, as the cluster has it: whoever names it by this comes after it."""
        return self.metadata["name"]


def in_cluster_of(
    component: pulumi.Resource,
    name: str,
    kubeconfig: pulumi.Input[str],
    opts: pulumi.ResourceOptions | None,
) -> pulumi.ResourceOptions:
    """Options of a component's objects: through the provider that it was given, else one made of
    the kubeconfig. Never Pulumi's default, which would be whatever cluster `kubectl` talks to."""
    child = pulumi.ResourceOptions(
        parent=component, deleted_with=opts.deleted_with if opts else None
    )
    if component.get_provider("kubernetes:core/v1:ConfigMap") is None:
        # The SDK's package is large; nobody else here needs it.
        from pulumi_kubernetes import Provider

        secret = pulumi.Output.secret(kubeconfig)
        own = Provider(f"{name}-kubernetes", kubeconfig=secret, opts=child)
        child = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(provider=own))
    return child


def _type(api_version: str, kind: str) -> str:
    """`kubernetes:apps/v1:DaemonSet`: the core group has a name here."""
    return f"kubernetes:{'core/v1' if api_version == 'v1' else api_version}:{kind}"


@cache
def _sdk() -> str:
    return version("pulumi-kubernetes")
