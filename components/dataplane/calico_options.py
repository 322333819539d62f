"""What a Calico dataplane may look like: options in, fields of VKE's objects out.

Sources: docs/facts/calico-ingress.md §1 and §2; names of objects and containers as in Calico's own
manifest (v3.32.1).
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NotRequired

from ..errors import OptionsError
from .calico_network import (
    DATAPLANE,
    NetworkOptions,
    felix_spec,
    network_mistakes,
    pool_spec,
    veth_mtu,
)

ExternalServiceMode = Literal["Tunnel", "DSR"]
ConnectTimeLoadBalancing = Literal["TCP", "Enabled", "Disabled"]
Switch = Literal["Enabled", "Disabled"]
KubeProxyState = Literal["absent", "left", "stopped"]
CalicoImage = Literal["node", "cni"]

KUBE_PROXY: KubeProxyState = "absent"
NON_CALICO = {"kubernetes.io/os": "linux", "non-calico": "true"}
"""No node has the second label: kube-proxy with this selector runs nowhere
(docs/facts/calico-ingress.md §1). A node selector has one owner as a whole, so the usual label is
part of it."""
INIT_CONTAINERS = {"upgrade-ipam": "cni", "install-cni": "cni", "ebpf-bootstrap": "node"}
"""calico-node's init containers and the image that each runs."""
REGISTRY = "quay.io/calico"
_DUAL_STACK_EBPF = (3, 28)  # projectcalico/calico#8509
_UNSUPPORTED = (3, 33)
"""Calico no longer publishes calico/cni from here on, and its probes run other commands
(docs/facts/vultr-users.md, projectcalico/calico)."""
_VXLAN_BREAK = (3, 31, 0)
_NFTABLES = (3, 29)
"""felix knows NFTablesMode from here on, and finds out by itself from v3.32 on
(projectcalico/calico#11629)."""
_PAST_UFW = ((3, 24, 0), (3, 27, 4))
_ENDPOINT = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


class CalicoOptions(NetworkOptions):
    """The dataplane. What is left out is the fleet's baseline, or stays as VKE has it; what changes
    rolls calico-node, node after node.

    The four options named like felix's variables mean something with `dataplane` ebpf only.
    """

    external_service_mode: NotRequired[ExternalServiceMode | None]
    """How answers of a service's pod on another node get out. Default: Tunnel."""
    connect_time_load_balancing: NotRequired[ConnectTimeLoadBalancing | None]
    """For which protocols a pod behind a service is chosen when a socket connects. Default:
    Enabled, for all."""
    host_networked_nat_without_ctlb: NotRequired[Switch | None]
    """What nodes themselves send reaches services without that. Default: Disabled."""
    kube_proxy: NotRequired[KubeProxyState]
    """absent: VKE runs none (its eBPF clusters), nothing is touched, the default. stopped: off
    every node by a node selector, which going back takes away. left: it runs beside Calico."""
    kube_proxy_cleanup: NotRequired[bool | None]
    """felix removes kube-proxy's iptables rules. Default: where kube-proxy doesn't run."""
    nftables: NotRequired[bool]
    """felix writes nftables instead of iptables, with `dataplane` iptables: where kube-proxy does,
    it has to. Default: false."""
    version: NotRequired[str | None]
    """Release of Calico (v3.32.1) that every container of calico-node is pinned to. Default: VKE's.
    """
    registry: NotRequired[str | None]
    """Where a pinned release comes from. Default: quay.io/calico."""
    init_containers: NotRequired[Mapping[str, CalicoImage] | None]
    """Images, node or cni, by the names of init containers, where a cluster's differ from Calico's
    manifest."""
    digests: NotRequired[Mapping[str, str]]
    """sha256:… by image. Default: images run by their tags."""
    ask_host_firewall: NotRequired[bool]
    """felix leaves what pods send to their own node to the node's own firewall, ufw; Calico's
    manifest has that accepted ahead of it (FELIX_DEFAULTENDPOINTTOHOSTACTION). Where no firewall is
    active it changes nothing. Default: false."""


class CalicoMistake(OptionsError):
    """Options that don't go together; the text says which, and why."""


def _bpf(options: CalicoOptions) -> dict[str, str]:
    given = {
        "FELIX_BPFEXTERNALSERVICEMODE": options.get("external_service_mode"),
        "FELIX_BPFCONNECTTIMELOADBALANCING": options.get("connect_time_load_balancing"),
        "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": options.get("host_networked_nat_without_ctlb"),
    }
    return {name: value for name, value in given.items() if value is not None}


def felix_environment(options: CalicoOptions | None = None) -> dict[str, str]:
    """felix's variables, which it reads before any FelixConfiguration
    (docs/facts/calico-ingress.md §1).

    The baseline: connect-time balancing for every protocol and no NAT without it are a consistent
    pair, by which host and pod traffic both reach services. Raises CalicoMistake.
    """
    options = options or {}
    refuse(options)
    policed = {"FELIX_IPV6SUPPORT": "true"} if options.get("ipv6") else {}
    policed |= host_firewall_environment(options)
    if options.get("dataplane", DATAPLANE) == "iptables":
        tables = {"FELIX_NFTABLESMODE": "Enabled"} if options.get("nftables") else {}
        return {"FELIX_BPFENABLED": "false", **tables, **policed}
    cleanup = options.get("kube_proxy_cleanup")
    if cleanup is None:
        cleanup = options.get("kube_proxy", KUBE_PROXY) != "left"
    environment = {
        "FELIX_BPFENABLED": "true",
        "FELIX_BPFEXTERNALSERVICEMODE": "Tunnel",
        "FELIX_BPFCONNECTTIMELOADBALANCING": "Enabled",
        "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": "Disabled",
        "FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": str(cleanup).lower(),
        **_bpf(options),
        **policed,
    }
    if options.get("kube_proxy") == "left":
        # felix's own health server for services would take kube-proxy's port 10256.
        environment["FELIX_BPFKUBEPROXYHEALTHZPORT"] = "0"
    return environment


def refuse(options: CalicoOptions) -> None:
    """Raise CalicoMistake for options that don't go together."""
    for mistake in _mistakes(options):
        raise CalicoMistake(mistake)


def _mistakes(options: CalicoOptions) -> list[str]:
    found: list[str] = []
    kube_proxy = options.get("kube_proxy", KUBE_PROXY)
    kind = options.get("dataplane", DATAPLANE)
    if kind == "iptables":
        found += [
            f"{name}={value} means nothing with dataplane iptables: leave it out"
            for name, value in _bpf(options).items()
        ]
        if options.get("kube_proxy_cleanup") is not None:
            found.append("kube_proxy_cleanup means nothing with dataplane iptables: leave it out")
        if kube_proxy == "stopped":
            found.append(
                "kube_proxy stopped with dataplane iptables: nothing would serve the cluster's "
                "services. Say kube_proxy: left"
            )
    else:
        balancing = options.get("connect_time_load_balancing") or "Enabled"
        nat = options.get("host_networked_nat_without_ctlb") or "Disabled"
        if balancing == "Enabled" and nat == "Enabled":
            found.append(
                "connect_time_load_balancing Enabled with host_networked_nat_without_ctlb Enabled: "
                "felix would warn and switch the NAT off by itself. Say Disabled for it"
            )
        if balancing != "Enabled" and nat == "Disabled":
            found.append(
                f"connect_time_load_balancing {balancing} with host_networked_nat_without_ctlb "
                "Disabled: what nodes themselves send would not reach services. Say Enabled for "
                "one of the two"
            )
        if kube_proxy == "left" and options.get("kube_proxy_cleanup"):
            found.append(
                "kube_proxy_cleanup with kube_proxy left: felix would remove the iptables rules "
                "that kube-proxy puts back, for ever. Say kube_proxy: stopped, or no cleanup"
            )
        if options.get("encapsulation") == "ipip":
            found.append(
                "encapsulation ipip with dataplane ebpf: Calico's eBPF has no IPIP. Say vxlan"
            )
    found += network_mistakes(options)
    version = options.get("version")
    if version is not None and not re.fullmatch(r"v\d+\.\d+\.\d+", version):
        found.append(f"version {version!r}: a release of Calico, like v3.32.1")
    elif version and _release(version) >= _UNSUPPORTED:
        found.append(
            f"version {version}: from v3.33 calico-node has other images and commands, which "
            "aren't supported here yet. Say a release of v3.32"
        )
    elif version and options.get("ipv6") and kind == "ebpf" and _old(version):
        found.append(
            f"ipv6 with dataplane ebpf and version {version}: before v3.28 Calico's eBPF polices "
            "one family only. Say a newer version"
        )
    if options.get("nftables"):
        if kind == "ebpf":
            found.append("nftables means nothing with dataplane ebpf: leave it out")
        elif version and _release(version) < _NFTABLES:
            found.append(
                f"version {version} beside a kube-proxy with nftables: felix writes nftables from "
                "v3.29 on. Say a newer version"
            )
    if version is None and (options.get("registry") or options.get("init_containers")):
        found.append("registry and init_containers mean nothing without version")
    return found


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.removeprefix("v").split(".")))


def _old(version: str) -> bool:
    return _release(version) < _DUAL_STACK_EBPF


def goes_past_ufw(options: CalicoOptions) -> bool:
    """Whether this release's eBPF accepts all that it has seen before ufw is asked
    (docs/facts/vultr-users.md: v3.24.0 to v3.27.4)."""
    version = options.get("version")
    if version is None or options.get("dataplane", DATAPLANE) != "ebpf":
        return False
    first, last = _PAST_UFW
    return first <= _release(version) <= last


def crosses_vxlan_break(old: str, new: str) -> bool:
    """Whether nodes of these two releases, side by side, lose connections from the host's network
    to services over VXLAN (projectcalico/calico#11910: v3.30 beside v3.31)."""
    return (_release(old) < _VXLAN_BREAK) != (_release(new) < _VXLAN_BREAK)


def ipv6_environment(options: CalicoOptions) -> dict[str, str]:
    """calico-node's variables by which IPv6 is policed. felix's eBPF has to know a node's address
    of a family before it attaches the programs for it (projectcalico/calico#12688), and lets the
    family's packets in until then (#8556); so calico-node looks for the address."""
    if not options.get("ipv6"):
        return {}
    return {"FELIX_IPV6SUPPORT": "true", "IP6": "autodetect"}


def host_firewall_environment(options: CalicoOptions) -> dict[str, str]:
    """calico-node's variable by which the node's own firewall is asked about its own pods: after
    RETURN a packet goes on in INPUT (felix/rules/static.go; in eBPF int_dataplane.go)."""
    if not options.get("ask_host_firewall"):
        return {}
    return {"FELIX_DEFAULTENDPOINTTOHOSTACTION": "RETURN"}


def images(options: CalicoOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Images of calico-node's container and of its init containers, by container; all of one
    version. Empty without a pinned version."""
    version = options.get("version")
    if version is None:
        return {}, {}

    def image(part: str) -> str:
        tagged = f"{options.get('registry') or REGISTRY}/{part}:{version}"
        digest = (options.get("digests") or {}).get(tagged)
        return f"{tagged}@{digest}" if digest else tagged

    inits = options.get("init_containers") or INIT_CONTAINERS
    return {"calico-node": image("node")}, {name: image(part) for name, part in inits.items()}


def services_endpoint(address: str) -> dict[str, str]:
    """Data of `kubernetes-services-endpoint` for `host:port`. Raises CalicoMistake."""
    match = _ENDPOINT.fullmatch(address)
    if not match or not 0 < int(match["port"]) < 65536:
        raise CalicoMistake(f"API endpoint {address!r}: must be host:port, like 192.0.2.1:6443")
    return {
        "KUBERNETES_SERVICE_HOST": match["host"].strip("[]"),
        "KUBERNETES_SERVICE_PORT": match["port"],
    }


def expected(options: CalicoOptions) -> dict[str, Any]:
    """What a check of the running cluster compares with."""
    node, inits = images(options)
    return {
        "dataplane": options.get("dataplane", DATAPLANE),
        "environment": felix_environment(options),
        "kubeProxy": options.get("kube_proxy", KUBE_PROXY),
        "images": {**node, **inits},
        "pool": pool_spec(options),
        "felix": felix_spec(options),
        "mtu": veth_mtu(options),
        "autodetection": options.get("autodetection"),
    }
