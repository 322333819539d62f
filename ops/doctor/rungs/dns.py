"""DNS: the records of each region and host, against the nodes that there are."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address, ip_network

from components.firewall import cloudflare_ranges
from ops.doctor.finding import Blind, Finding, Note, Told, some
from ops.live.asking import Unasked, known
from ops.live.facts import Record
from ops.live.seen import EdgeSeen, RegionSeen

_OWNER = re.compile(r"edgefleet (\S+) node (\S+)")


def of_region(seen: RegionSeen, _: datetime) -> Iterator[Told]:
    """Records against nodes, then what the world is told."""
    expected = seen.expected
    if isinstance(seen.vultr, Unasked):
        yield Blind("Vultr", expected.stack, seen.vultr.cause)
    if isinstance(seen.given, Unasked):
        yield Blind("its API server", expected.stack, seen.given.cause)
    elif seen.unlisted and not isinstance(seen.vultr, Unasked):
        yield Note("dns", expected.stack, f"records that lead nowhere: {seen.unlisted}")
    if isinstance(seen.records, Unasked):
        yield Blind("Cloudflare", expected.stack, seen.records.cause)
        return
    found = [*_missing(seen, seen.records), *_dead(seen, seen.records), *_bare(seen, seen.records)]
    yield from found
    if not found:
        yield from _world(seen, seen.records)


def _missing(seen: RegionSeen, records: tuple[Record, ...]) -> Iterator[Finding]:
    expected = seen.expected
    if expected.withdrawn:
        return
    there = {record.content for record in records}
    lacking = [
        f"{node} ({address})"
        for node, addresses in _serving(seen)
        for address in addresses
        if address and address not in there
    ]
    if lacking:
        yield _finding(
            seen,
            "record-missing",
            f"the records of {expected.hostname} at Cloudflare, {_nodes(seen)}",
            f"no record for {some(lacking)}",
            "No visitor is sent to these addresses; the other nodes carry their share.",
            f"pulumi up --refresh -s {expected.stack}",
        )


def _serving(seen: RegionSeen) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Who of the stack should have records, by name, with their addresses: nodes, or a load
    balancer in their place."""
    expected, vultr, given = seen.expected, known(seen.vultr), known(seen.given)
    if expected.announced:
        yield "the ingress's Service", expected.announced
        return
    for node in given.nodes.serving if given else ():
        yield node.name, (node.ipv4, node.ipv6)
    for node in vultr.cluster.ready_nodes(False) if vultr and vultr.cluster else ():
        if node.pool not in expected.apart:
            yield node.label, (node.ipv4, node.ipv6 if expected.ipv6 else "")


def _nodes(seen: RegionSeen) -> str:
    if seen.expected.announced:
        return f"loadBalancer.ingress in {seen.expected.file}"
    return "its nodes" if seen.expected.given else "the nodes at Vultr"


def _dead(seen: RegionSeen, records: tuple[Record, ...]) -> Iterator[Finding]:
    expected = seen.expected
    if seen.addresses is None:
        return
    mine = [
        record
        for record in records
        if record.content not in seen.addresses
        and _is_ours(seen, record)
        and _node_of(record) not in _down(seen)
    ]
    ours = [record for record in mine if _node_of(record)]
    for dead, do in (
        (ours, f"pulumi up --refresh -s {expected.stack}"),
        (
            [record for record in mine if record not in ours],
            f"delete it in Cloudflare's dashboard (DNS, {expected.hostname}): nothing here made it",
        ),
    ):
        if dead:
            yield _finding(
                seen,
                "record-dead",
                f"the records of {expected.hostname} at Cloudflare, {_nodes(seen)}",
                f"{some([f'{r.type} {r.content}' for r in dead])}: no node of the region",
                "Visitors are sent to an address that is no longer ours. Cloudflare tries another "
                "once it fails; if it is somebody else's by now, he gets them.",
                do,
            )


def _is_ours(seen: RegionSeen, record: Record) -> bool:
    """Whether it is for this stack to tell: its own, and of nobody's for one of the region."""
    if owner := _OWNER.fullmatch(record.comment):
        return owner[1] == seen.expected.stack
    members = seen.expected.members
    return members[0].label == min(member.label for member in members)


def _node_of(record: Record) -> str:
    """The id of the node that a record of ours was made for; "" where nobody here made it."""
    found = _OWNER.fullmatch(record.comment)
    return found[2] if found else ""


def _down(seen: RegionSeen) -> set[str]:
    """Ids of machines that don't run: they may have no address, and are told as such."""
    vultr = known(seen.vultr)
    if vultr is None or vultr.cluster is None:
        return set()
    return {node.id for node in vultr.cluster.nodes if node.status != "active"}


def _bare(seen: RegionSeen, records: tuple[Record, ...]) -> Iterator[Finding]:
    expected = seen.expected
    bare = [record for record in records if not record.proxied and _is_ours(seen, record)]
    if bare:
        yield _finding(
            seen,
            "record-unproxied",
            f"the records of {expected.hostname} at Cloudflare",
            f"not proxied: {some([f'{r.type} {r.content}' for r in bare])}",
            "The world is told the nodes' addresses. Visitors come past Cloudflare, and the "
            "firewalls refuse them; the Worker can't reach the region by such a record.",
            f"pulumi up --refresh -s {expected.stack}",
        )


def _world(seen: RegionSeen, records: tuple[Record, ...]) -> Iterator[Told]:
    expected = seen.expected
    if not any(record.proxied for record in records):
        return
    yield from _answered(expected.stack, expected.hostname, seen.answers)


def of_edge(seen: EdgeSeen, _: datetime) -> Iterator[Told]:
    """The site's hosts have a proxied record each: without one a route isn't asked."""
    stack = seen.expected.stack
    for host, records in seen.records.items():
        if isinstance(records, Unasked):
            yield Blind("Cloudflare", stack, records.cause)
            continue
        came = means = ""
        fault = "host-record-missing"
        if not records:
            came = "no record"
            means = "The host doesn't exist for visitors, whatever the Worker could do."
        elif not all(record.proxied for record in records):
            fault = "host-unproxied"
            came = f"not proxied: {some([f'{r.type} {r.content}' for r in records])}"
            means = "Visitors pass the Worker by, and the firewalls refuse them."
        if came:
            asked = f"the records of {host} at Cloudflare"
            do = f"pulumi up --refresh -s {stack}"
            yield Finding("dns", fault, stack, host, asked, came, means, do)
        else:
            yield from _answered(stack, host, {"A": seen.answers.get(host, ())})


def _answered(
    stack: str, name: str, answers: Mapping[str, tuple[str, ...] | Unasked]
) -> Iterator[Told]:
    seen: dict[str, tuple[str, ...]] = {}
    for kind, answer in answers.items():
        if isinstance(answer, Unasked):
            yield Note("dns", stack, f"what {name} resolves to: {answer.cause}")
        else:
            seen[kind] = answer
    asked = f"Cloudflare's resolver for {name} {' and '.join(seen)}"
    empty = [kind for kind, answer in seen.items() if not answer]
    elsewhere = [address for a in seen.values() for address in a if not is_cloudflares(address)]
    where = "Compare the zone's nameservers at your registrar with those in Cloudflare's dashboard"
    if empty:
        yield Finding(
            "dns",
            "name-unresolved",
            stack,
            name,
            asked,
            f"no address ({' and '.join(empty)})",
            "The records are right, but the world isn't told: the domain isn't delegated to "
            "Cloudflare, or DNSSEC breaks it.",
            where,
            symptom=True,
        )
    elif elsewhere:
        yield Finding(
            "dns",
            "name-elsewhere",
            stack,
            name,
            asked,
            f"{some(elsewhere)}: not Cloudflare's",
            "Somebody else answers for the domain: visitors don't come to this zone.",
            where,
            symptom=True,
        )


def is_cloudflares(address: str) -> bool:
    """Whether an address is in Cloudflare's ranges, as pinned."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    networks = (ip_network(cidr) for cidr in cloudflare_ranges.load().cidrs)
    return any(found in network for network in networks if network.version == found.version)


def _finding(seen: RegionSeen, fault: str, asked: str, came: str, means: str, do: str) -> Finding:
    expected = seen.expected
    return Finding("dns", fault, expected.stack, expected.hostname, asked, came, means, do)
