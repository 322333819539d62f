"""A region stack whose nodes Calico protects, rendered offline."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from components.firewall import cloudflare_ranges
from ops.render.offline import Rendering
from tests.components.firewall.test_calico_rendering import Packet, calico_admits, failsafe_admits
from tests.projects import copy_project, region, write_stack
from tests.rendered import live_nodes, of_type, rendered

CLOUDFLARE = cloudflare_ranges.load().cidrs
POLICY = "kubernetes:crd.projectcalico.org/v1:GlobalNetworkPolicy"
PATCH = "pulumi-python:dynamic/index:ServerSidePatch"
KEEPER = "us-node-firewall-daemon-set"


def us(folder: Path, firewall: dict[str, Any], **config: Any) -> Rendering:
    project = copy_project(folder)
    write_stack(project, "us", {**region(), "firewall": firewall, **config})
    return rendered(project, "us", live_nodes(2))


def names(rendering: Rendering) -> set[str]:
    return {resource.name for resource in rendering.resources}


@pytest.mark.parametrize(
    ("firewall", "calico", "ufw"),
    [
        ({}, False, "enforce"),
        ({"hostProtection": "ufw"}, False, "enforce"),
        ({"node": "observe"}, False, "observe"),
        ({"hostProtection": "calico"}, True, None),
        ({"hostProtection": "calico", "node": "remove"}, True, "remove"),
        ({"hostProtection": "calico", "node": "off"}, False, None),
        ({"hostProtection": "both"}, True, "enforce"),
        ({"hostProtection": "both", "node": "off"}, False, None),
    ],
)
def test_who_protects_a_node(
    tmp_path: Path, firewall: dict[str, Any], calico: bool, ufw: str | None
):
    found = {r.name: r.inputs for r in us(tmp_path, firewall).resources}
    assert ("us-host-protection-failsafe" in found) == calico
    assert ("us-host-endpoints-switch" in found) == calico
    assert ("us-calico-ipv6" in found) == calico
    keeper = found.get(KEEPER)
    mode = keeper and keeper["spec"]["template"]["spec"]["containers"][0]["args"][0]
    assert mode == ufw


@pytest.mark.parametrize("ssh_port", [22, 2222])
@pytest.mark.parametrize("protection", ["calico", "both"])
def test_only_cloudflare_reaches_the_web_ports(tmp_path: Path, protection: str, ssh_port: int):
    firewall = {
        "hostProtection": protection,
        "adminCidrs": ["198.51.100.0/24"],
        "sshPort": ssh_port,
    }
    rendering = us(tmp_path, firewall)
    policies = [dict(r.inputs["spec"]) for r in of_type(rendering, POLICY).values()]
    assert len(policies) == 3
    fields = of_type(rendering, PATCH)["us-host-protection-failsafe"].inputs["fields"]
    failsafes = fields["spec"]["failsafeInboundHostPorts"]
    node = {4: ip_address("192.0.2.10"), 6: ip_address("2001:db8::10")}
    for port in (80, 443):
        for cidr in CLOUDFLARE:
            source = ip_network(cidr)[0]
            assert calico_admits(policies, Packet(source, node[source.version], "TCP", port))
        for address in ("8.8.8.8", "198.51.100.1", "10.20.0.1", "10.244.0.1", "2600::1"):
            source = ip_address(address)
            packet = Packet(source, node[source.version], "TCP", port)
            assert not calico_admits(policies, packet)
            assert not failsafe_admits(failsafes, packet)


def test_calico_looks_at_ipv6_before_it_protects(tmp_path: Path):
    found = {r.name: r for r in us(tmp_path, {"hostProtection": "calico"}).resources}
    env = found["us-calico-ipv6"].inputs["containers"]["calico-node"]["env"]
    assert env == {"FELIX_IPV6SUPPORT": "true", "IP6": "autodetect"}
    assert "FELIX_IPV6SUPPORT" not in str(found["us-calico-felix"].inputs)


def test_default_deny_beside_it_uses_the_same_endpoints(tmp_path: Path):
    policy = {"networkPolicy": {"namespaces": ["web"]}}
    both = us(tmp_path / "both", {"hostProtection": "both"}, **policy)
    alone = us(tmp_path / "alone", {}, **policy)
    for rendering in (both, alone):
        switches = [
            r.name
            for r in of_type(rendering, PATCH).values()
            if r.inputs["kind"] == "KubeControllersConfiguration"
        ]
        assert switches == ["us-host-endpoints-switch"]
    assert names(alone) < names(both)
    assert not [name for name in names(alone) if name.startswith("us-host-protection")]
    selected = {"namespaces": ["web"], "ingressSelector": "has(x)"}
    neither = us(tmp_path / "neither", {}, networkPolicy=selected)
    assert "us-host-endpoints-switch" not in names(neither)
