"""`HostEndpoints`: Calico keeps a host endpoint for every node.

An automatic host endpoint stands for all interfaces of its node and all its addresses, tunnels
included. It comes with a profile that allows everything, so making it closes nothing: a policy that
selects it does (calico/kube-controllers, hostendpoints.go). In the iptables dataplane, what a host
endpoint allows is accepted ahead of the host's own rules, ufw's too (docs.tigera.io, hostendpoint).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..server_side.api import APPEAR_SECONDS, ServerObject
from ..server_side.patch import ServerSidePatch
from ..server_side.patch_args import ServerSidePatchArgs
from ..server_side.resource import ClusterResource
from ..server_side.waiting import Awaited, lasting

_POLL_SECONDS = 1.0
_SWITCH = {"kind": "KubeControllersConfiguration", "object_name": "default"}


class HostEndpointsArgs(TypedDict):
    """A cluster."""

    kubeconfig: pulumi.Input[str]
    """YAML, a secret."""
    cluster_version: NotRequired[pulumi.Input[str]]
    """Version of Kubernetes: with another one the switch is put back. Default: not watched."""


def without_endpoint(
    nodes: Iterable[Mapping[str, Any]], endpoints: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Names of nodes that no host endpoint stands for as a whole."""
    whole = {e["spec"].get("node") for e in endpoints if e["spec"].get("interfaceName") == "*"}
    return sorted({node["metadata"]["name"] for node in nodes} - whole)


class _Awaited(Awaited):
    def name(self, props: Mapping[str, Any]) -> str:
        return "host-endpoints"

    def wait(self, props: Mapping[str, Any]) -> None:
        def look() -> str | None:
            server = ServerObject({**_SWITCH, **props})
            nodes = server.items("/api/v1/nodes")
            made = server.items("/apis/crd.projectcalico.org/v1/hostendpoints")
            missing = without_endpoint(nodes, made)
            return f"no host endpoint for {', '.join(missing)}" if missing else None

        if (problem := lasting(look, APPEAR_SECONDS, _POLL_SECONDS)) is not None:
            raise RuntimeError(
                f"after {APPEAR_SECONDS // 60} minutes {problem}. Calico's controllers make "
                "them: does kube-system/calico-kube-controllers run, with `node` among its "
                "ENABLED_CONTROLLERS? The switch is set: `pulumi up` again goes on waiting"
            )


class _MadeForEveryNode(ClusterResource, name="HostEndpointsMade", provider=_Awaited):
    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(name, props, opts)


class HostEndpoints(pulumi.ComponentResource):
    """Tells Calico's controllers to make them, and waits until every node has one.

    Once a cluster: there is one switch, whoever uses them. Destroyed, the switch goes back to what
    it was, and Calico deletes those that it made.

    Attributes:
        kubeconfig: of the cluster, as it was given.
    """

    kubeconfig: pulumi.Input[str]

    def __init__(
        self, name: str, args: HostEndpointsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("HostEndpoints", name, HostEndpointsArgs, args)
        super().__init__("edgefleet:index:HostEndpoints", name, None, opts)
        self.kubeconfig = args["kubeconfig"]
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        node = {"hostEndpoint": {"autoCreate": "Enabled"}}
        patch: ServerSidePatchArgs = {
            "kubeconfig": args["kubeconfig"],
            "kind": "KubeControllersConfiguration",
            "object_name": "default",
            "fields": {"spec": {"controllers": {"node": node}}},
            "field_manager": "edgefleet-host-endpoints",
            # Calico's controllers write "Disabled" there at their first start.
            "force": True,
        }
        if version := args.get("cluster_version"):
            patch["cluster_version"] = version
        switch = ServerSidePatch(f"{name}-switch", patch, child)
        awaited = {"kubeconfig": args["kubeconfig"], "generation": switch.generation}
        _MadeForEveryNode(f"{name}-made", awaited, child)
        self.register_outputs({})
