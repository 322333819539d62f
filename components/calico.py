"""`CalicoDataplane`: one eBPF baseline on the calico-node that VKE owns.

felix reads its environment before any FelixConfiguration, so what stands there decides
(calico-ingress.md §1); and a felix that can't start eBPF carries on in iptables mode without an
error, so clusters that differ here differ silently.
"""

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict

import pulumi

from components.server_side_patch import ServerSidePatch

ExternalServiceMode = Literal["Tunnel", "DSR"]


class CalicoDataplaneArgs(TypedDict):
    """`force` takes over variables that somebody else has set to another value."""

    kubeconfig: pulumi.Input[str]
    external_service_mode: NotRequired[ExternalServiceMode]
    force: NotRequired[bool]


def felix_environment(external_service_mode: ExternalServiceMode = "Tunnel") -> dict[str, str]:
    """The five variables of the baseline (calico-ingress.md §1).

    Connect-time balancing for every protocol and no NAT without it are a consistent pair: host and
    pod traffic both reach services. Cleanup removes kube-proxy's iptables rules, as VKE's eBPF
    clusters run without kube-proxy.
    """
    return {
        "FELIX_BPFENABLED": "true",
        "FELIX_BPFEXTERNALSERVICEMODE": external_service_mode,
        "FELIX_BPFCONNECTTIMELOADBALANCING": "Enabled",
        "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": "Disabled",
        "FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": "true",
    }


class CalicoDataplane(pulumi.ComponentResource):
    """Sets the FELIX_BPF* variables on kube-system/calico-node and waits for its rollout.

    `environment` is the state expected on every node.
    """

    environment: pulumi.Output[Mapping[str, str]]

    def __init__(
        self, name: str, args: CalicoDataplaneArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("edgefleet:index:CalicoDataplane", name, None, opts)
        environment = felix_environment(args.get("external_service_mode", "Tunnel"))
        ServerSidePatch(
            f"{name}-felix",
            {
                "kubeconfig": args["kubeconfig"],
                "kind": "DaemonSet",
                "namespace": "kube-system",
                "object_name": "calico-node",
                "containers": {"calico-node": {"env": environment}},
                "force": args.get("force", False),
            },
            pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with if opts else None),
        )
        self.environment = pulumi.Output.from_input(environment)
        self.register_outputs({"environment": self.environment})
