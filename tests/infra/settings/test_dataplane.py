"""What a stack file may say about dataplane, ingress and policies, and how a mistake is told."""

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.fleet.reading import load
from infra.settings.ingress import IngressTuning
from tests.projects import copy_project, region, region_stack, write_stack
from tests.rendered import live_nodes, of_type, rendered


def refusal(folder: Path, **config: Any) -> str:
    project = copy_project(folder)
    write_stack(project, "us", {**region(), **config})
    with pytest.raises(SettingsError) as caught:
        load(project)
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"calico": {"kubeProxy": "left", "kubeProxyCleanup": True}},
            "edgefleet:calico: kubeProxyCleanup with kubeProxy left: felix would remove",
        ),
        (
            {"calico": {"encapsulation": "ipip"}},
            "edgefleet:calico: encapsulation ipip with dataplane ebpf",
        ),
        (
            {"ingress": {"config": {"worker-conections": "1"}}},
            "worker-conections: is no key of the controller's ConfigMap in 5.6; did you mean",
        ),
        (
            {"ingress": {"config": {"worker-connections": "1"}}},
            "say it by the option workerConnections",
        ),
        (
            {"ingress": {"tuning": {"workerConnections": 0}}},
            "workerConnections: 0: must be a whole number from 1",
        ),
        (
            {"ingress": {"canary": {"image": "nginx/nginx-ingress:latest", "nodeSelector": {}}}},
            "`latest` is another image tomorrow",
        ),
        (
            {"firewall": {"hostProtection": "calico", "node": "observe"}},
            "edgefleet:firewall: hostProtection calico with node observe: Calico's policies for",
        ),
        (
            {"firewall": {"hostProtection": "both", "node": "remove"}},
            "Say hostProtection: calico to leave ufw behind",
        ),
        (
            {"firewall": {"hostProtection": "nftables"}},
            "edgefleet:firewall.hostProtection: 'nftables': must be 'ufw', 'calico' or 'both'",
        ),
        (
            {"calico": {"version": "v3.27.4"}},
            "calico.version: 'v3.27.4' with firewall.hostProtection ufw: until v3.27.4 Calico's",
        ),
        (
            {"firewall": {"hostProtection": "calico"}, "calico": {"version": "v3.27.4"}},
            "Pulumi.us.yaml: edgefleet:firewall.hostProtection: 'calico': ipv6 with dataplane ebpf",
        ),
        (
            {"networkPolicy": {"namespaces": ["web"]}, "calico": {"dataplane": "iptables"}},
            "Calico accepts it before ufw is asked. Say hostProtection: both, or variant",
        ),
        (
            {"networkPolicy": {"namespaces": ["kube-system"]}},
            "kube-system: denying by default there would cut off",
        ),
        (
            {"networkPolicy": {"namespaces": ["web"], "variant": "kubernetes"}},
            "sources: name the nodes' addresses",
        ),
    ],
)
def test_a_mistake_is_told_in_the_files_words(tmp_path: Path, config: dict[str, Any], told: str):
    assert told in refusal(tmp_path, **config)


@pytest.mark.parametrize(
    "firewall", [{"hostProtection": "both"}, {"hostProtection": "calico"}, {"node": "off"}]
)
def test_host_endpoints_that_go_round_no_firewall(tmp_path: Path, firewall: dict[str, str]):
    project = copy_project(tmp_path)
    policy = {"networkPolicy": {"namespaces": ["web"]}, "calico": {"dataplane": "iptables"}}
    write_stack(project, "us", {**region(), **policy, "firewall": firewall})
    assert region_stack(project)


def test_an_ordinary_file_says_nothing_of_it(tmp_path: Path):
    project = copy_project(tmp_path)
    write_stack(project, "us", region())
    names = {r.name for r in rendered(project, "us", live_nodes(2)).resources}
    assert {"us-calico-felix", "us-calico-rollout", "us-ingress-controller"} <= names
    assert not {n for n in names if n.startswith("us-policy") or "canary" in n}
    assert not {"us-calico-pool", "us-calico-kube-proxy", "us-calico-services-endpoint"} & names


def test_what_a_file_says_arrives(tmp_path: Path):
    project = copy_project(tmp_path)
    calico = {
        "externalServiceMode": "DSR",
        "kubeProxy": "stopped",
        "apiEndpoint": "192.0.2.1:6443",
        "force": True,
    }
    ingress = {
        "tuning": {"workerConnections": 2048},
        "config": {"proxy-read-timeout": "10s"},
        "resources": {"limits": {"memory": "2Gi"}},
        "defaultClass": False,
        "metrics": False,
        "customResources": True,
        "canary": {"image": "nginx/nginx-ingress:5.6.2", "nodeSelector": {"canary": "yes"}},
    }
    policy = {"namespaces": ["web"], "order": 5, "tier": "edge", "ingressSelector": "has(x)"}
    write_stack(
        project, "us", {**region(), "calico": calico, "ingress": ingress, "networkPolicy": policy}
    )
    found = {r.name: r.inputs for r in rendered(project, "us", live_nodes(2)).resources}
    env = found["us-calico-felix"]["containers"]["calico-node"]["env"]
    assert env["FELIX_BPFEXTERNALSERVICEMODE"] == "DSR"
    assert found["us-calico-felix"]["force"] is True
    assert found["us-calico-services-endpoint"]["fields"]["data"] == {
        "KUBERNETES_SERVICE_HOST": "192.0.2.1",
        "KUBERNETES_SERVICE_PORT": "6443",
    }
    assert found["us-calico-kube-proxy"]["node_selector"]["non-calico"] == "true"
    config = found["us-ingress-config"]["data"]
    assert (config["worker-connections"], config["proxy-read-timeout"]) == ("2048", "10s")
    pod = found["us-ingress-controller"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert "-enable-custom-resources=true" in container["args"]
    assert "-enable-prometheus-metrics" not in container["args"]
    annotations = found["us-ingress-class"]["metadata"]["annotations"]
    assert annotations == {"ingressclass.kubernetes.io/is-default-class": "false"}
    canary = found["us-ingress-canary"]["spec"]["template"]["spec"]
    assert canary["containers"][0]["image"] == "nginx/nginx-ingress:5.6.2"
    assert canary["nodeSelector"]["canary"] == "yes"
    assert "affinity" in pod
    spec = found["us-policy-policy"]["spec"]
    assert (spec["order"], spec["tier"]) == (5, "edge")
    assert spec["ingress"][0]["source"]["selector"] == "has(x)"


def test_as_many_workers_as_cores_is_what_the_component_does_by_itself():
    for said, given in (("auto", {}), (4, {"worker_processes": 4})):
        assert IngressTuning.model_validate({"workerProcesses": said}).options() == given


def test_policies_in_kubernetes_own_words(tmp_path: Path):
    project = copy_project(tmp_path)
    policy = {"namespaces": ["web"], "variant": "kubernetes", "sources": ["192.0.2.1/32"]}
    write_stack(project, "us", {**region(), "networkPolicy": policy})
    rendering = rendered(project, "us", live_nodes(2))
    found = of_type(rendering, "kubernetes:networking.k8s.io/v1:NetworkPolicy")
    assert set(found) == {
        f"us-policy-web-{part}"
        for part in ("default-deny", "allow-dns", "allow-ingress-controller")
    }
    # The denial comes last.
    after = found["us-policy-web-default-deny"].options["dependsOn"]
    assert len([urn for urn in after if "us-policy-web-allow" in urn]) == 2
