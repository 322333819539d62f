"""The cloud firewall: the rules of the cluster's group at Vultr against the table."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from components.firewall.cloud_rules import compared
from ops.doctor.finding import Blind, Finding, Note, Told, some
from ops.live.asking import Unasked, known
from ops.live.seen import RegionSeen


def of_region(seen: RegionSeen, _: datetime) -> Iterator[Told]:
    """What is missing locks somebody out; what is foreign may let somebody in."""
    stack, vultr = seen.expected.stack, seen.vultr
    if isinstance(vultr, Unasked):
        yield Blind("Vultr", stack, vultr.cause)
        return
    if vultr is None:
        text = "no firewall of Vultr's stands before a cluster that it didn't make: the nodes' own"
        yield Note("cloud-firewall", stack, f"{text} alone keeps others than Cloudflare out")
        return
    if vultr.cluster is None:
        return
    if not vultr.cluster.firewall_group_id:
        yield _finding(
            seen,
            "group-missing",
            "the cluster has no firewall group",
            "Everybody reaches the nodes' ports, past Cloudflare.",
            "docs/limits.md: a cluster made without one never gets one. Make a new one beside it",
        )
        return
    missing, foreign = compared(seen.expected.rules.values(), vultr.rules)
    if missing:
        yield _finding(
            seen,
            "rule-missing",
            f"not there: {some([_told(rule) for rule in missing])}",
            "Whom the rule lets in is locked out: Cloudflare, the nodes among themselves, or you.",
            f"pulumi up --refresh -s {stack}",
        )
    yield from _foreign(seen, foreign)
    if isinstance(seen.open_ports, Unasked):
        yield Note("cloud-firewall", stack, f"ports from here: {seen.open_ports.cause}")
    elif seen.open_ports:
        yield Finding(
            "cloud-firewall",
            "port-reachable",
            stack,
            stack,
            "a connection from this machine to a node, past Cloudflare",
            f"{some([*seen.open_ports])} took it",
            "The rules are as the table, but don't hold: the group isn't linked to the nodes. (Or "
            "this machine is one that they let in.)",
            "link the group to the instances in Vultr's console, and tell Vultr's support",
            symptom=True,
        )


def _foreign(seen: RegionSeen, foreign: list[Mapping[str, Any]]) -> Iterator[Told]:
    vultr = known(seen.vultr)
    group = vultr.cluster.firewall_group_id if vultr and vultr.cluster else ""
    web = [rule for rule in foreign if _reaches(rule, seen.expected.web_ports)]
    wide = [r for r in foreign if r not in web and _from_everybody(r) and r["protocol"] != "icmp"]
    for rules, fault, means in (
        (
            web,
            "web-open",
            "Somebody besides Cloudflare reaches the ingress: no WAF, no Worker, no client "
            "certificate stands before it, and a visitor's address can be forged.",
        ),
        (wide, "open-to-everybody", "Everybody reaches this port of every node."),
    ):
        if rules:
            yield _finding(
                seen,
                fault,
                f"a rule that nothing here made: {some([_told(rule) for rule in rules])}",
                means,
                "; ".join(
                    'curl -X DELETE -H "Authorization: Bearer $VULTR_API_KEY" '
                    f"https://api.vultr.com/v2/firewalls/{group}/rules/{rule.get('id')}"
                    for rule in rules[:3]
                ),
            )
    if others := [_told(rule) for rule in foreign if rule not in web and rule not in wide]:
        text = f"rules that nothing here made, and that open no web port: {some(others)}"
        yield Note("cloud-firewall", seen.expected.stack, text)


def _reaches(rule: Mapping[str, Any], ports: tuple[int, ...]) -> bool:
    if rule.get("protocol") != "tcp" or rule.get("source") == "cloudflare":
        return False
    first, _, last = str(rule.get("port") or "1:65535").replace("-", ":").partition(":")
    return any(int(first) <= port <= int(last or first) for port in ports)


def _from_everybody(rule: Mapping[str, Any]) -> bool:
    return int(rule["subnet_size"]) == 0 and rule.get("source") != "cloudflare"


def _told(rule: Mapping[str, Any]) -> str:
    whom = (
        f"Cloudflare ({rule.get('ip_type')})"
        if rule.get("source") == "cloudflare"
        else f"{rule['subnet']}/{rule['subnet_size']}"
    )
    port = f" {rule['port']}" if rule.get("port") else ""
    return f"{rule['protocol']}{port} from {whom}"


def _finding(seen: RegionSeen, fault: str, came: str, means: str, do: str) -> Finding:
    stack = seen.expected.stack
    asked = f"the rules of {seen.expected.label}'s firewall group at Vultr"
    return Finding("cloud-firewall", fault, stack, stack, asked, came, means, do)
