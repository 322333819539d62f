"""What the policies about firewalls let pass, and what they name."""

from typing import Any

import pytest

from components.firewall import cloudflare_ranges
from components.firewall.renderings.vultr import vultr_rules
from components.firewall.rule_table import node_rules
from policies.firewalls import admitted, beside_cloudflare, public_ssh

RULE, SERVICE = "vultr:index/firewallRule:FirewallRule", "kubernetes:core/v1:Service"
RULES = ["pulumi-python:dynamic/index:VultrFirewallRules", "edgefleet:internal:VultrFirewallRules"]


def rule(subnet: str, size: int, port: str | None = "443", **other: str) -> dict[str, Any]:
    family = "v6" if ":" in subnet else "v4"
    said = {"ipType": family, "protocol": "tcp", "subnet": subnet, "subnetSize": size, "port": port}
    return {**said, **other}


def service(*sources: str, port: int = 443, kind: str = "LoadBalancer") -> dict[str, Any]:
    ports = [{"port": port}]
    return {"spec": {"type": kind, "loadBalancerSourceRanges": list(sources), "ports": ports}}


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        (RULE, rule("0.0.0.0", 0, source="cloudflare")),
        (RULE, rule("::", 0, "80", source="cloudflare")),
        (RULE, rule("173.245.48.0", 20)),
        (RULE, rule("173.245.48.0", 21, "80")),
        (RULE, rule("2400:cb00::", 32, "443")),
        (RULE, rule("0.0.0.0", 0, "8080")),
        (RULE, rule("0.0.0.0", 0, None, protocol="icmp")),
        (SERVICE, service("173.245.48.0/20", "2400:cb00::/32")),
        (SERVICE, service(port=8443)),
        (SERVICE, service(kind="ClusterIP")),
        (SERVICE, {"metadata": {}}),
        ("kubernetes:core/v1:ConfigMap", {"data": {"port": "443"}}),
    ],
)
def test_what_only_lets_cloudflare_in_or_is_no_web_port_passes(
    kind: str, props: dict[str, Any]
) -> None:
    assert beside_cloudflare(kind, props) == []


@pytest.mark.parametrize(
    ("kind", "props", "named"),
    [
        (RULE, rule("0.0.0.0", 0), "0.0.0.0/0 may reach :443"),
        (RULE, rule("173.245.48.0", 19), "173.245.32.0/19 may reach :443"),
        (RULE, rule("::", 0, "80", protocol="UDP"), "::/0 may reach :80"),
        (RULE, rule("203.0.113.0", 24, "1:100"), "203.0.113.0/24 may reach :1 to 100"),
        (RULE, rule("203.0.113.0", 24, None), "203.0.113.0/24 may reach :1 to 65535"),
        (SERVICE, service("203.0.113.0/24"), "203.0.113.0/24 may reach :443"),
        (SERVICE, service(), "0.0.0.0/0 may reach :443"),
    ],
)
def test_whoever_else_reaches_a_web_port_is_named(
    kind: str, props: dict[str, Any], named: str
) -> None:
    assert beside_cloudflare(kind, props)[0].startswith(f"{named}, and isn't Cloudflare")


@pytest.mark.parametrize("kind", RULES)
def test_rules_that_our_own_resource_holds_are_read_too(kind: str) -> None:
    ranges = cloudflare_ranges.load().cidrs
    table = node_rules(
        ssh_sources=["198.51.100.0/24"],
        node_networks=["10.0.0.0/8"],
        pod_networks=["10.244.0.0/16"],
    )
    ours = vultr_rules(table, ranges)
    assert [*admitted(kind, {"rules": ours})]
    assert beside_cloudflare(kind, {"rules": ours}) == []
    assert public_ssh(kind, {"rules": ours}) == []
    open_to_all = vultr_rules(table, ["0.0.0.0/0"])
    assert len(beside_cloudflare(kind, {"rules": open_to_all})) == 2


@pytest.mark.parametrize(
    ("props", "wrong"),
    [
        (rule("198.51.100.0", 24, "22"), False),
        (rule("10.0.0.0", 8, "22"), False),
        (rule("0.0.0.0", 0, "443"), False),
        (rule("0.0.0.0", 0, "22"), True),
        # Half of everything, twice, is everything.
        (rule("128.0.0.0", 1, "22"), True),
        (rule("2000::", 3, "20:25"), True),
        (rule("2001:db8::", 32, "22"), False),
    ],
)
def test_ssh_for_more_than_anybody_owns_is_named(props: dict[str, Any], wrong: bool) -> None:
    assert bool(public_ssh(RULE, props)) == wrong
