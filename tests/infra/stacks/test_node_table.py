"""The rule table that a stack file comes to."""

from pathlib import Path

from components.firewall.renderings.vultr import vultr_rules
from infra.stacks.node_table import node_table
from tests.projects import copy_project, region, region_stack, write_stack


def test_extra_rules_are_in_all_renderings(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    extra = [
        {"port": 51820, "protocol": "udp", "sources": ["0.0.0.0/0", "::/0"], "reason": "WireGuard"},
        {"port": 30443, "sources": ["192.0.2.7/32"], "reason": "a NodePort for monitoring"},
    ]
    write_stack(project, "us", {**region(), "firewall": {"extraRules": extra}})
    table = node_table(region_stack(project))
    assert [rule.name for rule in table[-2:]] == ["extra-udp-51820", "extra-tcp-30443"]
    at_vultr = vultr_rules(table)
    assert {name for name in at_vultr if name.startswith("extra-")} == {
        "extra-udp-51820-51820-0.0.0.0/0",
        "extra-udp-51820-51820-::/0",
        "extra-tcp-30443-30443-192.0.2.7/32",
    }
    note = at_vultr["extra-tcp-30443-30443-192.0.2.7/32"]["notes"]
    assert note == "extra-tcp-30443: a NodePort for monitoring"


def test_public_networks_are_consented_to(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    firewall = {"nodeNetworks": ["8.8.8.0/28"], "publicNetworks": True}
    write_stack(project, "us", {**region(), "firewall": firewall})
    (bgp,) = (rule for rule in node_table(region_stack(project)) if rule.name == "bgp")
    assert bgp.source == ("8.8.8.0/28",)
