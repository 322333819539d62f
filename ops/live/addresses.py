"""The addresses of a region, nodes' or load balancers', whoever made its clusters: pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.vendors.vultr import VultrApi
from ops.expected import Member
from ops.live.asking import Unasked
from ops.live.facts import GivenFacts
from ops.live.vultr import Account

Vultr = tuple[VultrApi, Account] | Unasked


def addresses(
    members: Iterable[Member], answers: Mapping[str, Any], vultr: Vultr
) -> tuple[frozenset[str] | None, frozenset[str] | None, str]:
    """All of them, those that should have a record, and where a cluster couldn't be asked whose
    are missing: then nothing is known, as a record may be one of its nodes'."""
    every, due, missing = set[str](), set[str](), list[str]()
    for member in members:
        found = _of(member, answers, vultr)
        if isinstance(found, Unasked):
            missing.append(f"{member.stack}: {found.cause}")
            continue
        every |= found[0]
        due |= set() if member.withdrawn else found[1]
    if missing:
        return None, None, ", ".join(missing)
    return frozenset(every), frozenset(due), ""


def _of(
    member: Member, answers: Mapping[str, Any], vultr: Vultr
) -> tuple[set[str], set[str]] | Unasked:
    if member.announced:
        return {*member.announced}, {*member.announced}
    if not member.given:
        if isinstance(vultr, Unasked):
            return vultr
        nodes = [n for _, c in vultr[1].labelled(member.label) for n in c.nodes]
        serving = [n for n in nodes if n.pool not in member.apart]
        every = {a for n in nodes for a in (n.ipv4, n.ipv6) if a}
        return every, {a for n in serving for a in (n.ipv4, n.ipv6) if a}
    facts: GivenFacts | Unasked = answers[f"{member.stack}: nodes"]
    if isinstance(facts, Unasked):
        return facts
    if facts.other or facts.mistake:
        return Unasked(facts.mistake or "its kubeconfig opens another cluster than the stack's")
    due = {a for n in facts.nodes.serving for a in (n.ipv4, n.ipv6) if a}
    return {*facts.nodes.addresses}, due
