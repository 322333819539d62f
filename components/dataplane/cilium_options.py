"""What a Cilium dataplane may look like: options in, the chart's values and Cilium's objects out.

Sources: docs/facts/cilium.md; the chart and the CRDs of v1.20.2.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Literal, NotRequired, TypedDict

from ..errors import OptionsError

CHART = "cilium"
VERSION = "1.20.2"
REPOSITORY = "https://helm.cilium.io"
NAMESPACE = "kube-system"
Routing = Literal["native", "tunnel"]
TunnelProtocol = Literal["vxlan", "geneve"]
PASSWORD = "edgefleet-bgp-password"  # noqa: S105 (a Secret's name)
_ADVERTISED = {"edgefleet.dev/advertise": "bgp"}
_ENDPOINT = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")
_LINUX = {"matchLabels": {"kubernetes.io/os": "linux"}}
_ALL_SERVICES = {
    "matchExpressions": [
        # Cilium selects no Service without a selector: one that is true for all.
        {"key": "edgefleet.dev/unadvertised", "operator": "DoesNotExist"}
    ]
}


class CiliumPool(TypedDict):
    """Addresses for Services."""

    name: str
    """A DNS label of at most 42 characters, unique."""
    addresses: Sequence[str]
    """Networks, or ranges FIRST-LAST, of one family."""


class CiliumL2(TypedDict):
    """Answer ARP and NDP for Services' addresses."""

    interfaces: NotRequired[Sequence[str]]
    """Regular expressions of their names. Default: all."""
    node_labels: NotRequired[Mapping[str, str]]
    """Labels of the nodes that answer. Default: all."""


class CiliumBgpPeer(TypedDict):
    """A router."""

    name: str
    """A DNS label of at most 42 characters, unique."""
    address: str
    """Its IP address."""
    as_number: int
    """The router's, 1 to 4294967295."""
    password: NotRequired[bool]
    """Sessions have the component's `bgp_password`. Default: false."""


class CiliumBgp(TypedDict):
    """Routers are told pods' networks and Services' addresses."""

    as_number: int
    """Of all nodes, 1 to 4294967295."""
    peers: Sequence[CiliumBgpPeer]
    """Whom to tell."""


class CiliumOptions(TypedDict):
    """The dataplane. What changes rolls Cilium, node after node."""

    pod_networks: Sequence[str]
    """CIDRs that Kubernetes gives to nodes."""
    node_networks: Sequence[str]
    """The nodes' own, CIDRs: only there NodePorts listen."""
    kube_proxy_replacement: NotRequired[bool]
    """Cilium serves services in kube-proxy's place; it needs `api_endpoint`. Default: true."""
    api_endpoint: NotRequired[str | None]
    """host:port of the API server, as no service leads there before Cilium runs."""
    routing: NotRequired[Routing]
    """native: pods' packets go as they are; tunnel: wrapped. Default: tunnel."""
    tunnel_protocol: NotRequired[TunnelProtocol]
    """With `routing` tunnel. Default: vxlan."""
    direct_routes: NotRequired[bool]
    """All nodes are in one network, and know the way to each other's pods. Default: false; then
    `bgp` tells routers."""
    mtu: NotRequired[int | None]
    """Bytes. Default: Cilium finds out."""
    devices: NotRequired[Sequence[str]]
    """Names of the nodes' interfaces. Default: Cilium finds out."""
    host_firewall: NotRequired[bool]
    """Nodes take policies. Default: false."""
    pools: NotRequired[Sequence[CiliumPool]]
    """Addresses that Services get. Default: none."""
    l2: NotRequired[CiliumL2 | None]
    """Announces them by ARP and NDP. Default: not."""
    bgp: NotRequired[CiliumBgp | None]
    """Announces them and pods' networks to routers. Default: not."""


class CiliumMistake(OptionsError):
    """Options that don't go together; the text says which, and why."""


def refuse_cilium(options: CiliumOptions) -> None:
    """Raise CiliumMistake for options that don't go together."""
    for mistake in (*_routing(options), *_announcing(options), *_pools(options)):
        raise CiliumMistake(mistake)


def _routing(options: CiliumOptions) -> Iterator[str]:
    replaced = options.get("kube_proxy_replacement", True)
    endpoint = options.get("api_endpoint")
    if replaced and endpoint is None:
        yield (
            "kube_proxy_replacement without api_endpoint: no service leads to the API server "
            "before Cilium runs. Say host:port, as nodes reach it"
        )
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        yield f"api_endpoint {endpoint!r}: must be host:port, like 192.0.2.1:6443"
    if not options["pod_networks"]:
        yield "pod_networks: name the networks that Kubernetes gives to nodes for their pods"
    if options.get("routing", "tunnel") == "native":
        versions = [ip_network(cidr).version for cidr in options["pod_networks"]]
        if len(versions) > len(set(versions)):
            yield "pod_networks: routing native takes one network of each family"
        if options.get("tunnel_protocol"):
            yield "tunnel_protocol means nothing with routing native: leave it out"
        if not options.get("direct_routes") and not options.get("bgp"):
            yield (
                "routing native without direct_routes and bgp: no node would know where another's "
                "pods are. Say direct_routes: true where all nodes are in one network, or name "
                "routers in bgp"
            )
    elif options.get("direct_routes"):
        yield "direct_routes means nothing with routing tunnel: leave it out"
    mtu = options.get("mtu")
    if mtu is not None and not 1280 <= mtu <= 9216:
        yield f"mtu {mtu}: of the network card, between 1280 and 9216 bytes"


def _announcing(options: CiliumOptions) -> Iterator[str]:
    l2, bgp, pools = options.get("l2"), options.get("bgp"), options.get("pools") or []
    if l2 is not None and not options.get("kube_proxy_replacement", True):
        yield "l2 without kube_proxy_replacement: Cilium announces only what it serves itself"
    if l2 is not None and not pools:
        yield "l2 without pools: there would be no address to announce"
    if pools and l2 is None and bgp is None:
        yield "pools without l2 and bgp: nobody outside would find their addresses"
    for interface in (l2 or {}).get("interfaces") or ():
        try:
            re.compile(interface)
        except re.error as error:
            yield f"l2.interfaces: {interface!r}: is no regular expression: {error}"
    if bgp is None:
        return
    if not bgp["peers"]:
        yield "bgp without peers: nobody would be told. Name a router"
    names = [peer["name"] for peer in bgp["peers"]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"bgp.peers: two are called {', '.join(twice)}: names must differ"
    for where, number in (
        ("bgp.as_number", bgp["as_number"]),
        *((f"bgp.peers.{peer['name']}.as_number", peer["as_number"]) for peer in bgp["peers"]),
    ):
        if not 1 <= number < 2**32:
            yield f"{where} {number}: from 1 to 4294967295"
    for peer in bgp["peers"]:
        if not _NAME.fullmatch(peer["name"]):
            yield f"bgp.peers.{peer['name']}: a name is a DNS label of at most 42 characters"
        try:
            ip_address(peer["address"])
        except ValueError:
            yield f"bgp.peers.{peer['name']}.address {peer['address']!r}: must be an IP address"


def _pools(options: CiliumOptions) -> Iterator[str]:
    seen: list[tuple[str, int, int, int]] = []
    for pool in options.get("pools") or []:
        where = f"pools.{pool['name']}"
        if not _NAME.fullmatch(pool["name"]):
            yield f"{where}: a name is a DNS label of at most 42 characters"
        if not pool["addresses"]:
            yield f"{where}.addresses: name at least one network or range"
        for text in pool["addresses"]:
            try:
                version, first, last = _span(text)
            except ValueError as error:
                yield f"{where}.addresses: {text!r}: {error}"
                continue
            if any(known[0] == pool["name"] and known[1] != version for known in seen):
                yield f"{where}: has both IPv4 and IPv6: make two pools"
            for name, other, low, high in seen:
                if other == version and low <= last and first <= high:
                    yield f"{where}.addresses: {text} overlaps with pool {name}"
            for network in options["pod_networks"]:
                other, low, high = _span(network)
                if other == version and low <= last and first <= high:
                    yield f"{where}.addresses: {text} overlaps with the pods' network {network}"
            seen.append((pool["name"], version, first, last))


def _span(text: str) -> tuple[int, int, int]:
    """Version, first and last address of a network or a range. Raises ValueError."""
    start, dash, end = text.partition("-")
    if not dash:
        network: IPv4Network | IPv6Network = ip_network(text)
        return network.version, int(network[0]), int(network[-1])
    first, last = ip_address(start.strip()), ip_address(end.strip())
    if first.version != last.version or int(first) > int(last):
        raise ValueError("the first address of a range must not be above its last")
    return first.version, int(first), int(last)


def values(options: CiliumOptions) -> dict[str, Any]:
    """The chart's values. Raises CiliumMistake."""
    refuse_cilium(options)
    native = options.get("routing", "tunnel") == "native"
    families = {ip_network(cidr).version: cidr for cidr in options["pod_networks"]}
    found: dict[str, Any] = {
        # The networks that kubeadm and k3s give to nodes: the rule table has the same.
        "ipam": {"mode": "kubernetes"},
        "ipv4": {"enabled": 4 in families},
        "ipv6": {"enabled": 6 in families},
        "kubeProxyReplacement": options.get("kube_proxy_replacement", True),
        "routingMode": "native" if native else "tunnel",
        "hostFirewall": {"enabled": options.get("host_firewall", False)},
        # A node's address is one of its network's, as the rule table has it.
        "policyCIDRMatchMode": ["nodes"],
        "l2announcements": {"enabled": options.get("l2") is not None},
        "bgpControlPlane": {"enabled": options.get("bgp") is not None},
        # Only where nodes know each other: from outside a NodePort would go round the table.
        "nodePort": {"addresses": list(options["node_networks"])},
        # Nobody here looks at flows; whoever does installs it beside.
        "hubble": {"enabled": False},
        "operator": {"replicas": 1},
    }
    if match := _ENDPOINT.fullmatch(options.get("api_endpoint") or ""):
        found["k8sServiceHost"] = match["host"].strip("[]")
        found["k8sServicePort"] = int(match["port"])
    if native:
        for version, cidr in families.items():
            found[f"ipv{version}NativeRoutingCIDR"] = cidr
        found["autoDirectNodeRoutes"] = options.get("direct_routes", False)
    else:
        found["tunnelProtocol"] = options.get("tunnel_protocol", "vxlan")
    if mtu := options.get("mtu"):
        found["MTU"] = mtu
    if devices := options.get("devices"):
        found["devices"] = list(devices)
    if options.get("bgp"):
        found["bgpControlPlane"]["secretsNamespace"] = {"name": NAMESPACE}
    return found


def objects(options: CiliumOptions) -> dict[str, dict[str, Any]]:
    """Cilium's own objects, by the part of their resource's name: what makes addresses known."""
    found: dict[str, dict[str, Any]] = {}

    def add(part: str, version: str, kind: str, spec: Mapping[str, Any]) -> None:
        metadata: dict[str, Any] = {"name": f"edgefleet-{part}"}
        if kind == "CiliumBGPAdvertisement":
            metadata["labels"] = _ADVERTISED
        found[part] = {
            "apiVersion": f"cilium.io/{version}", "kind": kind, "metadata": metadata,
            "spec": {**spec},
        }  # fmt: skip

    for pool in options.get("pools") or []:
        blocks = [_block(text) for text in pool["addresses"]]
        add(f"pool-{pool['name']}", "v2", "CiliumLoadBalancerIPPool", {"blocks": blocks})
    if (l2 := options.get("l2")) is not None:
        labels = {**_LINUX["matchLabels"], **(l2.get("node_labels") or {})}
        spec: dict[str, Any] = {"loadBalancerIPs": True, "nodeSelector": {"matchLabels": labels}}
        if interfaces := l2.get("interfaces"):
            spec["interfaces"] = list(interfaces)
        add("l2", "v2alpha1", "CiliumL2AnnouncementPolicy", spec)
    if (bgp := options.get("bgp")) is not None:
        _add_bgp(add, options, bgp)
    return found


def _add_bgp(add: Any, options: CiliumOptions, bgp: CiliumBgp) -> None:
    told: list[dict[str, Any]] = []
    if options.get("routing") == "native":
        told.append({"advertisementType": "PodCIDR"})
    if options.get("pools"):
        told.append(
            {
                "advertisementType": "Service",
                "service": {"addresses": ["LoadBalancerIP"]},
                "selector": _ALL_SERVICES,
            }
        )
    add("bgp-advertisement", "v2", "CiliumBGPAdvertisement", {"advertisements": told})
    for peer in bgp["peers"]:
        families = [
            {"afi": afi, "safi": "unicast", "advertisements": {"matchLabels": _ADVERTISED}}
            for afi in sorted({f"ipv{ip_network(cidr).version}" for cidr in _told(options)})
        ]
        spec: dict[str, Any] = {"families": families}
        if peer.get("password"):
            spec["authSecretRef"] = PASSWORD
        add(f"bgp-peer-{peer['name']}", "v2", "CiliumBGPPeerConfig", spec)
    peers = [
        {
            "name": peer["name"],
            "peerASN": peer["as_number"],
            "peerAddress": peer["address"],
            "peerConfigRef": {"name": f"edgefleet-bgp-peer-{peer['name']}"},
        }
        for peer in bgp["peers"]
    ]
    instance = {"name": "edgefleet", "localASN": bgp["as_number"], "peers": peers}
    add("bgp", "v2", "CiliumBGPClusterConfig", {"nodeSelector": _LINUX, "bgpInstances": [instance]})


def _told(options: CiliumOptions) -> list[str]:
    """A network of each family that routers are told of."""
    pools = [text for pool in options.get("pools") or [] for text in pool["addresses"]]
    return [*options["pod_networks"], *(text.partition("-")[0].strip() for text in pools)]


def _block(text: str) -> dict[str, str]:
    first, dash, last = text.partition("-")
    return {"start": first.strip(), "stop": last.strip()} if dash else {"cidr": text}
