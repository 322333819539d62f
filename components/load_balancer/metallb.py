"""`MetalLb`: MetalLB announces addresses of Services by ARP and NDP, or to routers by BGP.

Installed by the project's own chart; pools, advertisements and peers are objects of ours, after it.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from ..server_side.kubernetes_object import KubernetesObject
from ..server_side.ownership import NamedObject, only_own_names
from .addresses import LoadBalancerMistake, refuse_taken
from .metallb_objects import (
    CHART,
    IMAGES,
    LABELS,
    NAMESPACE,
    REPOSITORY,
    VERSION,
    objects,
    password_secret,
    values,
)
from .metallb_options import BgpMode, Peer, Pool, by_name, refuse
from .pools_fit import PoolsFit


class MetalLbArgs(TypedDict):
    """Pools, and the routers that are told by BGP.

    `mode` says who speaks BGP. `others` are addresses of other clusters, by whose they are; `taken`
    those that machines have, whose by address. `images` are `controller` and `speaker`. Only
    Services of `load_balancer_class` are served, with one; else all that name none. With the
    cluster's `kubeconfig`, a MetalLB that somebody else installed is refused, and not taken over;
    and so are pools that don't fit its nodes.
    """

    pools: Sequence[Pool]
    peers: NotRequired[Sequence[Peer]]
    mode: NotRequired[BgpMode]
    others: NotRequired[Mapping[str, Sequence[str]]]
    taken: NotRequired[pulumi.Input[Mapping[str, str]]]
    images: NotRequired[Mapping[str, str]]
    load_balancer_class: NotRequired[str | None]
    kubeconfig: NotRequired[pulumi.Input[str]]


class MetalLb(pulumi.ComponentResource):
    """MetalLB with its pools; give it the cluster's provider by its options.

    Raises LoadBalancerMistake for what MetalLB would refuse or announce in vain. Fails in the
    preview where a pool holds an address that a machine has, or a selector finds no node.
    """

    def __init__(
        self, name: str, args: MetalLbArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        pools, peers, mode = args["pools"], args.get("peers", ()), args.get("mode", "frr-k8s")
        refuse(pools, peers, mode, args.get("others"))
        super().__init__("edgefleet:index:MetalLb", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        names: list[NamedObject] = [{"kind": "Namespace", "object_name": NAMESPACE}]
        child = only_own_names(name, args.get("kubeconfig"), names, child)
        if kubeconfig := args.get("kubeconfig"):
            fit = PoolsFit(
                f"{name}-pools-fit",
                {"kubeconfig": kubeconfig, "pools": pools, "peers": peers},
                child,
            )
            child = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[fit]))
        namespace = KubernetesObject(
            f"{name}-namespace",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    # The speakers answer on the nodes' own network.
                    "labels": {**LABELS, "pod-security.kubernetes.io/enforce": "privileged"},
                },
            },
            child,
        )
        chart = self._chart(name, args, bool(peers), namespace.name, child)
        after = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[chart]))
        made = self._secrets(name, peers, after)
        checked = pulumi.Output.from_input(args.get("taken", {})).apply(self._check(pools))
        for part, manifest in objects(pools, peers):
            spec = pulumi.Output.all(manifest["spec"], checked).apply(lambda both: both[0])
            before = pulumi.ResourceOptions(depends_on=list(made))
            resource = KubernetesObject(
                f"{name}-{part}",
                {**manifest, "spec": spec},
                pulumi.ResourceOptions.merge(after, before),
            )
            if manifest["kind"] != "IPAddressPool":
                made.append(resource)
        self.register_outputs({})

    def _chart(
        self,
        name: str,
        args: MetalLbArgs,
        speaks_bgp: bool,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        # The SDK's package is large, and few stacks need it.
        from pulumi_kubernetes.helm.v4 import Chart

        given = values(
            args.get("mode", "frr-k8s"),
            speaks_bgp,
            {**IMAGES, **args.get("images", {})},
            args.get("load_balancer_class"),
        )
        return Chart(
            f"{name}-chart",
            chart=CHART,
            version=VERSION,
            name="metallb",
            namespace=namespace,
            repository_opts={"repo": REPOSITORY},
            values={**given},
            opts=opts,
        )

    def _secrets(
        self, name: str, peers: Sequence[Peer], opts: pulumi.ResourceOptions
    ) -> list[pulumi.Resource]:
        return [
            KubernetesObject(
                f"{name}-password-{peer['name']}",
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {
                        "namespace": NAMESPACE,
                        "name": password_secret(peer),
                        "labels": LABELS,
                    },
                    "type": "kubernetes.io/basic-auth",
                    "stringData": {"password": password},
                },
                opts,
            )
            for peer in peers
            if (password := peer.get("password")) is not None
        ]

    def _check(self, pools: Sequence[Pool]):
        def check(taken: Mapping[str, str]) -> bool:
            try:
                refuse_taken(by_name(pools), taken)
            except LoadBalancerMistake as mistake:
                raise pulumi.RunError(str(mistake)) from None
            return True

        return check
