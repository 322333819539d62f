"""A sentence comes if, and only if, somebody gets in who didn't."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.firewall import cloudflare_ranges
from components.firewall.renderings.calico import node_policy
from components.firewall.renderings.ufw import iptables_block
from components.firewall.renderings.vultr import VultrRule, vultr_rules
from components.firewall.rule_table import Rule, node_rules
from infra.state.resource_types import DAEMON_SET, FIREWALL_RULE
from ops.render.meaning.admitted import Admission, beyond, by_node, by_vultr, newly
from ops.render.meaning.firewall import widening
from ops.render.resources import Registered, Rendering
from tests.components.firewall.test_rule_table import (
    CLOUDFLARE,
    USUAL,
    Arriving,
    node_admits,
    tables,
    vultr_admits,
)
from tests.ops.render.meaning.made import rendering, resource

RULES = "pulumi-python:dynamic/index:VultrFirewallRules"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
POLICY = "kubernetes:crd.projectcalico.org/v1:GlobalNetworkPolicy"
FEW = tuple(
    cidr
    for version in (4, 6)
    for cidr in [c for c in CLOUDFLARE if ip_network(c).version == version][:2]
)
"""Of each family two of Cloudflare's: what is done with one is done with all, and made-up tables
cost the square of them."""

# --- the arithmetic, against counting every address and port -------------------------------------

small = st.builds(
    Admission,
    st.sampled_from(["tcp", "udp", "icmp", "any"]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda p: (min(p), max(p))),
    st.sampled_from([IPv4Network(f"10.0.0.{a}/{n}") for a, n in
                     ((0, 29), (0, 30), (4, 30), (0, 31), (2, 31), (4, 31), (1, 32), (6, 32))]),
)  # fmt: skip


def counted(admissions: Sequence[Admission]) -> set[tuple[str, int, int]]:
    every = ("tcp", "udp", "icmp", "another")
    return {
        (protocol, int(address), port)
        for each in admissions
        for protocol in (every if each.protocol == "any" else [each.protocol])
        for address in each.source
        for port in range(each.ports[0], each.ports[1] + 1)
    }


def tcp(low: int, high: int, source: str) -> Admission:
    return Admission("tcp", (low, high), IPv4Network(source))


HALVES = [tcp(1, 2, "10.0.0.0/30"), tcp(3, 5, "10.0.0.0/30"), tcp(1, 5, "10.0.0.4/30")]


@example(before=HALVES, after=[tcp(1, 5, "10.0.0.0/29")])
@example(before=HALVES[::-1], after=[tcp(1, 5, "10.0.0.0/29")])
@example(before=HALVES[1:], after=[tcp(1, 5, "10.0.0.0/29")])
@given(st.lists(small, max_size=5), st.lists(small, max_size=5))
def test_new_is_what_counting_finds(before: list[Admission], after: list[Admission]):
    found = newly(before, after)
    assert bool(found) == bool(counted(after) - counted(before))
    for each in found:
        assert counted([each]) - counted(before)


# --- the firewalls, as the programs render them ---------------------------------------------------


def vultr(rules: Sequence[Rule], cloudflare: Sequence[str] | None = None) -> list[Registered]:
    made = vultr_rules(rules, cloudflare)
    held = [
        resource(
            FIREWALL_RULE,
            name,
            ipType=rule["ip_type"],
            protocol=rule["protocol"],
            subnet=rule["subnet"],
            subnetSize=rule["subnet_size"],
            source="cloudflare",
            **({"port": rule["port"]} if "port" in rule else {}),
        )
        for name, rule in made.items()
        if "source" in rule
    ]
    others: dict[str, VultrRule] = {n: rule for n, rule in made.items() if "source" not in rule}
    return [*held, resource(RULES, "us-firewall-rules", rules=others)]


def ufw(
    rules: Sequence[Rule], mode: str = "enforce", cloudflare: Sequence[str] = CLOUDFLARE
) -> list[Registered]:
    blocks = {family: iptables_block(rules, cloudflare, family) for family in ("v4", "v6")}
    lines = [f"block{family[1]}\t{line}" for family, block in blocks.items() for line in block]
    pod = {"spec": {"containers": [{"args": [mode]}]}}
    return [
        resource(DAEMON_SET, "us-node-firewall-daemon-set", spec={"template": pod}),
        resource(CONFIG_MAP, "us-node-firewall-files", data={"table": "\n".join(lines)}),
    ]


def calico(rules: Sequence[Rule], cloudflare: Sequence[str] = CLOUDFLARE) -> list[Registered]:
    metadata = {"name": "default.edgefleet-nodes"}
    spec = node_policy(rules, cloudflare)
    return [resource(POLICY, "us-host-protection-nodes", metadata=metadata, spec=spec)]


def packet_of(admission: Admission, before: Sequence[Admission]) -> Arriving:
    """A packet that an admission lets in, and those before didn't."""
    _, _, (address, _), (port, _) = next(beyond(admission.box, [each.box for each in before]))
    v4 = admission.source.version == 4
    protocol = "icmpv6" if admission.protocol == "icmp" and not v4 else admission.protocol
    return Arriving((IPv4Address if v4 else IPv6Address)(address), protocol, port)


class Made:
    """A table as both firewalls have it, each rendered once."""

    def __init__(self, table: Sequence[Rule]) -> None:
        self.rendering = rendering(*vultr(table), *ufw(table, cloudflare=FEW))
        self._cloud = vultr_rules(table)
        v4, v6 = iptables_block(table, FEW, "v4"), iptables_block(table, FEW, "v6")
        self._blocks = {"v4": v4, "v6": v6}

    def by_vultr(self) -> list[Admission]:
        return by_vultr(self.rendering, FEW)

    def by_node(self) -> list[Admission]:
        return by_node(self.rendering) or []

    def vultr_admits(self, packet: Arriving) -> bool:
        return vultr_admits(self._cloud, packet, FEW)

    def node_admits(self, packet: Arriving) -> bool:
        return node_admits(self._blocks[packet.family], packet)


@given(tables, tables)
def test_who_is_told_of_gets_in_now_and_did_not(before: list[Rule], after: list[Rule]):
    """By matchers written from the firewalls' documentation."""
    was, now = Made(before), Made(after)
    old = was.by_vultr()
    for each in newly(old, now.by_vultr()):
        packet = packet_of(each, old)
        assert now.vultr_admits(packet)
        assert not was.vultr_admits(packet)
    old = was.by_node()
    for each in newly(old, now.by_node()):
        packet = packet_of(each, old)
        assert now.node_admits(packet)
        assert not was.node_admits(packet)


@given(tables, tables, st.data())
def test_nobody_gets_in_without_a_sentence(
    before: list[Rule], after: list[Rule], data: st.DataObject
):
    rule = data.draw(st.sampled_from(after))
    cidr = data.draw(st.sampled_from(FEW if rule.source == "cloudflare" else rule.source))
    network = ip_network(cidr)
    source = data.draw(st.sampled_from([network[0], network[-1]]))
    ports = rule.ports or ((1, 65535),)
    packet = Arriving(source, rule.protocol, data.draw(st.sampled_from(ports))[0])
    was, now = Made(before), Made(after)
    said = list(widening(was.rendering, now.rendering, FEW))
    if now.vultr_admits(packet) and not was.vultr_admits(packet):
        assert any(each.startswith("Vultr's firewall") for each in said)
    if now.node_admits(packet) and not was.node_admits(packet):
        assert any("own" in each for each in said)


@given(tables)
def test_a_table_is_as_wide_in_every_firewall(table: list[Rule]):
    cloud = by_vultr(rendering(*vultr(table)), FEW)
    spelled = by_vultr(rendering(*vultr(table, FEW)), FEW)
    on_node = by_node(rendering(*ufw(table, cloudflare=FEW)))
    policy = by_node(rendering(*calico(table, FEW)))
    assert on_node is not None
    assert policy is not None
    for other in (spelled, on_node, policy):
        assert newly(cloud, other) == []
        assert newly(other, cloud) == []


# --- the sentences --------------------------------------------------------------------------------


def stack(mode: str = "enforce", extra: Sequence[Rule] = (), **changes: Any) -> Rendering:
    table = [*node_rules(**{**USUAL, **changes}), *extra]
    return rendering(*vultr(table), *ufw(table, mode))


def extra(*sources: str, port: int = 51820) -> Rule:
    return Rule(f"extra-udp-{port}", "udp", ((port, port),), sources, "WireGuard")


BOTH = "Vultr's firewall and the nodes' own open "


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (stack(), stack(), []),
        (
            stack(),
            stack(extra=[extra("203.0.113.0/24", "2001:db8::/32")]),
            [f"{BOTH}udp 51820 to 203.0.113.0/24, 2001:db8::/32"],
        ),
        (stack(extra=[extra("203.0.113.0/24")]), stack(), []),
        (
            stack(extra=[extra("203.0.113.0/24")]),
            stack(extra=[extra("203.0.113.0/25", "203.0.113.128/25")]),
            [],
        ),
        (
            stack(extra=[extra("203.0.113.0/25", "203.0.113.128/25")]),
            stack(extra=[extra("203.0.113.0/24")]),
            [],
        ),
        (stack(extra=[extra("0.0.0.0/0")]), stack(extra=[extra("203.0.113.0/24")]), []),
        (
            stack(extra=[extra("203.0.113.0/24")]),
            stack(extra=[extra("203.0.112.0/23")]),
            [f"{BOTH}udp 51820 to 203.0.112.0/23 (until now only 203.0.113.0/24)"],
        ),
        (
            stack(extra=[extra("2001:db8::/48")]),
            stack(extra=[extra("2001:db8::/32")]),
            [f"{BOTH}udp 51820 to 2001:db8::/32 (until now only 2001:db8::/48)"],
        ),
        (
            stack(),
            stack(extra=[extra("0.0.0.0/0", "::/0", port=30080)]),
            [f"{BOTH}udp 30080 to everybody"],
        ),
        (
            stack(),
            stack(extra=[extra("::/0", port=30080)]),
            [f"{BOTH}udp 30080 to everybody over IPv6"],
        ),
        (stack(web_ports=[443]), stack(), [f"{BOTH}tcp 80 to Cloudflare"]),
        (stack(), stack("observe"), ["The nodes' own firewall is no longer enforced: Vultr's is "
                                     "the only one"]),
        (stack("observe"), stack(), []),
        (
            stack(),
            stack(pod_networks=["198.18.0.0/15"]),
            ["The nodes' own firewall opens tcp 53, 1024-29999, 32768-65535 to 198.18.0.0/15; udp "
             "53, 1024-29999, 32768-65535 to 198.18.0.0/15"],
        ),
    ],
)  # fmt: skip
def test_what_is_said(before: Rendering, after: Rendering, expected: list[str]):
    assert list(widening(before, after, CLOUDFLARE)) == expected


def test_ranges_spelled_out_are_no_wider():
    table = node_rules(**USUAL)
    said = widening(
        rendering(*vultr(table), *ufw(table)),
        rendering(*vultr(table, CLOUDFLARE), *ufw(table)),
        CLOUDFLARE,
    )
    assert list(said) == []


def test_calico_in_ufws_place_is_no_wider():
    table = node_rules(**USUAL)
    was, now = rendering(*vultr(table), *ufw(table)), rendering(*vultr(table), *calico(table))
    assert list(widening(was, now, CLOUDFLARE)) == []


def test_a_range_that_cloudflare_gets_opens_the_nodes():
    """Vultr's firewall follows Cloudflare's list by itself."""
    table = node_rules(**USUAL)
    more = (*cloudflare_ranges.load().cidrs, "203.0.113.0/24")
    was = rendering(*vultr(table), *ufw(table))
    now = rendering(*vultr(table), *ufw(table, cloudflare=more))
    (said,) = widening(was, now, more)
    assert said == "The nodes' own firewall opens tcp 80, 443 to 203.0.113.0/24"
