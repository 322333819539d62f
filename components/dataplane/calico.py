"""`CalicoDataplane`: one baseline on the calico-node that VKE owns.

felix reads its environment before any FelixConfiguration, so what stands there decides
(docs/facts/calico-ingress.md §1); and a felix that can't start eBPF carries on in iptables mode
with no more than a line in its log, so clusters that differ here differ silently.
`calico_options.py` says what may be chosen.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi
import yaml

from ..arguments import refuse_arguments
from ..server_side.patch import ServerSidePatch
from ..server_side.patch_args import ContainerPatch, Patch, ServerSidePatchArgs
from ..server_side.rollout import ROLLOUT_MINUTES, Rollout, RolloutArgs
from .calico_network import IP_POOL, detection_environment, felix_spec, pool_spec, veth_mtu
from .calico_options import (
    DATAPLANE,
    KUBE_PROXY,
    NON_CALICO,
    CalicoMistake,
    CalicoOptions,
    expected,
    felix_environment,
    host_firewall_environment,
    images,
    ipv6_environment,
    services_endpoint,
)
from .kernels import KernelsFit, KernelsFitArgs, mended

ENDPOINT_ANNOTATION = "edgefleet.dev/services-endpoint"
MTU_ANNOTATION = "edgefleet.dev/veth-mtu"
"""Change with what calico-node reads at its start only, and so roll it."""


class CalicoDataplaneArgs(CalicoOptions):
    """A cluster, and the dataplane on it."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    cluster_version: NotRequired[pulumi.Input[str]]
    """Version of Kubernetes: with another one everything is put back. Default: not watched."""
    rollout_minutes: NotRequired[float]
    """How long nothing may change while calico-node rolls. Default: 15."""
    api_endpoint: NotRequired[pulumi.Input[str] | None]
    """host:port, by which calico-node reaches the API server without kube-proxy or itself;
    "kubeconfig" takes the kubeconfig's, the default where kube-proxy is stopped. A change rolls
    calico-node."""
    force: NotRequired[bool]
    """Take over fields that somebody else has set to another value. Default: false."""


def endpoint_of(kubeconfig: str) -> str:
    """`host:port` of a kubeconfig's current cluster. Raises CalicoMistake."""
    try:
        config = yaml.safe_load(kubeconfig)
        (context,) = (c for c in config["contexts"] if c["name"] == config["current-context"])
        (cluster,) = (c for c in config["clusters"] if c["name"] == context["context"]["cluster"])
        server: str = cluster["cluster"]["server"]
        url = urlsplit(server)
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise CalicoMistake("the kubeconfig names no API server to give to calico-node") from None
    host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
    return f"{host}:{url.port or 443}"


class CalicoDataplane(pulumi.ComponentResource):
    """Patches what VKE made, in the order that leaves no node without services, and waits.

    To eBPF: the API server's address, then kube-proxy off, then the pool, then calico-node, node
    by node. Back (options changed, or destroyed): calico-node's fields become what they were and
    kube-proxy returns. docs/dataplane.md says what a migration disturbs.

    A pinned release that can't start on the nodes' kernels is refused before
    anything is patched. Raises CalicoMistake.

    Once a cluster: there is one calico-node.
    """

    environment: pulumi.Output[Mapping[str, str]]
    """felix's variables on every node."""
    expected: pulumi.Output[Mapping[str, Any]]
    """All that a check of the running cluster compares with."""

    def __init__(
        self, name: str, args: CalicoDataplaneArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("CalicoDataplane", name, CalicoDataplaneArgs, args)
        super().__init__("edgefleet:index:CalicoDataplane", name, None, opts)
        environment = felix_environment(args)
        endpoint = _endpoint(args)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        made: list[pulumi.Resource] = []
        patched_felix: list[ServerSidePatch] = []
        version = args.get("version")
        if version and args.get("dataplane", DATAPLANE) == "ebpf" and not mended(version):
            asked: KernelsFitArgs = {"kubeconfig": args["kubeconfig"], "version": version}
            made.append(KernelsFit(f"{name}-kernels", asked, child))
        felix = felix_patches(args, endpoint)
        for part, fields in {**preparing_patches(args, endpoint), **felix}.items():
            patched: ServerSidePatchArgs = {
                "kubeconfig": args["kubeconfig"],
                "force": args.get("force", False),
                **fields,
            }
            if cluster_version := args.get("cluster_version"):
                patched["cluster_version"] = cluster_version
            # One after the other, and back in the other order.
            after = pulumi.ResourceOptions(depends_on=made[-1:])
            options = pulumi.ResourceOptions.merge(child, after)
            patch = ServerSidePatch(f"{name}-{part}", patched, options)
            made.append(patch)
            patched_felix += [patch] if part in felix else []
        generations = [patch.generation for patch in patched_felix]
        awaited: RolloutArgs = {
            **_CALICO_NODE,
            "kubeconfig": args["kubeconfig"],
            "generation": pulumi.Output.all(*generations).apply(max),
            "minutes": args.get("rollout_minutes", ROLLOUT_MINUTES),
        }
        Rollout(f"{name}-rollout", awaited, child)
        self.environment = pulumi.Output.from_input(environment)
        self.expected = pulumi.Output.from_input(expected(args))
        self.register_outputs({"environment": self.environment, "expected": self.expected})


class _DaemonSet(TypedDict):
    kind: Literal["DaemonSet"]
    namespace: str
    object_name: str


_CALICO_NODE: _DaemonSet = {
    "kind": "DaemonSet",
    "namespace": "kube-system",
    "object_name": "calico-node",
}


def preparing_patches(
    args: CalicoDataplaneArgs, endpoint: pulumi.Output[str] | None
) -> dict[str, Patch]:
    """What has to be so before calico-node starts anew: patches by the part of their name."""
    patches: dict[str, Patch] = {}
    if endpoint is not None:
        patches["services-endpoint"] = {
            "kind": "ConfigMap",
            "namespace": "kube-system",
            "object_name": "kubernetes-services-endpoint",
            "fields": {"data": endpoint.apply(services_endpoint)},
            "create_missing": True,
        }
    if (mtu := veth_mtu(args)) is not None:
        patches["mtu"] = {
            "kind": "ConfigMap",
            "namespace": "kube-system",
            "object_name": "calico-config",
            "fields": {"data": {"veth_mtu": str(mtu)}},
        }
    if (kube_proxy := args.get("kube_proxy", KUBE_PROXY)) != "absent":
        # Also where it is left: changing back has to happen here, before calico-node leaves
        # eBPF, and not when everything else is done.
        patches["kube-proxy"] = {
            "kind": "DaemonSet",
            "namespace": "kube-system",
            "object_name": "kube-proxy",
            "node_selector": NON_CALICO if kube_proxy == "stopped" else {},
            # Its owner's selector has to give way: that is what "stopped" asks for.
            "force": True,
        }
    if spec := pool_spec(args):
        pool = args.get("ip_pool", IP_POOL)
        patches["pool"] = {"kind": "IPPool", "object_name": pool, "fields": {"spec": spec}}
    if spec := felix_spec(args):
        patches["switches"] = {
            "kind": "FelixConfiguration",
            "object_name": "default",
            "fields": {"spec": spec},
        }
    return patches


def felix_patches(
    args: CalicoDataplaneArgs, endpoint: pulumi.Output[str] | None
) -> dict[str, Patch]:
    """calico-node's own patches, by the part of their name; they roll it."""
    # Calico's own manifest says otherwise: that it shall not is what these options ask for.
    taken = {"ipv6": ipv6_environment(args), "host-firewall": host_firewall_environment(args)}
    apart = {name for variables in taken.values() for name in variables}
    env = {name: value for name, value in felix_environment(args).items() if name not in apart}
    env |= detection_environment(args)
    container: ContainerPatch = {"env": env}
    fields: Patch = {**_CALICO_NODE, "containers": {"calico-node": container}}
    image, inits = images(args)
    if image:
        container["image"] = image["calico-node"]
        fields["init_containers"] = {key: {"image": value} for key, value in inits.items()}
    annotations: dict[str, pulumi.Input[str]] = {}
    if endpoint is not None:
        annotations[ENDPOINT_ANNOTATION] = endpoint
    if (mtu := veth_mtu(args)) is not None:
        annotations[MTU_ANNOTATION] = str(mtu)
    if annotations:
        fields["template_annotations"] = annotations
    patches: dict[str, Patch] = {"felix": fields}
    for part, variables in taken.items():
        if variables:
            patches[part] = {
                **_CALICO_NODE,
                "containers": {"calico-node": {"env": variables}},
                "field_manager": f"edgefleet-{part}",
                "force": True,
            }
    return patches


def _endpoint(args: CalicoDataplaneArgs) -> pulumi.Output[str] | None:
    given = args.get("api_endpoint")
    if given is None and args.get("kube_proxy") != "stopped":
        return None
    if given is None or given == "kubeconfig":
        return pulumi.Output.unsecret(
            pulumi.Output.from_input(args["kubeconfig"]).apply(endpoint_of)
        )
    return pulumi.Output.from_input(given)
