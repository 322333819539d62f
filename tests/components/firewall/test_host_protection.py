"""What `CalicoHostProtection` refuses. What it does to a cluster is in tests/sandbox."""

import asyncio
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components.dataplane.host_endpoints import HostEndpoints, without_endpoint
from components.dataplane.network_baseline import NetworkBaseline, PolicyMistake
from components.errors import OptionsError
from components.firewall import cloudflare_ranges
from components.firewall.host_protection import CalicoHostProtection
from components.firewall.rule_data import rule_data
from components.firewall.rule_table import Rule, node_rules

CLOUDFLARE = cloudflare_ranges.load().cidrs
RULES = node_rules(
    ssh_sources=["198.51.100.0/24"], node_networks=["10.20.0.0/20"], pod_networks=["10.244.0.0/16"]
)


class _Engine(mocks.Mocks):
    def __init__(self) -> None:
        self.registered: list[str] = []
        self.providers: dict[str, str] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        self.registered.append(args.name)
        self.providers[args.name] = args.provider or ""
        return args.name, {**args.inputs, "generation": 1}

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        return {}


@pytest.fixture
def engine() -> _Engine:
    asyncio.set_event_loop(asyncio.new_event_loop())
    engine = _Engine()
    mocks.set_mocks(engine, preview=False)
    return engine


def settle() -> None:
    """What was cut off ends here, and not as a complaint in another test."""
    asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))


def protect(rules: list[Rule]) -> None:
    @pulumi.runtime.test
    def program() -> None:
        endpoints = HostEndpoints("endpoints", {"kubeconfig": "{}"})
        CalicoHostProtection(
            "protection",
            {
                "kubeconfig": "{}",
                "rules": rule_data(rules),
                "cloudflare": CLOUDFLARE,
            },
            pulumi.ResourceOptions(depends_on=[endpoints]),
        )

    program()


def test_a_table_is_enforced(engine: _Engine) -> None:
    protect(RULES)
    assert {"protection-nodes", "protection-failsafe"} <= set(engine.registered)


def test_the_cluster_is_that_of_the_kubeconfig(engine: _Engine) -> None:
    """Not the one that `kubectl` talks to, where nobody gives a provider."""
    protect(RULES)
    assert "protection-kubernetes" in engine.registered
    for part in ("nodes", "forward", "node-ports"):
        assert "protection-kubernetes" in engine.providers[f"protection-{part}"]


def test_policies_without_what_they_select_are_refused(engine: _Engine) -> None:
    with pytest.raises(OptionsError, match="name HostEndpoints in depends_on"):
        CalicoHostProtection(
            "protection", {"kubeconfig": "{}", "rules": rule_data(RULES), "cloudflare": CLOUDFLARE}
        )
    assert engine.registered == []


def test_a_table_that_opens_the_web_ports_never_reaches_calico(engine: _Engine) -> None:
    opened = Rule("all", "tcp", (), ("0.0.0.0/0",), "because")
    with pytest.raises(ValueError, match=r"all admits 0\.0\.0\.0/0 to port 80"):
        protect([*RULES, opened])
    assert not [
        name
        for name in engine.registered
        if name.startswith(("protection-nodes", "protection-node-ports"))
    ]
    settle()


def test_default_deny_needs_host_endpoints_or_a_selector(engine: _Engine) -> None:
    @pulumi.runtime.test
    def program() -> None:
        NetworkBaseline("baseline", {"namespaces": ["web"]})

    with pytest.raises(PolicyMistake, match="host endpoints: the nodes' are needed"):
        program()
    settle()


def test_a_node_without_an_endpoint_of_all_its_interfaces() -> None:
    nodes = [{"metadata": {"name": name}} for name in ("b", "a", "c")]
    made = [
        {"spec": {"node": "c", "interfaceName": "*"}},
        {"spec": {"node": "b", "interfaceName": "eth0"}},
        {"spec": {"node": "gone", "interfaceName": "*"}},
    ]
    assert without_endpoint(nodes, made) == ["a", "b"]
