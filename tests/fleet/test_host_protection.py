"""From ufw to Calico and back, by the stack file: something protects a node at every step."""

from typing import Any

import yaml

from tests.fleet.fleet import Fleet

CALICO = "/apis/crd.projectcalico.org/v1"
KEEPER = "/apis/apps/v1/namespaces/kube-system/daemonsets"
POLICIES = [
    "default.edgefleet-forward",
    "default.edgefleet-node-ports",
    "default.edgefleet-nodes",
]


def firewall(fleet: Fleet, **settings: Any) -> None:
    path = fleet.project / "Pulumi.us.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"]["edgefleet:firewall"] = settings
    path.write_text(yaml.safe_dump(document))


def names(fleet: Fleet, path: str) -> list[str]:
    return sorted(item["metadata"]["name"] for item in fleet.kubernetes("us", path)["items"])


def environment(fleet: Fleet) -> dict[str, str]:
    (node,) = [
        item
        for item in fleet.kubernetes("us", KEEPER)["items"]
        if item["metadata"]["name"] == "calico-node"
    ]
    containers = node["spec"]["template"]["spec"]["containers"]
    return {e["name"]: e.get("value", "") for e in containers[0]["env"]}


def ufw(fleet: Fleet) -> str | None:
    """What is being done to the nodes' ufw."""
    for item in fleet.kubernetes("us", KEEPER)["items"]:
        if item["metadata"]["name"] == "edgefleet-node-firewall":
            return item["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return None


def up(fleet: Fleet) -> str:
    (ran,) = fleet.up("us")
    return ran.require().output


def settled(fleet: Fleet) -> None:
    fleet.preview("us", "--expect-no-changes", "--refresh").require()


def after(told: str, first: str, then: str) -> bool:
    return told.index(first) < told.index(then)


def test_over_to_calico_and_back(fleet: Fleet):
    untouched = fleet.kubernetes("us", f"{CALICO}/felixconfigurations/default")["spec"]

    firewall(fleet, hostProtection="calico")
    told = fleet.pulumi("us", "preview").output
    assert "the nodes' ufw holds edgefleet's rules, which would stay" in told

    firewall(fleet, hostProtection="both", adminCidrs=["198.51.100.0/24"])
    told = up(fleet)
    settled(fleet)
    assert after(told, "us-calico-rollout updated", "us-host-endpoints-switch created")
    assert after(told, "us-host-protection-nodes created", "us-host-protection-failsafe created")
    assert ufw(fleet) == "enforce"
    assert names(fleet, f"{CALICO}/globalnetworkpolicies") == POLICIES
    nodes = sorted(node["label"] for node in fleet.nodes("us"))
    assert names(fleet, f"{CALICO}/hostendpoints") == [f"{node}-auto-hep" for node in nodes]
    assert environment(fleet)["FELIX_IPV6SUPPORT"] == "true"
    felix = fleet.kubernetes("us", f"{CALICO}/felixconfigurations/default")["spec"]
    ssh = [entry for entry in felix["failsafeInboundHostPorts"] if entry["port"] == 22]
    assert ssh == [{"net": "198.51.100.0/24", "port": 22, "protocol": "tcp"}]

    firewall(fleet, hostProtection="calico", node="remove")
    up(fleet)
    assert ufw(fleet) == "remove"
    assert names(fleet, f"{CALICO}/globalnetworkpolicies") == POLICIES

    firewall(fleet, hostProtection="calico")
    up(fleet)
    settled(fleet)
    assert ufw(fleet) is None
    assert names(fleet, f"{CALICO}/globalnetworkpolicies") == POLICIES

    fleet.restore()
    told = up(fleet)
    settled(fleet)
    assert after(told, "us-node-firewall-daemon-set created", "us-host-protection-failsafe deleted")
    assert after(told, "us-host-protection-forward deleted", "us-host-protection-nodes deleted")
    assert after(told, "us-host-protection-nodes deleted", "us-calico-ipv6 deleted")
    assert ufw(fleet) == "enforce"
    assert names(fleet, f"{CALICO}/globalnetworkpolicies") == []
    assert environment(fleet)["FELIX_IPV6SUPPORT"] == "false"
    assert fleet.kubernetes("us", f"{CALICO}/felixconfigurations/default")["spec"] == untouched
    switch = fleet.kubernetes("us", f"{CALICO}/kubecontrollersconfigurations/default")["spec"]
    assert switch["controllers"]["node"]["hostEndpoint"]["autoCreate"] == "Disabled"
