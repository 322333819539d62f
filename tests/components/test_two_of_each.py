"""Two of each component in one program: their resources have names of their own, and what they make
differs, but for what there can be only one of."""

from collections import Counter
from typing import Any

import pulumi
import pytest

import components
from tests.components.examples import ARGUMENTS, BESIDE
from tests.components.test_arguments import COMPONENTS
from tests.registrations import all_registered

ONCE = {
    "CalicoBgp": "cluster",
    "CalicoDataplane": "cluster",
    "CalicoHostProtection": "cluster",
    "CiliumDataplane": "cluster",
    "CiliumHostProtection": "cluster",
    "CloudFirewall": "group",
    "HostEndpoints": "cluster",
    "IngressDaemonSet": "cluster",
    "KubeProxy": "cluster",
    "MetalLb": "cluster",
    "NodeFirewall": "cluster",
    "OriginPulls": "zone",
    "TraefikIngress": "cluster",
    "WorkerFilter": "zone",
}
"""What a second one would quarrel about: the component's own text says with whom."""
MAKES_NOTHING = {"ExistingCluster"}
IDENTITY = {
    "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings": [
        "zoneId"
    ],
    "cloudflare:index/dnsRecord:DnsRecord": ["zoneId", "name", "type", "content"],
    "cloudflare:index/ruleset:Ruleset": ["zoneId", "phase"],
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": ["accountId", "scriptName"],
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": ["accountId", "title"],
    "cloudflare:index/workersRoute:WorkersRoute": ["zoneId", "pattern"],
    "cloudflare:index/workersScript:WorkersScript": ["accountId", "scriptName"],
    "cloudflare:index/zoneSetting:ZoneSetting": ["zoneId", "settingId"],
    "pulumi-python:dynamic/index:KubeProxyConfiguration": [],
    "pulumi-python:dynamic/index:ServerSidePatch": [
        "kind",
        "namespace",
        "object_name",
        "field_manager",
    ],
    "vultr:index/firewallRule:FirewallRule": ["firewallGroupId", "ipType", "protocol", "port"],
    "vultr:index/kubernetes:Kubernetes": ["label"],
}
"""By which inputs a vendor, or a cluster, tells two resources of a type apart."""


def identity(sent: dict[str, Any]) -> str | None:
    """What there is one of in a cluster, zone or account; None where nobody minds another."""
    told, inputs = sent["type"], sent.get("object", {})
    if told.startswith("kubernetes:"):
        metadata = inputs["metadata"]
        return f"{inputs['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
    if told in IDENTITY:
        return f"{told} {[inputs.get(key) for key in IDENTITY[told]]}"
    return None


@pytest.mark.parametrize("name", COMPONENTS)
def test_two_of_each(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VULTR_API_KEY", "key")
    made: Any = getattr(components, name)

    def two() -> pulumi.Resource:
        first = pulumi.ComponentResource("test:index:First", "first")
        after = pulumi.ResourceOptions(depends_on=[first])
        for number, each in enumerate(("one", "other")):
            beside = BESIDE.get(name, lambda _: {})(number)
            made(each, ARGUMENTS[name](number), after, **beside)
        return first

    sent, _ = all_registered(two)
    urns = Counter((each["type"], each["name"]) for each in sent)
    assert [urn for urn, times in urns.items() if times > 1] == []
    named = {each["name"].partition("-")[0] for each in sent}
    assert len(named) == (0 if name in MAKES_NOTHING else 2)
    things = Counter(found for each in sent if (found := identity(each)))
    twice = sorted(thing for thing, times in things.items() if times > 1)
    text = " ".join(made.__doc__.split())
    if place := ONCE.get(name):
        assert twice, sorted({each["type"] for each in sent})
        assert f"Once a {place}: " in text
    else:
        assert twice == []
        assert "Once a " not in text
