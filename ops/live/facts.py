"""What the readers found, as plain values. Nothing here is a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from components.cluster.node_objects import NodesSeen
from components.vendors.vultr_cluster import LiveCluster
from ops.live.asking import Unasked


@dataclass(frozen=True)
class NodeFacts:
    """A node as its cluster knows it. `id` is Vultr's, `pool` its pool's label.

    `problems` are conditions that a kubelet reports and that should not hold (DiskPressure).
    """

    name: str
    id: str
    pool: str
    ready: bool
    why: str = ""
    problems: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    version: str = ""
    kernel: str = ""
    os: str = ""


@dataclass(frozen=True)
class PodFacts:
    """A pod; `why` says what it waits for, where it isn't ready."""

    name: str
    node: str
    ready: bool
    image: str = ""
    why: str = ""
    args: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workload:
    """A DaemonSet or a Deployment. `images` and `env` are by container; `env` of plain values.
    `files` and `secrets` are names of the ConfigMaps and Secrets that its pods mount."""

    namespace: str
    name: str
    desired: int
    ready: int
    images: Mapping[str, str] = field(default_factory=dict[str, str])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    args: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    pods: tuple[PodFacts, ...] = ()

    @property
    def image(self) -> str:
        """Of the main container: init containers come first."""
        return list(self.images.values())[-1] if self.images else ""


@dataclass(frozen=True)
class Certificate:
    """What a certificate says of itself."""

    hosts: tuple[str, ...]
    begins: datetime
    ends: datetime
    issuer: str


@dataclass(frozen=True)
class ServiceFacts:
    """The ingress's Service: the addresses that it was given, the nodes that answer ARP and NDP for
    them, as MetalLB has it, and MetalLB's newest complaint."""

    addresses: tuple[str, ...]
    announcers: tuple[str, ...] = ()
    complaint: str = ""


@dataclass(frozen=True)
class ClusterFacts:
    """A cluster, as its API server tells it.

    Attributes:
        kube_proxy: None where there is none; with no pods it is parked.
        kube_proxy_mode: as its ConfigMap says, "" where there is none.
        corefile: CoreDNS's configuration, None where it is missing.
        ingress: the DaemonSets of the ingress, its canary's too.
        config: the ingress's ConfigMaps.
        certificate: of the ingress, for hosts that bring none; `Unasked` where it can't be read.
        node_firewall: the keeper of the nodes' ufw.
        networks: DaemonSets of other CNIs that run pods, as `namespace/name`.
        pool: fields of Calico's address pool; `felix` those of its FelixConfiguration.
        veth_mtu: of the pods' interfaces, 0 where Calico finds it itself.
        fell_back: nodes whose felix said that it gave eBPF up; `Unasked` where no log was seen.
        shown: what the last requests for the site's hosts showed of Cloudflare's client
            certificate (SUCCESS, NONE, FAILED:why), counted; `Unasked` where no log was seen.
        bad_ingresses: what the ingress refused: `namespace/name: why`.
        service: the one in front of the ingress; None where there is none.
    """

    version: str
    nodes: tuple[NodeFacts, ...]
    calico: Workload | None
    kube_proxy: Workload | None
    kube_proxy_mode: str
    corefile: str | None
    coredns: Workload | None
    ingress: tuple[Workload, ...]
    config: Mapping[str, str]
    certificate: Certificate | Unasked | None
    node_firewall: Workload | None
    networks: tuple[str, ...] = ()
    pool: Mapping[str, Any] = field(default_factory=dict[str, Any])
    felix: Mapping[str, Any] = field(default_factory=dict[str, Any])
    veth_mtu: int = 0
    fell_back: tuple[str, ...] | Unasked = ()
    shown: Mapping[str, int] | Unasked = field(default_factory=dict[str, int])
    bad_ingresses: tuple[str, ...] = ()
    service: ServiceFacts | None = None

    @property
    def ready_nodes(self) -> frozenset[str]:
        """Names of the nodes that are ready: of others nothing else can be expected."""
        return frozenset(node.name for node in self.nodes if node.ready)


@dataclass(frozen=True)
class GivenFacts:
    """A cluster that somebody else made, as its kubeconfig opens it.

    Attributes:
        identity: of the cluster that was opened, by the UID of its kube-system.
        made_in: of the one that the stack was made in; "" where it wasn't yet, or isn't known.
        nodes: which of its nodes can serve, and where.
        mistake: an address that somebody wrote down and that can't be one; then no node is known.
    """

    identity: str
    made_in: str = ""
    nodes: NodesSeen = field(default_factory=lambda: NodesSeen((), (), ()))
    mistake: str = ""

    @property
    def other(self) -> bool:
        """Whether it is another cluster than the stack's: nothing in it is then looked at."""
        return bool(self.made_in) and self.made_in != self.identity


@dataclass(frozen=True)
class VultrFacts:
    """A stack's cluster at Vultr; `cluster` is None where Vultr has none of its label.

    `rules` are those of its firewall group, as the API gives them; `twins` other clusters of its
    label.
    """

    cluster: LiveCluster | None
    created: str = ""
    rules: tuple[Mapping[str, Any], ...] = ()
    upgrades: tuple[str, ...] = ()
    twins: int = 0


@dataclass(frozen=True)
class Record:
    """A DNS record at Cloudflare."""

    id: str
    name: str
    type: str
    content: str
    proxied: bool
    comment: str = ""


@dataclass(frozen=True)
class Route:
    """What answers a pattern of URLs; `script` is "" where that is nobody."""

    id: str
    pattern: str
    script: str


@dataclass(frozen=True)
class Verdict:
    """What the Worker's probe found of a region. `confirmed` is when it last did."""

    up: bool
    confirmed: datetime
    detail: str


@dataclass(frozen=True)
class EdgeFacts:
    """The Worker and what belongs to it. `sha256` is that of its main module, "" where there is no
    Worker. `pulls_end` is when the client certificates end that Cloudflare shows to origins."""

    routes: tuple[Route, ...] = ()
    sha256: str = ""
    config: str = ""
    bindings: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict[str, Verdict])
    pulls: bool = False
    pulls_end: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class WebAnswer:
    """What a URL answered: its status and the region that the answer names."""

    status: int
    region: str


@dataclass(frozen=True)
class StateFacts:
    """A stack in Pulumi's state. `locks` say who holds it; `pending` what was cut off."""

    locks: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
