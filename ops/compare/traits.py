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
    proxy,
    ready_nodes,
    ready_pods,
    records,
    rules,
    version,
    version_end,
    wants_ingress,
    wants_node_firewall,
    wants_rules,
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
    cluster, its value and the right one, and gives why that may be and what settles it. What is
    `makers` comes from what made a cluster: it is held against clusters of the same maker alone."""

    name: str
    value: Callable[[RegionSeen], str | None]
    explain: Callable[[RegionSeen, str, str], Explained]
    wanted: Callable[[RegionSeen], str | None] = _nobody
    makers: bool = False


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


def _why_nodes(seen: RegionSeen, _value: str, _right: str) -> Explained:
    why = "nodes get theirs when they are made: these were made at another time"
    if seen.expected.given:
        return why, "upgrade their operating systems alike"
    return why, "recycle the nodes in Vultr's console, then pulumi up"


_HEAD = [
    Trait(
        "Kubernetes",
        version,
        lambda seen, value, right: (
            ("they were upgraded at other times", "docs/bare-metal.md, Upgrade")
            if seen.expected.given
            else (
                "Vultr upgraded it by itself, or an `up` of the file's version is still due",
                f"say version: {value} in {seen.expected.file}, or "
                f"pulumi up -s {seen.expected.stack}",
            )
        ),
        lambda seen: seen.expected.version or None,
        makers=True,
    ),
    Trait(
        "its end",
        version_end,
        _by_hand("it follows from the version", "docs/operations.md, Upgrade"),
        # Another day for another version, which its own row tells.
        version_end,
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
        _why_nodes,
        makers=True,
    ),
    Trait(
        "node's OS",
        of_cluster(lambda cluster: joined(n.os for n in cluster.nodes)),
        _why_nodes,
        makers=True,
    ),
    Trait(
        "calico-node",
        of_cluster(lambda cluster: image(cluster.calico, "calico-node")),
        lambda seen, _v, right: (
            "who makes a cluster brings the release of that day, VKE with an upgrade, too"
            if not seen.expected.calico["images"]
            else "VKE or somebody else set another image",
            f"say calico.version in {seen.expected.file}, then pulumi up -s {seen.expected.stack}",
        ),
        lambda seen: seen.expected.calico["images"].get("calico-node"),
        makers=True,
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
        makers=True,
    ),
    Trait(
        "address pool",
        of_cluster(address_pool),
        lambda seen, _v, _r: (
            "the pool is as it was when the cluster was made",
            f"say calico.encapsulation in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}",
        ),
        makers=True,
    ),
    Trait(
        "pods' MTU",
        of_cluster(
            lambda cluster: str(cluster.veth_mtu) if cluster.veth_mtu else "found by Calico"
        ),
        _by_hand("somebody changed calico-config", "set calico.mtu alike in all stack files"),
        makers=True,
    ),
    Trait(
        "CoreDNS",
        of_cluster(coredns),
        _by_hand(
            "somebody changed its Corefile, or VKE's is another since this cluster was made",
            "kubectl -n kube-system get configmap coredns -o yaml, in both; then edit one",
        ),
        makers=True,
    ),
    Trait(
        "CoreDNS image",
        of_cluster(lambda cluster: image(cluster.coredns, "coredns")),
        _by_hand("it comes with a version of Kubernetes", "upgrade: docs/operations.md"),
        makers=True,
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
        wants_rules,
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
