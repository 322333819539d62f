"""A trait's value, read from what was seen; None where it wasn't."""

from collections.abc import Callable, Iterable
from hashlib import sha256

from components.firewall.cloud_rules import compared
from ops.live.asking import Unasked, known
from ops.live.ends import end_of
from ops.live.facts import ClusterFacts, Workload
from ops.live.seen import RegionSeen

NONE = "(none)"
NOT_VULTRS = "(not Vultr's)"
AS_ASKED = "what it is asked for"


def of_cluster(read: Callable[[ClusterFacts], str | None]) -> Callable[[RegionSeen], str | None]:
    """A reading of the cluster, None where that wasn't seen."""

    def value(seen: RegionSeen) -> str | None:
        cluster = known(seen.cluster)
        return None if cluster is None else read(cluster)

    return value


def felix_env(cluster: ClusterFacts) -> dict[str, str]:
    """calico-node's variables."""
    return dict(cluster.calico.env) if cluster.calico else {}


def joined(values: Iterable[str]) -> str:
    """The different ones of several."""
    return ", ".join(sorted(set(values))) or NONE


def felix_runs(cluster: ClusterFacts) -> str | None:
    """Whether felix does what its variables ask for: these have rows of their own."""
    if isinstance(cluster.fell_back, Unasked):
        return None
    return f"fell back on {', '.join(cluster.fell_back)}" if cluster.fell_back else AS_ASKED


def proxy(cluster: ClusterFacts) -> str:
    """kube-proxy in a word: absent, parked, or its mode."""
    found = cluster.kube_proxy
    if found is None:
        return "absent"
    return f"{cluster.kube_proxy_mode}, {found.desired} pods" if found.desired else "parked"


def coredns(cluster: ClusterFacts) -> str:
    """Whom CoreDNS asks, and a digest of its Corefile."""
    if cluster.corefile is None:
        return "no Corefile"
    lines = [line.strip() for line in cluster.corefile.splitlines() if line.strip()]
    asks = [" ".join(line.split()[1:3]) for line in lines if line.startswith("forward ")]
    upstream = f"asks {'; '.join(asks)}" if asks else "asks nobody"
    return f"{upstream} #{digest(lines)}"


def digest(parts: Iterable[str]) -> str:
    """Six digits that tell texts apart."""
    return sha256("\n".join(parts).encode()).hexdigest()[:6]


def image(workload: Workload | None, name: str) -> str:
    """Of one container."""
    return workload.images.get(name, NONE) if workload else NONE


def ingress_images(cluster: ClusterFacts) -> str:
    """Of the ingress, its canary's too."""
    return joined(filter(None, (workload.image for workload in cluster.ingress)))


def wants_ingress(seen: RegionSeen) -> str:
    """As the file says."""
    return joined(filter(None, (seen.expected.ingress_image, seen.expected.canary)))


def ingress_config(seen: RegionSeen) -> str | None:
    """Without what has to differ: the region's own name in it."""
    cluster = known(seen.cluster)
    if cluster is None:
        return None
    if not cluster.config:
        return NONE
    region = seen.expected.region
    own = (seen.expected.hostname, f"x-edge-region {region} ", f'"x-edge-region": "{region}"')
    parts: list[str] = []
    for key, value in sorted(cluster.config.items()):
        for name in own:
            value = value.replace(name, "…")
        parts.append(f"{key}={value}")
    return f"{len(parts)} keys #{digest(parts)}"


def ready_nodes(cluster: ClusterFacts) -> str:
    """How many, of how many."""
    return f"{len(cluster.ready_nodes)} of {len(cluster.nodes)} ready"


def all_nodes(seen: RegionSeen) -> str | None:
    """As many as there are."""
    cluster = known(seen.cluster)
    return f"{len(cluster.nodes)} of {len(cluster.nodes)} ready" if cluster else None


def ready_pods(workloads: Iterable[Workload]) -> str:
    """How many, of how many."""
    found = list(workloads)
    return f"{sum(w.ready for w in found)} of {sum(w.desired for w in found)} ready"


def all_pods(seen: RegionSeen) -> str | None:
    """One on each node that serves."""
    cluster = known(seen.cluster)
    if cluster is None:
        return None
    serving = sum(map(seen.serves, cluster.nodes))
    if seen.expected.given:
        # The ingress may run on nodes without records, too: a control plane's.
        serving = max(serving, sum(workload.desired for workload in cluster.ingress))
    return f"{serving} of {serving} ready"


def records(seen: RegionSeen) -> str | None:
    """How many name a node that serves, and how many name none."""
    records = known(seen.records)
    if records is None or seen.addresses is None or seen.due is None:
        return None
    right = sum(r.content in seen.due for r in records)
    wrong = sum(r.content not in seen.addresses for r in records)
    return f"{right} right, {wrong} wrong"


def all_records(seen: RegionSeen) -> str | None:
    """One for each address."""
    return None if seen.due is None else f"{len(seen.due)} right, 0 wrong"


def rules(seen: RegionSeen) -> str | None:
    """The firewall group against the table."""
    if seen.expected.given:
        return NOT_VULTRS
    vultr = known(seen.vultr)
    if vultr is None or vultr.cluster is None:
        return None
    missing, foreign = compared(seen.expected.rules.values(), vultr.rules)
    told = [f"{len(missing)} missing"] if missing else []
    told += [
        f"also {r['protocol']} {r.get('port') or 'all'} from {r['subnet']}/{r['subnet_size']}"
        for r in foreign
    ]
    return ", ".join(told) or "as the table"


def node_firewall(seen: RegionSeen) -> str | None:
    """Its mode, and how many nodes are in step."""
    cluster = known(seen.cluster)
    if cluster is None:
        return None
    found = cluster.node_firewall
    if found is None:
        return NONE
    right = sum(pod.ready and pod.files == found.files for pod in found.pods)
    return f"{next(iter(found.args), '?')}, {right} of {found.desired} in step"


def wants_node_firewall(seen: RegionSeen) -> str | None:
    """As the file says, on all nodes."""
    cluster, wanted = known(seen.cluster), seen.expected.node_firewall
    if cluster is None:
        return None
    count = cluster.node_firewall.desired if cluster.node_firewall else len(cluster.nodes)
    return f"{wanted.mode}, {count} of {count} in step" if wanted else NONE


def address_pool(cluster: ClusterFacts) -> str:
    """How it encapsulates."""
    pool = cluster.pool
    return f"IPIP {pool.get('ipipMode', '?')}, VXLAN {pool.get('vxlanMode', '?')}"


def wants_rules(seen: RegionSeen) -> str | None:
    """What the file says of the firewall group."""
    if seen.expected.given:
        return NOT_VULTRS
    return "as the table" if rules(seen) else None


def version(seen: RegionSeen) -> str | None:
    """Of Kubernetes: as Vultr names it, and of other clusters as they say it themselves."""
    if seen.expected.given:
        cluster = known(seen.cluster)
        return cluster.version if cluster else None
    vultr = known(seen.vultr)
    if vultr is None:
        return None
    return vultr.cluster.version if vultr.cluster else "no cluster"


def version_end(seen: RegionSeen) -> str | None:
    """The day, as far as it is known."""
    found = version(seen)
    if found in (None, "no cluster"):
        return None
    end = end_of(found or "")
    return str(end) if end else "not known"


def maker(seen: RegionSeen) -> str:
    """What made the cluster: "VKE", or what its version names (v1.35.5+k3s1: "k3s")."""
    if seen.expected.given is None:
        return "VKE"
    suffix = (version(seen) or "").partition("+")[2]
    return suffix.rstrip("0123456789.-") or "kubeadm or the like"
