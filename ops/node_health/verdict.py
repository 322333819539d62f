"""What a check's line means: a judgement of plain values, in the doctor's form.

Sources of the limits: docs/node-health.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, get_args

from components.json_object import object_at
from ops.doctor.finding import Finding, Note, some

Check = Literal["etcd", "disk", "steal", "mtu", "limits", "ipvs"]
CHECKS: tuple[Check, ...] = get_args(Check)
FSYNC_MS = 10.0
"""etcd's documentation: the 99th percentile of a WAL's fsync stays below."""
STEAL = 0.5
"""Percent."""
CONNTRACK_USED = 80.0
"""Percent of the table, as the doctor's."""
MISSED = 0.0001
"""Of the packets: the ring was full when they came."""
Told = Finding | Note


@dataclass(frozen=True)
class Context:
    """Whose the nodes are, and whether they (are to) run kube-proxy's IPVS."""

    stack: str
    ipvs: bool = False


def judge(context: Context, lines: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Told]:
    """What was found on the nodes. `lines` are what each node's checks printed."""
    found = [told for node, each in sorted(lines.items()) for told in _node(context, node, each)]
    return [*found, *_between(context, lines)]


def percentile(buckets: Mapping[str, Any], share: float = 0.99) -> float | None:
    """The quantile of a cumulative histogram by upper bound, in the buckets' unit, as Prometheus'
    `histogram_quantile` has it; None where nothing was counted."""
    counts = sorted((inf if k == "+Inf" else float(k), float(v)) for k, v in buckets.items())
    if not counts or not counts[-1][1]:
        return None
    rank, low, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > below:
            if bound == inf:
                return low
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low


def _node(context: Context, node: str, lines: Sequence[Mapping[str, Any]]) -> Iterator[Told]:
    judges = {
        "etcd": _etcd,
        "disk": _disk,
        "steal": _steal,
        "mtu": _mtu,
        "limits": _limits,
        "ipvs": _ipvs,
    }
    for line in lines:
        if why := line.get("skipped") or line.get("failed"):
            yield Note("node", context.stack, f"{node}: {line['check']}: {why}")
        elif judged := judges.get(str(line.get("check"))):
            yield from judged(context, node, line)


def _etcd(context: Context, node: str, line: Mapping[str, Any]) -> Iterator[Told]:
    p99 = percentile(object_at(line, "fsync"))
    if p99 is None:
        if line.get("running"):
            yield Note(
                "node",
                context.stack,
                f"{node}: etcd: it runs, and its metrics aren't at 127.0.0.1:2381; --fio measures "
                "the disk itself",
            )
        return
    if p99 * 1000 > FSYNC_MS:
        yield _slow_disk(context, node, "etcd's own metrics, since it started", p99 * 1000)


def _disk(context: Context, node: str, line: Mapping[str, Any]) -> Iterator[Told]:
    p99 = line.get("p99_ms")
    if isinstance(p99, int | float) and p99 > FSYNC_MS:
        yield _slow_disk(context, node, f"fio in {line.get('directory')}", p99)


def _slow_disk(context: Context, node: str, asked: str, p99: float) -> Finding:
    return Finding(
        "node", "etcd-disk", context.stack, node, asked,
        f"99 of 100 syncs take up to {p99:.1f} ms, above {FSYNC_MS:.0f} ms",
        "etcd loses leaders and the API server answers late: what looks like the network's fault "
        "isn't.",
        "etcd on a disk of its own, an SSD; and nothing else on that disk",
    )  # fmt: skip


def _steal(context: Context, node: str, line: Mapping[str, Any]) -> Iterator[Told]:
    percent = float(line.get("percent") or 0)
    if percent > STEAL:
        yield Finding(
            "node", "cpu-steal", context.stack, node, f"/proc/stat for {line.get('seconds')} s",
            f"{percent:.2f} % stolen, above {STEAL} %",
            "Other tenants of the host take the CPU: packets wait, by no fault of the network.",
            "another host or a plan with dedicated CPUs; measure again at another time of day",
        )  # fmt: skip


def _mtu(context: Context, node: str, line: Mapping[str, Any]) -> Iterator[Told]:
    card, pods = int(line["card"]), line.get("pods")
    device, tunnels = line.get("device"), object_at(line, "tunnels")
    room = {"tunl0": 20}
    for tunnel, mtu in sorted(tunnels.items()):
        taken = room.get(tunnel, 50)
        if int(mtu) > card - taken:
            yield _cut(
                context, node, f"{tunnel} has {mtu} bytes, {device} {card}: it takes {taken} more",
                f"an MTU of {card - taken} for pods (calico.nicMtu: {card}); new pods take it",
            )  # fmt: skip
    most = min((int(mtu) for mtu in tunnels.values()), default=card)
    if isinstance(pods, int) and pods > most:
        yield _cut(
            context, node, f"pods' interfaces have up to {pods} bytes, what carries them {most}",
            "make these pods anew: an MTU is given when a pod is made",
        )  # fmt: skip
    peers = object_at(line, "peers")
    if cut := sorted(peer for peer, told in peers.items() if told == "cut"):
        yield _cut(
            context, node, f"a packet of {card} bytes doesn't reach {some(cut)}, a small one does",
            f"the same MTU on every card and switch between them, or {device}'s down to theirs",
        )  # fmt: skip
    if silent := sorted(peer for peer, told in peers.items() if told == "silent"):
        text = f"{node}: mtu: no answer to a ping from {some(silent)}: not measured"
        yield Note("node", context.stack, text)


def _cut(context: Context, node: str, came: str, do: str) -> Finding:
    return Finding(
        "node", "mtu-mismatch", context.stack, node, "the interfaces' MTUs", came,
        "Large packets are lost and small ones pass: connections open, and then hang.", do,
    )  # fmt: skip


def _limits(context: Context, node: str, line: Mapping[str, Any]) -> Iterator[Told]:
    def found(fault: str, came: str, means: str, do: str) -> Finding:
        return Finding("node", fault, context.stack, node, "the kernel's counters", came, means, do)

    count, most = line.get("conntrack"), line.get("conntrack_most")
    if count is not None and most and (used := 100 * count / most) > CONNTRACK_USED:
        yield found(
            "conntrack-full", f"{count} of {most} connections, {used:.0f} %",
            "New connections are dropped when it is full.",
            "sysctl -w net.netfilter.nf_conntrack_max, twice as much; find who opens them",
        )  # fmt: skip
    if dropped := int(line.get("conntrack_dropped") or 0):
        yield found(
            "conntrack-dropped", f"{dropped} packets dropped by conntrack since the node started",
            "The table was full, or is at times.",
            "sysctl -w net.netfilter.nf_conntrack_max, twice as much; find who opens them",
        )  # fmt: skip
    packets = int(line.get("packets") or 0)
    missed = int(line.get("missed") or 0) + int(line.get("fifo") or 0)
    if packets and missed / (packets + missed) > MISSED:
        ring, largest, device = line.get("ring"), line.get("ring_most"), line.get("device")
        smaller = isinstance(ring, int) and isinstance(largest, int) and ring < largest
        yield found(
            "nic-ring", f"{device} lost {missed} of {packets + missed} packets"
            + (f"; its ring holds {ring}, and could {largest}" if smaller else ""),
            "The card's receive ring was full: the node took packets too slowly.",
            f"ethtool -G {device} rx {largest}, in the network's configuration, too"
            if smaller
            else f"ethtool -g {device}; and the CPUs' load: interrupts on one alone?",
        )  # fmt: skip


def _ipvs(context: Context, node: str, line: Mapping[str, Any]) -> Iterator[Told]:
    missing = [str(name) for name in line.get("missing") or ()]
    if not missing or not context.ipvs:
        return
    yield Finding(
        "node", "ipvs-modules", context.stack, node, f"the modules of {line.get('kernel')}",
        f"there is no {some(missing)}",
        "kube-proxy in IPVS mode doesn't start there: no service answers on this node.",
        "the distribution's package with all modules (linux-modules-extra), or mode: nftables",
    )  # fmt: skip


def _between(
    context: Context, lines: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[Finding]:
    cards = {
        node: int(line["card"])
        for node, each in sorted(lines.items())
        for line in each
        if line.get("check") == "mtu" and "card" in line
    }
    if len(set(cards.values())) > 1:
        came = some([f"{node} {card}" for node, card in cards.items()])
        yield Finding(
            "node", "mtu-differs", context.stack, context.stack, "each node's card", came,
            "A packet that one may send is too large for another.",
            f"the same on every node: ip link set dev … mtu {min(cards.values())}, in the "
            "network's configuration, too",
        )  # fmt: skip
