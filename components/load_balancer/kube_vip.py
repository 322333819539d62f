"""`KubeVip`: an address that moves between control planes, and addresses of Services.

The control plane's has to stand before there is an API server, so that one is a static pod, whose
manifest `static_pod()` makes for kubeadm; the Services' announcer is a DaemonSet.

Source: kube-vip's documentation (installation/static, installation/daemonset, usage/services) and
the names of its variables (pkg/kubevip/config_envvar.go); docs/facts/kube-vip.md for the image's
tag. It was not run: docs/limits.md.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..server_side.kubernetes_object import KubernetesObject
from ..server_side.ownership import LABEL, NamedObject, only_own_names
from .addresses import LoadBalancerMistake

IMAGE = "ghcr.io/kube-vip/kube-vip:v1.0.2"
NAMESPACE = "kube-system"
APP = "kube-vip"
ADDRESSES = "kube-vip.io/loadbalancerIPs"
"""Annotation of a Service: the addresses that it asks for."""
_LABELS = {"app.kubernetes.io/name": APP, LABEL[0]: LABEL[1]}
_API_PORT = 6443


class BgpPeer(TypedDict):
    """A router that is told."""

    address: str
    """Its IPv4 address."""
    asn: int
    """The router's number."""
    multi_hop: NotRequired[bool]
    """It isn't a neighbour. Default: false."""


class KubeVipOptions(TypedDict):
    """What is announced, and how: by ARP and NDP, one node at a time, or with `peers` by BGP."""

    interface: str
    """Of the nodes: has the addresses, and its own is the router id in BGP."""
    control_plane: NotRequired[str | None]
    """The API server's address. Default: none is announced."""
    api_port: NotRequired[int]
    """The API server's. Default: 6443."""
    services: NotRequired[bool]
    """Services get their addresses. Default: false."""
    my_asn: NotRequired[int | None]
    """The nodes' number, with `peers`."""
    peers: NotRequired[Sequence[BgpPeer]]
    """Routers, which know the nodes. Default: none."""


def refuse(options: KubeVipOptions) -> None:
    """Raises LoadBalancerMistake for what would announce nothing, or to nobody."""
    address = options.get("control_plane")
    if not options.get("services") and not address:
        raise LoadBalancerMistake("kube-vip has nothing to announce: say controlPlane or services")
    if bool(options.get("my_asn")) != bool(options.get("peers")):
        raise LoadBalancerMistake("kube-vip: BGP takes myAsn and peers, both")
    for one in [*([address] if address else []), *(p["address"] for p in options.get("peers", ()))]:
        try:
            ip_address(one)
        except ValueError as error:
            raise LoadBalancerMistake(f"kube-vip: {error}") from None
    for peer in options.get("peers", ()):
        if ip_address(peer["address"]).version == 6:
            # bgp_peers is a list of address:asn:password:multihop.
            raise LoadBalancerMistake(
                f"kube-vip: peer {peer['address']}: its documentation has no way to write an IPv6 "
                "peer. Use MetalLB, or the router's IPv4 address"
            )


def environment(options: KubeVipOptions, *, control_plane: bool) -> list[dict[str, Any]]:
    """kube-vip's variables: for the control plane's address, or for those of Services."""
    peers = options.get("peers", ())
    said: dict[str, str] = {
        "vip_arp": str(not peers).lower(),
        "vip_interface": options["interface"],
        "vip_leaderelection": str(not peers).lower(),
    }
    if control_plane:
        address = str(options.get("control_plane"))
        said |= {
            "cp_enable": "true",
            "cp_namespace": NAMESPACE,
            "address": address,
            "port": str(options.get("api_port", _API_PORT)),
            "vip_subnet": "32" if ip_address(address).version == 4 else "128",
            "vip_leasename": "plndr-cp-lock",
        }
    else:
        said |= {
            "svc_enable": "true",
            # Each Service has a node of its own, and one that has a pod for it:
            # externalTrafficPolicy Local.
            "svc_election": str(not peers).lower(),
        }
    if peers:
        said |= {
            "bgp_enable": "true",
            "bgp_as": str(options.get("my_asn")),
            "bgp_routerinterface": options["interface"],
            "bgp_peers": ",".join(
                f"{peer['address']}:{peer['asn']}::{str(peer.get('multi_hop', False)).lower()}"
                for peer in peers
            ),
        }
    field = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    return [
        {"name": "vip_nodename", "valueFrom": field},
        *({"name": name, "value": value} for name, value in sorted(said.items())),
    ]


def static_pod(options: KubeVipOptions, image: str, kubeconfig: str) -> dict[str, Any]:
    """The pod for /etc/kubernetes/manifests of a control plane. `kubeconfig` is that node's file by
    which it asks its own API server.

    Raises LoadBalancerMistake without an address for the control plane.
    """
    if not options.get("control_plane"):
        raise LoadBalancerMistake("kube-vip: there is no controlPlane address")
    pod = _pod(image, environment(options, control_plane=True))
    (container,) = pod["containers"]
    container["volumeMounts"] = [{"name": "kubeconfig", "mountPath": "/etc/kubernetes/admin.conf"}]
    # The API server's certificate knows this name, and before it is up nobody else resolves it.
    pod["hostAliases"] = [{"hostnames": ["kubernetes"], "ip": "127.0.0.1"}]
    pod["volumes"] = [{"name": "kubeconfig", "hostPath": {"path": kubeconfig, "type": "File"}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": APP, "namespace": NAMESPACE},
        "spec": pod,
    }


def daemon_set_spec(options: KubeVipOptions, image: str) -> dict[str, Any]:
    """Spec of the DaemonSet that announces Services' addresses."""
    named = {"app.kubernetes.io/name": APP}
    pod = _pod(image, environment(options, control_plane=False))
    return {
        "selector": {"matchLabels": named},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {
            "metadata": {"labels": _LABELS},
            "spec": {
                **pod,
                "serviceAccountName": APP,
                "nodeSelector": {"kubernetes.io/os": "linux"},
            },
        },
    }


def annotations(addresses: Sequence[str]) -> dict[str, str]:
    """By which a Service asks for these addresses."""
    return {ADDRESSES: ",".join(addresses)}


def _pod(image: str, variables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "containers": [
            {
                "name": APP,
                "image": image,
                "args": ["manager"],
                "env": list(variables),
                "securityContext": {
                    "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}
                },
            }
        ],
    }


def rules() -> list[dict[str, Any]]:
    """What it does in the cluster: follow Services and their pods, write their addresses, agree on
    a node."""

    def rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
        return {"apiGroups": [group], "resources": resources, "verbs": verbs}

    read = ["get", "list", "watch"]
    return [
        rule("", ["services/status"], ["update"]),
        rule("", ["services", "endpoints"], [*read, "update"]),
        rule("", ["nodes", "pods"], read),
        rule("discovery.k8s.io", ["endpointslices"], read),
        rule("coordination.k8s.io", ["leases"], [*read, "create", "update"]),
        rule("", ["events"], ["create", "patch"]),
    ]


class KubeVipArgs(KubeVipOptions):
    """The announcer of Services' addresses, a DaemonSet."""

    image: NotRequired[str]
    """name:tag, better with digest. Default: IMAGE."""
    kubeconfig: NotRequired[pulumi.Input[str]]
    """Of the cluster, YAML, a secret: with it what somebody else made is refused. Default: nobody
    asks."""


class KubeVip(pulumi.ComponentResource):
    """Announces addresses of Services. Raises LoadBalancerMistake."""

    def __init__(
        self, name: str, args: KubeVipArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("KubeVip", name, KubeVipArgs, args)
        refuse(args)
        super().__init__("edgefleet:index:KubeVip", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        names: list[NamedObject] = [
            {"kind": "ClusterRole", "object_name": APP},
            {"kind": "DaemonSet", "namespace": NAMESPACE, "object_name": APP},
        ]
        child = only_own_names(name, args.get("kubeconfig"), names, child)
        here = {"namespace": NAMESPACE, "name": APP, "labels": _LABELS}
        wide = {"name": APP, "labels": _LABELS}
        rbac = "rbac.authorization.k8s.io"

        def made(part: str, version: str, kind: str, metadata: Any, **more: Any) -> pulumi.Resource:
            manifest = {"apiVersion": version, "kind": kind, "metadata": metadata, **more}
            return KubernetesObject(f"{name}-{part}", manifest, child)

        before = [
            made("account", "v1", "ServiceAccount", here),
            made("role", f"{rbac}/v1", "ClusterRole", wide, rules=rules()),
            made(
                "binding",
                f"{rbac}/v1",
                "ClusterRoleBinding",
                wide,
                roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": APP},
                subjects=[{"kind": "ServiceAccount", "name": APP, "namespace": NAMESPACE}],
            ),
        ]
        KubernetesObject(
            f"{name}-daemon-set",
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": here,
                "spec": daemon_set_spec(args, args.get("image", IMAGE)),
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=before)),
        )
        self.register_outputs({})
