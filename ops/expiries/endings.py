"""What ends, and when: from what was seen of the clouds and stands in the files. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from components.firewall.cloudflare_ranges import CloudflareRanges
from ops.doctor.finding import Blind, some
from ops.expected import RegionExpected
from ops.live.asking import Unasked, known
from ops.live.ends import end_of
from ops.live.seen import EdgeSeen, RegionSeen, Seen

FLEET = "-"
"""In the place of a stack's name: of all of them."""


@dataclass(frozen=True)
class Ending:
    """Something that ends. `ends` is None where nobody says when; `do` is what renews it."""

    stack: str
    what: str
    ends: datetime | None
    do: str

    def days(self, now: datetime) -> float | None:
        """Until it ends; less than 0 where it has."""
        return None if self.ends is None else (self.ends - now).total_seconds() / 86_400


Told = Ending | Blind


@dataclass(frozen=True)
class Asked:
    """What no stack has: when the Cloudflare token ends (None: never), how the pinned ranges differ
    from Cloudflare's of today, and when the CAs of Authenticated Origin Pulls end."""

    token: datetime | Unasked | None
    ranges: Sequence[str] | Unasked
    pin: CloudflareRanges
    authorities: Sequence[datetime]


def endings(seen: Seen, asked: Asked, now: datetime) -> list[Told]:
    """What ends, the first first; then what has no date, and who couldn't be asked."""
    found: list[Told] = []
    for region in seen.regions:
        found += _region(region)
    for edge in seen.edges:
        found += _edge(edge)
    found += _fleet(asked, [region.expected for region in seen.regions], now)
    return sorted(dict.fromkeys(found), key=_order)


def _order(told: Told) -> tuple[bool, bool, float, str, str]:
    if isinstance(told, Blind):
        return (True, True, 0, told.stack, told.system)
    when = told.ends.timestamp() if told.ends else 0
    return (False, told.ends is None, when, told.stack, told.what)


def _region(seen: RegionSeen) -> Iterator[Told]:
    expected, vultr, cluster = seen.expected, seen.vultr, seen.cluster
    stack = expected.stack
    if isinstance(vultr, Unasked):
        yield Blind("Vultr", stack, vultr.cause)
    elif vultr is not None and vultr.cluster is None:
        # It was never brought up, or is gone: the doctor says so.
        return
    yield from _kubernetes(seen)
    if isinstance(cluster, Unasked):
        yield Blind("its API server", stack, cluster.cause)
        return
    certificate = cluster.certificate
    if isinstance(certificate, Unasked):
        yield Blind("the ingress's certificate", stack, certificate.cause)
    elif certificate:
        ours = bool(expected.certificate_hosts)
        do = f"fleet reconcile {stack} --certificates, or pulumi up -s {stack}"
        yield Ending(
            stack,
            f"the ingress's certificate, for {some([*certificate.hosts], 2)}",
            certificate.ends,
            do if ours else "its keeper renews it (tls.secret)",
        )
    for what, ends in seen.key_ends.items():
        do = f"docs/operations.md, Rotate the kubeconfig; then pulumi up -s {stack}"
        if expected.given:
            do = f"have another made by whoever runs the cluster; then pulumi up -s {stack}"
        yield Ending(stack, f"the kubeconfig's {what}", ends, do)


def _kubernetes(seen: RegionSeen) -> Iterator[Ending]:
    stack, version, do = seen.expected.stack, seen.expected.version, "fleet upgrade {} --to …"
    vultr, cluster = known(seen.vultr), known(seen.cluster)
    if vultr and vultr.cluster:
        version = vultr.cluster.version or version
    if seen.expected.given:
        version = cluster.version if cluster else ""
        do = "upgrade it by what made it: docs/bare-metal.md, Upgrade"
    if end := end_of(version):
        yield Ending(stack, f"Kubernetes {version}", _midnight(end), do.format(stack))
    elif version:
        what = f"Kubernetes {version}: its end isn't known here"
        yield Ending(stack, what, None, "https://kubernetes.io/releases/patch-releases/ has it")


def _edge(seen: EdgeSeen) -> Iterator[Told]:
    expected, facts = seen.expected, seen.facts
    if isinstance(facts, Unasked):
        yield Blind("Cloudflare", expected.stack, facts.cause)
    elif expected.pulls != "off" and facts.pulls_end:
        # The newest is the one that is shown.
        yield Ending(
            expected.stack,
            "Cloudflare's client certificate (Authenticated Origin Pulls)",
            facts.pulls_end[-1],
            f"pulumi up -s {expected.stack}",
        )


def _fleet(asked: Asked, regions: Collection[RegionExpected], now: datetime) -> Iterator[Told]:
    several = len(asked.authorities) > 1
    for number, ends in enumerate(asked.authorities):
        old = " that is being replaced" if several and number else ""
        what = f"the CA of Authenticated Origin Pulls{old}"
        yield Ending(FLEET, what, ends, "fleet ca retire" if old else "fleet ca rotate")
    token = "the Cloudflare API token"  # noqa: S105 (its name)
    if isinstance(asked.token, Unasked):
        yield Blind(token, FLEET, asked.token.cause)
    else:
        what = token if asked.token else f"{token}: it has no end"
        yield Ending(FLEET, what, asked.token, "roll it in Cloudflare's dashboard")
    if isinstance(asked.ranges, Unasked):
        yield Blind("Cloudflare's ranges", FLEET, asked.ranges.cause)
    else:
        age = (now.date() - asked.pin.fetched).days
        what = f"Cloudflare's ranges, pinned {age} days ago"
        old = bool(asked.ranges)
        told = f": {some([*asked.ranges], 2)}" if old else ": as they are today"
        do = "fleet ranges update, and pulumi up of every region"
        yield Ending(FLEET, what + told, now if old else None, do)
    if tags := sorted(_by_tag(regions)):
        what = f"{len(tags)} images run by their tags, which may move: {some(tags, 2)}"
        yield Ending(FLEET, what, None, "fleet images lock")


def _by_tag(regions: Collection[RegionExpected]) -> set[str]:
    """Images that are pinned by no digest."""
    used: set[str] = set()
    for region in regions:
        used |= {region.ingress_image, region.canary, *map(str, region.calico["images"].values())}
        used |= {region.node_firewall.image} if region.node_firewall else set()
    return {image for image in used if image and "@" not in image}


def _midnight(day: date) -> datetime:
    """The end of a day, as a release is supported through it."""
    return datetime.combine(day, time(23, 59), UTC)
