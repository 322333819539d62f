"""A table as data is the same table."""

from typing import Any

import pytest

from components.arguments import mistakes
from components.firewall.rule_data import RuleArgs, node_rules, rule_data, rules_of
from components.firewall.rule_table import bfd_rule
from components.firewall.rule_table import node_rules as table_of

OPTIONS: dict[str, Any] = {
    "ssh_sources": ["198.51.100.0/24", "2001:db8:5::/48"],
    "node_networks": ["10.20.0.0/20"],
    "pod_networks": ["10.244.0.0/16"],
    "node_addresses": ["192.0.2.1/32"],
    "tunnels": ["vxlan", "ipip"],
}


@pytest.mark.parametrize("routed", [False, True])
def test_there_and_back(routed: bool):
    table = [*table_of(**OPTIONS, web_routed=routed), bfd_rule(["192.0.2.9/32"])]
    data = rule_data(table)
    assert rules_of(data) == table
    assert not [text for rule in data for text in mistakes(RuleArgs, rule)]
    assert node_rules(**OPTIONS, web_routed=routed) == data[:-1]
    assert [rule["name"] for rule in data if rule["sources"] == ["cloudflare"]] == ["cloudflare"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sources": ["cloudflare", "10.0.0.0/8"]}, "Rule ssh: sources: cloudflare stands alone"),
        ({"name": "a b"}, "Rule 'a b': a name is made of"),
        ({"reason": '"'}, "Rule ssh: no quotes or symbols"),
    ],
)
def test_what_no_table_has_is_refused(change: RuleArgs, says: str):
    rule: RuleArgs = {
        "name": "ssh",
        "protocol": "tcp",
        "ports": [{"first": 22, "last": 22}],
        "sources": ["10.0.0.0/8"],
        "reason": "administrators",
    }
    with pytest.raises(ValueError, match=says):
        rules_of([{**rule, **change}])
