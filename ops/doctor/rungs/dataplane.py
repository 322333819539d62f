"""The dataplane: calico-node as the file says, felix as it runs, kube-proxy, CoreDNS."""

import re
from collections.abc import Iterator
from datetime import datetime

from components.dataplane.kernels import advice, stuck
from ops.doctor.finding import Blind, Finding, Note, Told, some
from ops.live.asking import Unasked
from ops.live.facts import ClusterFacts, Workload
from ops.live.seen import RegionSeen

_NIC_MTU = 1500
_VXLAN = 50
"""Bytes that VXLAN takes of each packet (docs/facts/calico-ingress.md §2)."""
_DEBUG = "kubectl -n kube-system exec ds/calico-node -c calico-node -- calico-node -bpf nat dump"


def of_region(seen: RegionSeen, _: datetime) -> Iterator[Told]:
    """What is set, what runs, what stands beside it; a probe's word counts where that is right."""
    stack, cluster = seen.expected.stack, seen.cluster
    if isinstance(cluster, Unasked):
        yield Blind("its API server", stack, cluster.cause)
        return
    if cluster.calico is None:
        yield _finding(
            seen,
            "calico-missing",
            "there is no DaemonSet kube-system/calico-node",
            "No pod gets a network on new nodes, and nobody balances services.",
            "apply Calico's manifest or operator anew, in the release that ran"
            if seen.expected.given
            else "Vultr's support: the cluster's own Calico is gone",
        )
        return
    yield from _felix(seen, cluster, cluster.calico)
    yield from _beside(seen, cluster)
    yield from _mtu(seen, cluster)
    yield from _names(seen, cluster)
    yield from _probed(seen)


def _felix(seen: RegionSeen, cluster: ClusterFacts, calico: Workload) -> Iterator[Told]:
    stack, wanted = seen.expected.stack, seen.expected.calico
    wrong = [
        f"{name} is {calico.env.get(name, 'not there')}, not {value}"
        for name, value in sorted(wanted["environment"].items())
        if calico.env.get(name) != value
    ]
    if wrong:
        parked = cluster.kube_proxy is None or not cluster.kube_proxy.desired
        serves = " kube-proxy doesn't run either: nobody serves the cluster's services." * parked
        yield _finding(
            seen,
            "felix-environment",
            some(wrong),
            f"felix runs otherwise than in the other clusters.{serves} Requests from pods to "
            "services may hang.",
            f"pulumi up -s {stack}",
        )
    elif (fell_back := _fell_back(seen, cluster)) and wanted["dataplane"] == "ebpf":
        yield _finding(
            seen,
            "felix-fell-back",
            f"felix gave eBPF up on {some(fell_back)}",
            "It carries on with iptables, says that it is ready, and what it should balance "
            "hangs: the kernel lacks something.",
            "a kernel of these nodes that has it (docs/dataplane.md), then restart them"
            if seen.expected.given
            else "recycle these nodes in Vultr's console; if it stays so, another version: "
            "docs/dataplane.md",
        )
    elif isinstance(cluster.fell_back, Unasked):
        yield Note("dataplane", stack, cluster.fell_back.cause)
    yield from _kernels(seen, cluster, calico)
    for container, image in sorted(wanted["images"].items()):
        if calico.images.get(container) != image:
            yield _finding(
                seen,
                "calico-image",
                f"{container}: {calico.images.get(container, 'none')}, not {image}",
                "Another release of Calico runs than the file pins.",
                f"pulumi up -s {stack}",
            )
    pods = {pod.node: pod for pod in calico.pods}
    for node in sorted(cluster.ready_nodes):
        pod = pods.get(node)
        if pod is None or not pod.ready:
            yield _finding(
                seen,
                "calico-pod",
                (pod.why or f"{node}: not ready") if pod else f"{node}: no pod of calico-node",
                "Pods on this node have no network, or an old one.",
                f"kubectl -n kube-system describe pod {pod.name}"
                if pod
                else "kubectl -n kube-system describe daemonset calico-node",
            )


def _kernels(seen: RegionSeen, cluster: ClusterFacts, calico: Workload) -> Iterator[Finding]:
    release = re.search(r":(v\d+\.\d+\.\d+)", calico.images.get("calico-node", ""))
    if release is None or seen.expected.calico["dataplane"] != "ebpf":
        return
    if found := stuck({n.name: n.kernel for n in cluster.nodes}, release[1]):
        yield _finding(
            seen,
            "felix-kernel",
            f"Calico {release[1]} on {some(found)}",
            "This release's eBPF can't start on such a kernel: felix panics and starts again, for "
            "ever, and new pods get no network.",
            f"say calico.version: {advice(release[1])} or newer in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}",
        )


def _fell_back(seen: RegionSeen, cluster: ClusterFacts) -> list[str]:
    """Nodes whose felix runs without eBPF: by its log, or by what a probe saw of it."""
    told = () if isinstance(cluster.fell_back, Unasked) else cluster.fell_back
    probed = (n for n, p in seen.probes.items() if not isinstance(p, Unasked) and p.fell_back)
    return sorted({*told, *probed} & cluster.ready_nodes)


def _beside(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Finding]:
    stack, wanted, proxy = seen.expected.stack, seen.expected.calico, cluster.kube_proxy
    runs, ebpf = bool(proxy and proxy.desired), wanted["dataplane"] == "ebpf"
    if runs and ebpf and wanted["kubeProxy"] != "left":
        yield _finding(
            seen,
            "kube-proxy-beside",
            f"kube-proxy ({cluster.kube_proxy_mode}) runs on {proxy.desired if proxy else 0} nodes",
            "Two balance the same services: felix removes kube-proxy's rules, which puts them "
            "back, for ever.",
            f"say calico.kubeProxy: stopped in {seen.expected.file}, then pulumi up -s {stack}",
        )
    if not runs and (not ebpf or wanted["kubeProxy"] == "left"):
        yield _finding(
            seen,
            "kube-proxy-missing",
            "kube-proxy runs nowhere",
            "Nobody serves the cluster's services: the file has felix leave that to it.",
            f"pulumi up --refresh -s {stack}; kubectl -n kube-system describe ds kube-proxy",
        )
    if cluster.networks:
        namespace, _, name = cluster.networks[0].rpartition("/")
        yield _finding(
            seen,
            "network-beside",
            f"{some([*cluster.networks])} runs, too",
            "Two networks write the same routes and hooks: leftovers of the other drop packets.",
            f"kubectl -n {namespace} delete daemonset {name}, then recycle the nodes",
        )
    if ebpf and cluster.pool.get("ipipMode") not in (None, "", "Never"):
        yield _finding(
            seen,
            "ipip-leftover",
            f"the address pool's ipipMode is {cluster.pool['ipipMode']}",
            "A leftover of iptables: Calico's eBPF has no IPIP, and traffic between nodes is lost.",
            f"say calico.encapsulation: vxlan in {seen.expected.file}, then pulumi up -s {stack}",
        )


def _mtu(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Finding]:
    measured = [p.mtu for p in seen.probes.values() if not isinstance(p, Unasked) and p.mtu]
    card = min(measured, default=_NIC_MTU)
    tunnels = seen.expected.calico["dataplane"] == "ebpf" or cluster.pool.get("vxlanMode") not in (
        None,
        "Never",
    )
    if tunnels and cluster.veth_mtu > card - _VXLAN:
        yield _finding(
            seen,
            "mtu-too-large",
            f"pods' interfaces have {cluster.veth_mtu} bytes, the nodes' {card}",
            f"VXLAN takes {_VXLAN}: large packets between nodes are lost, small ones pass.",
            f"say calico.mtu: {card - _VXLAN} in {seen.expected.file}, then "
            f"pulumi up -s {seen.expected.stack}; new pods take it",
        )


def _names(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Finding]:
    edit = "kubectl -n kube-system edit configmap coredns"
    if cluster.corefile is None:
        yield _finding(
            seen,
            "coredns-missing",
            "there is no ConfigMap kube-system/coredns",
            "CoreDNS can't start anew: then no pod resolves a name.",
            "kubectl -n kube-system get configmap coredns -o yaml in another cluster, and apply it",
        )
        return
    if not re.search(r"^\s*forward\s+\S+\s+\S+", cluster.corefile, re.MULTILINE):
        yield _finding(
            seen,
            "coredns-no-upstream",
            "the Corefile has no forward",
            "Pods resolve names of the cluster, and none of the world outside.",
            f"{edit}: forward . /etc/resolv.conf",
        )
    dns = cluster.coredns
    if dns is None or not dns.desired:
        came = "there is no Deployment kube-system/coredns" if dns is None else "it has 0 replicas"
    else:
        down = [p.why or p.node for p in dns.pods if not p.ready and p.node in cluster.ready_nodes]
        came = f"none of {dns.desired} pods is ready: {some(down)}" if not dns.ready else ""
        if dns.ready == 0 and not down and dns.pods:
            # Its nodes are down, which is told of them.
            came = ""
    if came:
        yield _finding(
            seen,
            "coredns-down",
            came,
            "No pod resolves a name.",
            "kubectl -n kube-system describe deployment coredns",
        )


def _probed(seen: RegionSeen) -> Iterator[Told]:
    if not seen.probes:
        text = "pod → service and node → service on each node: --probe looks at them"
        yield Note("dataplane", seen.expected.stack, text)
    probes = {n: p for n, p in sorted(seen.probes.items()) if not isinstance(p, Unasked)}
    for whence, fault, failing in (
        ("a pod", "service-from-pod", [n for n, p in probes.items() if p.from_pod is False]),
        ("the node", "service-from-node", [n for n, p in probes.items() if p.from_node is False]),
    ):
        if failing:
            yield _finding(
                seen,
                fault,
                f"from {whence} the API's service doesn't answer, on {some(failing)}",
                "The settings are right, and the dataplane doesn't do it: ufw may stop VXLAN "
                "(4789/udp) between nodes, or an interface isn't matched.",
                _DEBUG,
                symptom=True,
            )


def _finding(
    seen: RegionSeen, fault: str, came: str, means: str, do: str, *, symptom: bool = False
) -> Finding:
    stack = seen.expected.stack
    asked = "kube-system: calico-node, kube-proxy, CoreDNS"
    return Finding("dataplane", fault, stack, stack, asked, came, means, do, symptom)
