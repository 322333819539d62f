"""The process: the ingress on each node, its certificate, and what it was given to serve."""

from collections.abc import Iterator
from datetime import datetime

from ops.doctor.finding import Blind, Finding, Note, Told, some
from ops.live.asking import Unasked
from ops.live.facts import Certificate, ClusterFacts
from ops.live.seen import RegionSeen

WARN_DAYS = 30
"""Before a certificate's end; of a short one a third of its time."""


def of_region(seen: RegionSeen, now: datetime) -> Iterator[Told]:
    """Pods on the nodes that are ready: of others nothing can be expected."""
    stack, cluster = seen.expected.stack, seen.cluster
    if isinstance(cluster, Unasked):
        yield Blind("its API server", stack, cluster.cause)
        return
    if not cluster.ingress:
        yield _finding(
            seen,
            "ingress-missing",
            stack,
            "there is no DaemonSet of the ingress",
            "Nothing listens on :80 and :443 of the nodes.",
            f"pulumi up --refresh -s {stack}",
        )
        return
    yield from _pods(seen, cluster)
    yield from _service(seen, cluster)
    yield from _image(seen, cluster)
    yield from _certificate(seen, cluster.certificate, now)
    for bad in cluster.bad_ingresses:
        name, _, why = bad.partition(": ")
        namespace, _, name = name.partition("/")
        yield _finding(
            seen,
            "ingress-refused",
            f"Ingress {namespace}/{name}",
            f"refused: {why}",
            "The ingress keeps what it had of this host; with a bad Ingress it may take no change "
            "at all (nginx/kubernetes-ingress#8710).",
            f"kubectl -n {namespace} describe ingress {name}, and mend or delete it",
        )


def _pods(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Finding]:
    namespace = seen.expected.namespace
    pods = {pod.node: pod for workload in cluster.ingress for pod in workload.pods}
    serving = [n for n in cluster.nodes if n.ready and seen.serves(n)]
    if lacking := [node.name for node in serving if node.name not in pods]:
        yield _finding(
            seen,
            "ingress-pod-missing",
            some(lacking),
            f"no pod of the ingress on {some(lacking)}",
            "Their addresses are in DNS, and nothing answers there: Cloudflare tries another node "
            "after each refusal.",
            f"kubectl -n {namespace} describe daemonset {cluster.ingress[0].name}",
        )
    for node in serving:
        pod = pods.get(node.name)
        if pod and not pod.ready:
            yield _finding(
                seen,
                "ingress-pod-not-ready",
                node.name,
                pod.why or "not ready",
                "Its address is in DNS, and the ingress there doesn't serve.",
                f"kubectl -n {namespace} describe pod {pod.name}; "
                f"kubectl -n {namespace} logs {pod.name} --previous",
            )


def _service(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Finding]:
    """Where addresses of a Service have the region's records."""
    expected, service = seen.expected, cluster.service
    if not expected.announced:
        return
    name = f"Service {expected.namespace}/{cluster.ingress[0].name}"
    look = f"kubectl -n {expected.namespace} describe service {cluster.ingress[0].name}"
    if service is None or {*service.addresses} != {*expected.announced}:
        has = some([*service.addresses]) if service else "it isn't there"
        why = f" ({service.complaint})" if service and service.complaint else ""
        yield _finding(
            seen,
            "service-address",
            name,
            f"{has or 'no address'}{why}; the file says {some([*expected.announced])}",
            "The region's records point to addresses that nobody serves.",
            f"pulumi up --refresh -s {expected.stack}; then {look}",
        )
    elif expected.by_neighbours and not service.announcers:
        why = f": {service.complaint}" if service.complaint else ""
        yield _finding(
            seen,
            "service-unannounced",
            name,
            f"MetalLB has no node that answers ARP or NDP for {some([*service.addresses])}{why}",
            "The region's records point to addresses that no neighbour finds. An interface that "
            "the node lacks which MetalLB has chosen is enough: it tries no other.",
            "make pools[].l2 interfaces and nodeSelector fit the nodes (edgefleet:loadBalancer in "
            f"{expected.file}); kubectl -n metallb-system get servicel2statuses; {look}",
        )


def _image(seen: RegionSeen, cluster: ClusterFacts) -> Iterator[Finding]:
    wanted = {seen.expected.ingress_image, seen.expected.canary} - {""}
    found = {workload.image for workload in cluster.ingress}
    if found != wanted:
        yield _finding(
            seen,
            "ingress-image",
            seen.expected.stack,
            f"{some(sorted(found))}; the file says {some(sorted(wanted))}",
            "Another build of the ingress serves than the one that was looked at.",
            f"pulumi up --refresh -s {seen.expected.stack}",
        )


def _certificate(
    seen: RegionSeen, found: Certificate | Unasked | None, now: datetime
) -> Iterator[Told]:
    expected, up = seen.expected, f"pulumi up -s {seen.expected.stack}"
    if isinstance(found, Unasked):
        yield Note("process", expected.stack, f"the ingress's certificate: {found.cause}")
        return
    if found is None:
        yield _finding(
            seen,
            "certificate-missing",
            expected.stack,
            "the ingress's secret isn't there, or has no certificate",
            "Cloudflare's connections fail with 525 or 526.",
            f"pulumi up --refresh -s {expected.stack}",
        )
        return
    lasts = (found.ends - found.begins).days
    left = (found.ends - now).total_seconds() / 86_400
    if found.begins > now:
        yield _finding(
            seen,
            "certificate-early",
            expected.stack,
            f"valid from {found.begins:%Y-%m-%d %H:%M} on",
            "Cloudflare refuses it until then (526).",
            "wait, or look at this machine's clock",
        )
    elif left <= 0:
        yield _finding(
            seen,
            "certificate-expired",
            expected.stack,
            f"ended on {found.ends:%Y-%m-%d}",
            "Under Full (strict) Cloudflare refuses the region: visitors get 526.",
            up if expected.certificate_hosts else "make its keeper renew it (tls.secret)",
        )
    elif left < min(WARN_DAYS, lasts / 3):
        yield _finding(
            seen,
            "certificate-ending",
            expected.stack,
            f"ends on {found.ends:%Y-%m-%d}, in {left:.0f} days",
            "It is due: an `up` makes a new one, no node stops serving for it.",
            up if expected.certificate_hosts else "make its keeper renew it (tls.secret)",
        )
    if wrong := [h for h in expected.certificate_hosts if not covers(found.hosts, h)]:
        yield _finding(
            seen,
            "certificate-wrong",
            expected.stack,
            f"for {some([*found.hosts])}, not for {some(wrong)}",
            "Under Full (strict) Cloudflare refuses these hosts: visitors get 526.",
            f"pulumi up --refresh -s {expected.stack}",
        )


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate for these names is for the host; a wildcard stands for one label."""
    above = host.partition(".")[2]
    return host in names or f"*.{above}" in names


def _finding(seen: RegionSeen, fault: str, subject: str, came: str, means: str, do: str) -> Finding:
    asked = f"namespace {seen.expected.namespace}: DaemonSets, pods, certificate, events"
    return Finding("process", fault, seen.expected.stack, subject, asked, came, means, do)
