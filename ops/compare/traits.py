"""What clusters are compared by: each trait's value, what the file wants, and why it may differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from components.firewall.cloud_rules import match_of
from ops.live.asking import Unasked, known
from ops.live.ends import end_of
from ops.live.facts import ClusterFacts, VultrFacts, Workload
from ops.live.looking import RegionSeen

NOT_SEEN = "?"
NONE = "(none)"
_AS_ASKED = "what it is asked for"
EBPF_SINCE = "2024-11-13"
"""VKE makes clusters with Calico's eBPF from then on (docs/facts/vultr.md §3)."""

Explained = tuple[str, str]


def _nobody(_: RegionSeen) -> str | None:
    return None


@dataclass(frozen=True)
class Trait:
    """`value` is None where it wasn't seen; `wanted` where no file says it. `explain` gets the
    cluster, its value and the right one, and gives why that may be and what settles it."""

    name: str
    value: Callable[[RegionSeen], str | None]
    explain: Callable[[RegionSeen, str, str], Explained]
    wanted: Callable[[RegionSeen], str | None] = _nobody


def of(seen: Sequence[RegionSeen]) -> list[Trait]:
    """The traits of these clusters: a row for each of felix's variables that one has or wants."""
    names = {n for each in seen for n in each.expected.calico["environment"]}
    for each in seen:
        if cluster := known(each.cluster):
            names |= {n for n in _env(cluster) if n.startswith("FELIX_BPF")}
    return [*_HEAD, *(_felix(name) for name in sorted(names)), *_TAIL]


def _felix(name: str) -> Trait:
    def value(seen: RegionSeen) -> str | None:
        cluster = known(seen.cluster)
        return _env(cluster).get(name, NONE) if cluster and cluster.calico else None

    def wanted(seen: RegionSeen) -> str:
        return str(seen.expected.calico["environment"].get(name, NONE))

    return Trait(name, value, _why_felix, wanted)


def _why_felix(seen: RegionSeen, value: str, _: str) -> Explained:
    vultr, up = known(seen.vultr), f"pulumi up -s {seen.expected.stack}"
    made = (vultr.created if vultr else "")[:10]
    if value == NONE and made and made < EBPF_SINCE:
        return (
            f"the cluster was made on {made}, before VKE made clusters with eBPF ({EBPF_SINCE}): "
            "the variable was never there",
            up,
        )
    if value == NONE:
        return "somebody took it away, or wrote calico-node anew, as an upgrade by VKE does", up
    return "somebody set it by hand: kubectl set env, or another manifest", up


def _up(why: str) -> Callable[[RegionSeen, str, str], Explained]:
    return lambda seen, _value, _right: (why, f"pulumi up -s {seen.expected.stack}")


def _by_hand(why: str, do: str) -> Callable[[RegionSeen, str, str], Explained]:
    return lambda _seen, _value, _right: (why, do)


def _cluster(read: Callable[[ClusterFacts], str | None]) -> Callable[[RegionSeen], str | None]:
    def value(seen: RegionSeen) -> str | None:
        cluster = known(seen.cluster)
        return None if cluster is None else read(cluster)

    return value


def _vultr(read: Callable[[VultrFacts], str | None]) -> Callable[[RegionSeen], str | None]:
    def value(seen: RegionSeen) -> str | None:
        vultr = known(seen.vultr)
        return None if vultr is None else read(vultr)

    return value


def _env(cluster: ClusterFacts) -> dict[str, str]:
    return dict(cluster.calico.env) if cluster.calico else {}


def _each(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or NONE


def _runs(cluster: ClusterFacts) -> str | None:
    """Whether felix does what its variables ask for: these have rows of their own."""
    if isinstance(cluster.fell_back, Unasked):
        return None
    return f"fell back on {', '.join(cluster.fell_back)}" if cluster.fell_back else _AS_ASKED


def proxy(cluster: ClusterFacts) -> str:
    """kube-proxy in a word: absent, parked, or its mode."""
    found = cluster.kube_proxy
    if found is None:
        return "absent"
    return f"{cluster.kube_proxy_mode}, {found.desired} pods" if found.desired else "parked"


def _dns(cluster: ClusterFacts) -> str:
    if cluster.corefile is None:
        return "no Corefile"
    lines = [line.strip() for line in cluster.corefile.splitlines() if line.strip()]
    asks = [" ".join(line.split()[1:3]) for line in lines if line.startswith("forward ")]
    upstream = f"asks {'; '.join(asks)}" if asks else "asks nobody"
    return f"{upstream} #{_digest(lines)}"


def _digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:6]


def _main(workload: Workload | None, name: str) -> str:
    return workload.images.get(name, NONE) if workload else NONE


def _ingress(cluster: ClusterFacts) -> str:
    return _each(filter(None, (workload.image for workload in cluster.ingress)))


def _wants_ingress(seen: RegionSeen) -> str:
    return _each(filter(None, (seen.expected.ingress_image, seen.expected.canary)))


def _config(seen: RegionSeen) -> str | None:
    """Without what has to differ: the region's own name in it."""
    cluster = known(seen.cluster)
    if cluster is None:
        return None
    if not cluster.config:
        return NONE
    own = (seen.expected.hostname, f"x-edge-region {seen.expected.region} ")
    parts: list[str] = []
    for key, value in sorted(cluster.config.items()):
        for name in own:
            value = value.replace(name, "…")
        parts.append(f"{key}={value}")
    return f"{len(parts)} keys #{_digest(parts)}"


def _nodes(cluster: ClusterFacts) -> str:
    return f"{len(cluster.ready_nodes)} of {len(cluster.nodes)} ready"


def _all_nodes(seen: RegionSeen) -> str | None:
    cluster = known(seen.cluster)
    return f"{len(cluster.nodes)} of {len(cluster.nodes)} ready" if cluster else None


def _pods(workloads: Iterable[Workload]) -> str:
    found = list(workloads)
    return f"{sum(w.ready for w in found)} of {sum(w.desired for w in found)} ready"


def _all_pods(seen: RegionSeen) -> str | None:
    cluster = known(seen.cluster)
    if cluster is None:
        return None
    serving = sum(node.pool not in seen.expected.apart for node in cluster.nodes)
    return f"{serving} of {serving} ready"


def _records(seen: RegionSeen) -> str | None:
    records = known(seen.records)
    if records is None or seen.addresses is None:
        return None
    pointing = sum(r.content in seen.addresses for r in records)
    return f"{pointing} right, {len(records) - pointing} wrong"


def _all_records(seen: RegionSeen) -> str | None:
    if seen.addresses is None:
        return None
    return f"{len(seen.addresses)} right, 0 wrong"


def rules(seen: RegionSeen) -> str | None:
    """The firewall group against the table."""
    vultr = known(seen.vultr)
    if vultr is None or vultr.cluster is None:
        return None
    wanted = {match_of(rule) for rule in seen.expected.rules.values()}
    live = {match_of(rule): rule for rule in vultr.rules}
    missing = len(wanted - live.keys())
    foreign = [rule for match, rule in live.items() if match not in wanted]
    told = [f"{missing} missing"] if missing else []
    told += [
        f"also {r['protocol']} {r.get('port') or 'all'} from {r['subnet']}/{r['subnet_size']}"
        for r in foreign
    ]
    return ", ".join(told) or "as the table"


def _node_firewall(seen: RegionSeen) -> str | None:
    cluster = known(seen.cluster)
    if cluster is None:
        return None
    found = cluster.node_firewall
    if found is None:
        return NONE
    right = sum(pod.ready and pod.files == found.files for pod in found.pods)
    return f"{next(iter(found.args), '?')}, {right} of {found.desired} in step"


def _wants_node_firewall(seen: RegionSeen) -> str | None:
    cluster, wanted = known(seen.cluster), seen.expected.node_firewall
    if cluster is None:
        return None
    count = cluster.node_firewall.desired if cluster.node_firewall else len(cluster.nodes)
    return f"{wanted.mode}, {count} of {count} in step" if wanted else NONE


def _pool(cluster: ClusterFacts) -> str:
    pool = cluster.pool
    return f"IPIP {pool.get('ipipMode', '?')}, VXLAN {pool.get('vxlanMode', '?')}"


def _end(vultr: VultrFacts) -> str | None:
    if vultr.cluster is None:
        return None
    end = end_of(vultr.cluster.version)
    return str(end) if end else "not known"


_NEW_NODES = "nodes get theirs when they are made: these were made at another time"
_HEAD = [
    Trait(
        "Kubernetes",
        _vultr(lambda vultr: vultr.cluster.version if vultr.cluster else "no cluster"),
        lambda seen, value, right: (
            "Vultr upgraded it by itself, or an `up` of the file's version is still due",
            f"say version: {value} in {seen.expected.file}, or pulumi up -s {seen.expected.stack}",
        ),
        lambda seen: seen.expected.version,
    ),
    Trait(
        "its end",
        _vultr(_end),
        _by_hand("it follows from the version", "docs/operations.md, Upgrade"),
        # Another day for another version, which its own row tells.
        _vultr(_end),
    ),
    Trait(
        "nodes",
        _cluster(_nodes),
        lambda seen, _v, _r: (
            "a node is broken, or on its way",
            f"fleet doctor {seen.expected.stack} --only node",
        ),
        _all_nodes,
    ),
    Trait(
        "records",
        _records,
        lambda seen, _v, _r: (
            "nodes came or went since the last `up`, or records were changed by hand",
            f"fleet doctor {seen.expected.stack} --only dns",
        ),
        lambda seen: None if seen.expected.withdrawn else _all_records(seen),
    ),
    Trait(
        "kernel",
        _cluster(lambda cluster: _each(n.kernel for n in cluster.nodes)),
        _by_hand(_NEW_NODES, "recycle the nodes in Vultr's console, then pulumi up"),
    ),
    Trait(
        "node's OS",
        _cluster(lambda cluster: _each(n.os for n in cluster.nodes)),
        _by_hand(_NEW_NODES, "recycle the nodes in Vultr's console, then pulumi up"),
    ),
    Trait(
        "calico-node",
        _cluster(lambda cluster: _main(cluster.calico, "calico-node")),
        lambda seen, _v, right: (
            "VKE brings the release of the day that a cluster is made or upgraded"
            if not seen.expected.calico["images"]
            else "VKE or somebody else set another image",
            f"say calico.version in {seen.expected.file}, then pulumi up -s {seen.expected.stack}",
        ),
        lambda seen: seen.expected.calico["images"].get("calico-node"),
    ),
]
_TAIL = [
    Trait(
        "felix runs",
        _cluster(_runs),
        lambda seen, _v, _r: (
            "felix was asked for eBPF and gave it up: its kernel lacks something",
            f"fleet doctor {seen.expected.stack} --only dataplane",
        ),
        lambda _: _AS_ASKED,
    ),
    Trait(
        "kube-proxy",
        _cluster(proxy),
        lambda seen, _v, _r: (
            "clusters from before VKE's eBPF run it",
            f"say calico.kubeProxy: stopped in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}",
        ),
    ),
    Trait(
        "address pool",
        _cluster(_pool),
        lambda seen, _v, _r: (
            "the pool is as it was when the cluster was made",
            f"say calico.encapsulation in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}",
        ),
    ),
    Trait(
        "pods' MTU",
        _cluster(lambda cluster: str(cluster.veth_mtu) if cluster.veth_mtu else "found by Calico"),
        _by_hand("somebody changed calico-config", "set calico.mtu alike in all stack files"),
    ),
    Trait(
        "CoreDNS",
        _cluster(_dns),
        _by_hand(
            "somebody changed its Corefile, or VKE's is another since this cluster was made",
            "kubectl -n kube-system get configmap coredns -o yaml, in both; then edit one",
        ),
    ),
    Trait(
        "CoreDNS image",
        _cluster(lambda cluster: _main(cluster.coredns, "coredns")),
        _by_hand("VKE brings it with a version of Kubernetes", "upgrade: docs/operations.md"),
    ),
    Trait("ingress", _cluster(_ingress), _up("an `up` is still due"), _wants_ingress),
    Trait(
        "ingress pods",
        _cluster(lambda cluster: _pods(cluster.ingress)),
        lambda seen, _v, _r: (
            "a pod is missing or not ready",
            f"fleet doctor {seen.expected.stack} --only process",
        ),
        _all_pods,
    ),
    Trait(
        "ingress config",
        _config,
        lambda seen, _v, _r: (
            "its ConfigMap was changed by hand, or the stack files say different things",
            f"fleet drift {seen.expected.stack}; fleet render --json",
        ),
    ),
    Trait(
        "cloud firewall",
        rules,
        lambda seen, _v, _r: (
            "rules were added or deleted in Vultr's console",
            f"fleet doctor {seen.expected.stack} --only cloud-firewall",
        ),
        lambda seen: "as the table" if rules(seen) else None,
    ),
    Trait(
        "node firewall",
        _node_firewall,
        lambda seen, _v, _r: (
            "a node can't take the table, or an `up` is still due",
            f"fleet doctor {seen.expected.stack} --only node-firewall",
        ),
        _wants_node_firewall,
    ),
]
