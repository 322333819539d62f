"""What clusters are compared by: each trait's value, what the file wants, and why it may differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ops.compare.readings import (
    AS_ASKED,
    NONE,
    address_pool,
    all_nodes,
    all_pods,
    all_records,
    coredns,
    felix_env,
    felix_runs,
    image,
    ingress_config,
    ingress_images,
    joined,
    node_firewall,
    of_cluster,
    of_vultr,
    proxy,
    ready_nodes,
    ready_pods,
    records,
    rules,
    version_end,
    wants_ingress,
    wants_node_firewall,
)
from ops.live.asking import known
from ops.live.seen import RegionSeen

NOT_SEEN = "?"
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
            names |= {n for n in felix_env(cluster) if n.startswith("FELIX_BPF")}
    return [*_HEAD, *(_felix(name) for name in sorted(names)), *_TAIL]


def _felix(name: str) -> Trait:
    def value(seen: RegionSeen) -> str | None:
        cluster = known(seen.cluster)
        return felix_env(cluster).get(name, NONE) if cluster and cluster.calico else None

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


_NEW_NODES = "nodes get theirs when they are made: these were made at another time"
_HEAD = [
    Trait(
        "Kubernetes",
        of_vultr(lambda vultr: vultr.cluster.version if vultr.cluster else "no cluster"),
        lambda seen, value, right: (
            "Vultr upgraded it by itself, or an `up` of the file's version is still due",
            f"say version: {value} in {seen.expected.file}, or pulumi up -s {seen.expected.stack}",
        ),
        lambda seen: seen.expected.version,
    ),
    Trait(
        "its end",
        of_vultr(version_end),
        _by_hand("it follows from the version", "docs/operations.md, Upgrade"),
        # Another day for another version, which its own row tells.
        of_vultr(version_end),
    ),
    Trait(
        "nodes",
        of_cluster(ready_nodes),
        lambda seen, _v, _r: (
            "a node is broken, or on its way",
            f"fleet doctor {seen.expected.stack} --only node",
        ),
        all_nodes,
    ),
    Trait(
        "records",
        records,
        lambda seen, _v, _r: (
            "nodes came or went since the last `up`, or records were changed by hand",
            f"fleet doctor {seen.expected.stack} --only dns",
        ),
        lambda seen: None if seen.expected.withdrawn else all_records(seen),
    ),
    Trait(
        "kernel",
        of_cluster(lambda cluster: joined(n.kernel for n in cluster.nodes)),
        _by_hand(_NEW_NODES, "recycle the nodes in Vultr's console, then pulumi up"),
    ),
    Trait(
        "node's OS",
        of_cluster(lambda cluster: joined(n.os for n in cluster.nodes)),
        _by_hand(_NEW_NODES, "recycle the nodes in Vultr's console, then pulumi up"),
    ),
    Trait(
        "calico-node",
        of_cluster(lambda cluster: image(cluster.calico, "calico-node")),
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
        of_cluster(felix_runs),
        lambda seen, _v, _r: (
            "felix was asked for eBPF and gave it up: its kernel lacks something",
            f"fleet doctor {seen.expected.stack} --only dataplane",
        ),
        lambda _: AS_ASKED,
    ),
    Trait(
        "kube-proxy",
        of_cluster(proxy),
        lambda seen, _v, _r: (
            "clusters from before VKE's eBPF run it",
            f"say calico.kubeProxy: stopped in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}",
        ),
    ),
    Trait(
        "address pool",
        of_cluster(address_pool),
        lambda seen, _v, _r: (
            "the pool is as it was when the cluster was made",
            f"say calico.encapsulation in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}",
        ),
    ),
    Trait(
        "pods' MTU",
        of_cluster(
            lambda cluster: str(cluster.veth_mtu) if cluster.veth_mtu else "found by Calico"
        ),
        _by_hand("somebody changed calico-config", "set calico.mtu alike in all stack files"),
    ),
    Trait(
        "CoreDNS",
        of_cluster(coredns),
        _by_hand(
            "somebody changed its Corefile, or VKE's is another since this cluster was made",
            "kubectl -n kube-system get configmap coredns -o yaml, in both; then edit one",
        ),
    ),
    Trait(
        "CoreDNS image",
        of_cluster(lambda cluster: image(cluster.coredns, "coredns")),
        _by_hand("VKE brings it with a version of Kubernetes", "upgrade: docs/operations.md"),
    ),
    Trait("ingress", of_cluster(ingress_images), _up("an `up` is still due"), wants_ingress),
    Trait(
        "ingress pods",
        of_cluster(lambda cluster: ready_pods(cluster.ingress)),
        lambda seen, _v, _r: (
            "a pod is missing or not ready",
            f"fleet doctor {seen.expected.stack} --only process",
        ),
        all_pods,
    ),
    Trait(
        "ingress config",
        ingress_config,
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
        node_firewall,
        lambda seen, _v, _r: (
            "a node can't take the table, or an `up` is still due",
            f"fleet doctor {seen.expected.stack} --only node-firewall",
        ),
        wants_node_firewall,
    ),
]
