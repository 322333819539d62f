"""`CiliumDataplane`: Cilium by its own chart, and how addresses of Services become known.

`cilium_options.py` says what may be chosen. Cilium's operator makes the kinds of Cilium's objects
at its start, so these come after it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired

import pulumi

from ..arguments import refuse_arguments
from ..server_side.api import (
    APPEAR_SECONDS,
    CLUSTER_LEVEL,
    CredentialsRefused,
    Refused,
    ServerObject,
)
from ..server_side.kubernetes_object import KubernetesObject, in_cluster_of
from ..server_side.resource import ClusterResource
from ..server_side.waiting import Awaited, lasting
from .cilium_options import (
    CHART,
    NAMESPACE,
    PASSWORD,
    REPOSITORY,
    VERSION,
    CiliumMistake,
    CiliumOptions,
    objects,
    values,
)

_POLL_SECONDS = 1.0
_GROUP = "/apis/cilium.io"


class CiliumDataplaneArgs(CiliumOptions):
    """A cluster, and the dataplane on it. Objects go through the provider that the options give,
    else through one of this kubeconfig."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    bgp_password: NotRequired[pulumi.Input[str] | None]
    """Of sessions with peers that have one, a secret."""


def missing_kinds(
    wanted: Iterable[str], served: Mapping[str, Iterable[Mapping[str, Any]]]
) -> list[str]:
    """Which of the kinds ("v2/CiliumBGPPeerConfig") the API server doesn't serve. `served` are its
    resources by version."""
    there = {f"{version}/{each['kind']}" for version, listed in served.items() for each in listed}
    return sorted(set(wanted) - there)


class _Kinds(Awaited):
    def name(self, props: Mapping[str, Any]) -> str:
        return "cilium-kinds"

    def wait(self, props: Mapping[str, Any]) -> None:
        def look() -> str | None:
            try:
                server = ServerObject({**CLUSTER_LEVEL, **props})
                missing = missing_kinds(props["kinds"], _served(server))
            except CredentialsRefused as error:
                raise RuntimeError(str(error)) from None
            return f"the API server doesn't know {', '.join(missing)}" if missing else None

        if (problem := lasting(look, APPEAR_SECONDS, _POLL_SECONDS)) is not None:
            raise RuntimeError(
                f"after {APPEAR_SECONDS // 60} minutes {problem}. Cilium's operator makes "
                "these kinds at its start: does kube-system/cilium-operator run? `up` again "
                "goes on waiting"
            )


def _served(server: ServerObject) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for version in ("v2", "v2alpha1"):
        try:
            found[version] = server.request("GET", f"{_GROUP}/{version}")["resources"]
        except Refused as refused:
            if refused.status != 404:
                raise
    return found


class _KindsServed(ClusterResource, name="CiliumKinds", provider=_Kinds):
    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(name, props, opts)


class CiliumDataplane(pulumi.ComponentResource):
    """Installs Cilium, and waits for it as Helm's charts are waited for. With `host_firewall`
    nodes take policies: `CiliumHostProtection` makes one. Raises CiliumMistake.

    Once a cluster: there is one Cilium.
    """

    def __init__(
        self, name: str, args: CiliumDataplaneArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("CiliumDataplane", name, CiliumDataplaneArgs, args)
        given = values(args)
        wanted = objects(args)
        super().__init__("edgefleet:index:CiliumDataplane", name, None, opts)
        child = in_cluster_of(self, name, args["kubeconfig"], opts)
        # The SDK's package is large, and few stacks need it.
        from pulumi_kubernetes.helm.v4 import Chart

        chart = Chart(
            f"{name}-chart",
            chart=CHART,
            version=VERSION,
            name="cilium",
            namespace=NAMESPACE,
            repository_opts={"repo": REPOSITORY},
            values=given,
            opts=child,
        )
        made: list[pulumi.Resource] = [chart, *self._password(name, args, child)]
        kinds = {
            f"{each['apiVersion'].partition('/')[2]}/{each['kind']}" for each in wanted.values()
        }
        if args.get("host_firewall"):
            kinds.add("v2/CiliumClusterwideNetworkPolicy")
        if kinds:
            own = pulumi.ResourceOptions(
                parent=self, deleted_with=child.deleted_with, depends_on=list(made)
            )
            listed = sorted(kinds)
            waited = {"kinds": listed, "generation": " ".join(listed)}
            props = {**waited, "kubeconfig": args["kubeconfig"]}
            made.append(_KindsServed(f"{name}-kinds", props, own))
        after = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=made))
        for part, manifest in wanted.items():
            KubernetesObject(f"{name}-{part}", manifest, after)
        self.register_outputs({})

    def _password(
        self, name: str, args: CiliumDataplaneArgs, opts: pulumi.ResourceOptions
    ) -> list[pulumi.Resource]:
        bgp = args.get("bgp")
        if not any(peer.get("password") for peer in (bgp or {"peers": []})["peers"]):
            return []
        password = args.get("bgp_password")
        if password is None:
            raise CiliumMistake("bgp.peers: some have a password, and there is no bgp_password")
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": PASSWORD, "namespace": NAMESPACE},
            "stringData": {"password": password},
        }
        return [KubernetesObject(f"{name}-bgp-password", secret, opts)]
