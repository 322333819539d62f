"""`NetworkBaseline`: chosen namespaces deny what isn't allowed, in and out.

Open from the start: DNS, and requests from the ingress controller. That one is on the nodes' own
network, where no pod selector reaches it. By address it is a node's; but from another node, through
VXLAN or IPIP, it comes from that node's tunnel address, out of the pods' range. So with an
encapsulation the Calico variant is the one that works: its host endpoints know these addresses.
NetworkPolicy itself never applies to pods on the host's network (docs/facts/calico-ingress.md §3).
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any, Literal, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..errors import OptionsError
from ..server_side.kubernetes_object import KubernetesObject
from .policy import HOST_ENDPOINTS, TIER, comes_after_something, global_policy

PROTECTED = frozenset(["kube-system", "kube-public", "kube-node-lease", "calico-system"])
"""Namespaces whose own traffic keeps the cluster alive."""
DNS = {"namespace": "kube-system", "label": "k8s-app", "value": "kube-dns"}
Variant = Literal["kubernetes", "calico"]
VARIANT: Variant = "calico"
ORDER = 1000.0
POLICY = "edgefleet-baseline"


class PolicyMistake(OptionsError):
    """A baseline that would cut off what has to work; the text says what."""


class NetworkBaselineArgs(TypedDict):
    """Which namespaces are denied what isn't allowed. All of it changes in place."""

    namespaces: Sequence[str]
    """They have to exist; those of the cluster itself are refused. One that is taken out is open
    again."""
    variant: NotRequired[Variant]
    """kubernetes makes NetworkPolicies in each namespace, calico one GlobalNetworkPolicy. Default:
    calico. A change makes the new ones, then takes away the old."""
    sources: NotRequired[pulumi.Input[Sequence[str]]]
    """Addresses of the nodes, CIDRs, tunnel addresses included: variant kubernetes needs them."""
    ingress_selector: NotRequired[str | None]
    """Calico's selector of the host endpoints that requests come from. Default: those of every
    node, which `HostEndpoints` has made: it belongs in `depends_on`."""
    order: NotRequired[float]
    """Place among Calico's policies; the lower one goes first. Default: 1000."""
    tier: NotRequired[str]
    """Calico's tier, which has to exist. Default: default. Another one: the policy is made there,
    then it goes here."""
    policy_name: NotRequired[str]
    """Of the GlobalNetworkPolicy, unique in the cluster: a second baseline takes another. Default:
    edgefleet-baseline. By another one it is made anew."""


def checked(namespaces: Sequence[str]) -> list[str]:
    """The namespaces, sorted. Raises PolicyMistake."""
    if not namespaces:
        raise PolicyMistake("namespaces: name at least one")
    if locked := sorted(PROTECTED & set(namespaces)):
        raise PolicyMistake(
            f"namespaces: {', '.join(locked)}: denying by default there would cut off the "
            "cluster's own DNS, dataplane or nodes. Leave it out"
        )
    return sorted(set(namespaces))


def kubernetes_policies(sources: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Specs of one namespace's NetworkPolicies, by name. Raises PolicyMistake."""
    if not sources:
        raise PolicyMistake("sources: name the nodes' addresses, or nothing would be served")
    for source in sources:
        try:
            wide = ip_network(source).prefixlen == 0
        except ValueError as error:
            raise PolicyMistake(f"sources: {source!r}: {error}") from None
        if wide:
            raise PolicyMistake(f"sources: {source}: would admit everybody")
    everything: dict[str, Any] = {"podSelector": {}}
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": DNS["namespace"]}},
        "podSelector": {"matchLabels": {DNS["label"]: DNS["value"]}},
    }
    return {
        "default-deny": {**everything, "policyTypes": ["Ingress", "Egress"]},
        "allow-dns": {
            **everything,
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [dns],
                    "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")],
                }
            ],
        },
        "allow-ingress-controller": {
            **everything,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": cidr}} for cidr in sources]}],
        },
    }


def calico_policy(
    namespaces: Sequence[str],
    selector: str = HOST_ENDPOINTS,
    order: float = ORDER,
    tier: str = TIER,
) -> dict[str, Any]:
    """Spec of the GlobalNetworkPolicy. What it doesn't allow is denied, by Calico's rule that a
    policy that selects an endpoint denies what none of its tier allows."""
    among = ", ".join(f"'{name}'" for name in checked(namespaces))
    dns = {
        "namespaceSelector": f"projectcalico.org/name == '{DNS['namespace']}'",
        "selector": f"{DNS['label']} == '{DNS['value']}'",
        "ports": [53],
    }
    return {
        "tier": tier,
        "order": order,
        "namespaceSelector": f"projectcalico.org/name in {{ {among} }}",
        "types": ["Ingress", "Egress"],
        "ingress": [{"action": "Allow", "source": {"selector": selector}}],
        "egress": [
            {"action": "Allow", "protocol": protocol, "destination": dns}
            for protocol in ("UDP", "TCP")
        ],
    }


class NetworkBaseline(pulumi.ComponentResource):
    """Default deny for chosen namespaces. Raises PolicyMistake.

    Several may stand in a cluster, each with namespaces and a `policy_name` of its own.
    """

    def __init__(
        self, name: str, args: NetworkBaselineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("NetworkBaseline", name, NetworkBaselineArgs, args)
        super().__init__("edgefleet:index:NetworkBaseline", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        namespaces = checked(args["namespaces"])
        if args.get("variant", VARIANT) == "kubernetes":
            if "sources" not in args:
                raise PolicyMistake("sources: the kubernetes variant needs the nodes' addresses")
            self._kubernetes(name, namespaces, args["sources"], child)
        else:
            if args.get("ingress_selector") is None and not comes_after_something(opts):
                raise PolicyMistake(
                    "host endpoints: the nodes' are needed, or nothing would be served: name "
                    "HostEndpoints in depends_on, unless ingress_selector selects some that are "
                    "there"
                )
            after = pulumi.ResourceOptions(depends_on=opts.depends_on if opts else None)
            self._calico(name, namespaces, args, pulumi.ResourceOptions.merge(child, after))
        self.register_outputs({})

    def _kubernetes(
        self,
        name: str,
        namespaces: Sequence[str],
        sources: pulumi.Input[Sequence[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        specs = pulumi.Output.from_input(sources).apply(kubernetes_policies)
        for namespace in namespaces:
            made: list[pulumi.Resource] = []
            for policy in ("allow-dns", "allow-ingress-controller", "default-deny"):
                # The openings first: nothing that is allowed is cut off on the way.
                after = pulumi.ResourceOptions(depends_on=list(made))
                made.append(
                    KubernetesObject(
                        f"{name}-{namespace}-{policy}",
                        {
                            "apiVersion": "networking.k8s.io/v1",
                            "kind": "NetworkPolicy",
                            "metadata": {"namespace": namespace, "name": f"edgefleet-{policy}"},
                            "spec": specs[policy],
                        },
                        pulumi.ResourceOptions.merge(opts, after),
                    )
                )

    def _calico(
        self,
        name: str,
        namespaces: Sequence[str],
        args: NetworkBaselineArgs,
        opts: pulumi.ResourceOptions,
    ) -> None:
        selector, tier = args.get("ingress_selector"), args.get("tier", TIER)
        spec = calico_policy(namespaces, selector or HOST_ENDPOINTS, args.get("order", ORDER), tier)
        global_policy(
            f"{name}-policy",
            args.get("policy_name", POLICY),
            spec,
            opts,
            tier,
        )
