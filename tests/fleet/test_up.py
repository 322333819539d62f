"""What comes up, that it settles, and what it leaves in files."""

import json

import pytest
import yaml

from tests.fleet.fleet import Fleet
from tests.projects import git
from tests.warm.client import SWITCH

# What calico-node's environment has to say: Calico's own names (v3.32, felix/configuration).
EBPF = {
    "FELIX_BPFENABLED": "true",
    "FELIX_BPFEXTERNALSERVICEMODE": "Tunnel",
    "FELIX_BPFCONNECTTIMELOADBALANCING": "Enabled",
    "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": "Disabled",
    "FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": "true",
    "FELIX_DEFAULTENDPOINTTOHOSTACTION": "RETURN",
}


@pytest.mark.parametrize("stack", ["us", "edge"])
def test_nothing_changes_after_up(fleet: Fleet, stack: str):
    """And the program needs nothing that was loaded before it: each Python is started anew."""
    cold = {SWITCH: "0"}
    fleet.pulumi(stack, "preview", "--diff", "--expect-no-changes", **cold).require()


@pytest.mark.parametrize("stack", ["us", "eu", "edge"])
def test_nothing_has_changed_at_the_vendors_and_no_secret_is_shown(fleet: Fleet, stack: str):
    options = ("--expect-no-changes", "--refresh", "--show-sames")
    shown = fleet.preview(stack, *options).require().output
    assert fleet.environment["VULTR_API_KEY"] not in shown
    assert fleet.environment["CLOUDFLARE_API_TOKEN"] not in shown
    assert "client-key-data" not in shown


@pytest.mark.parametrize("stack", ["us", "eu"])
def test_a_region_has_what_it_says(fleet: Fleet, stack: str):
    outputs = fleet.outputs(stack)
    cluster = fleet.cluster(stack)
    assert outputs["clusterId"] == cluster["id"]
    assert outputs["endpoint"] == cluster["endpoint"]
    assert outputs["hostname"] == f"{stack}.example.com"
    assert outputs["dataplane"] == EBPF
    assert outputs["ingressImage"] == "nginx/nginx-ingress:5.6.1"
    assert outputs["kubeconfig"] == "[secret]"
    told = [a for node in outputs["nodes"].values() for a in (node["ipv4"], node["ipv6"])]
    assert len(told) == 6
    assert sorted(told) == fleet.addresses(stack)
    assert sorted(fleet.records(f"{stack}.example.com").values()) == sorted(told)


def test_only_cloudflare_reaches_a_node(fleet: Fleet):
    web = []
    for rule in fleet.rules("us"):
        first, _, last = rule["port"].partition(":")
        if rule["protocol"] == "tcp" and any(
            int(first) <= port <= int(last or first) for port in (80, 443)
        ):
            web.append((rule["ip_type"], rule["port"], rule["source"]))
    assert sorted(web) == sorted((f, p, "cloudflare") for f in ("v4", "v6") for p in ("80", "443"))


def test_the_dataplane_is_set_and_rolled_out(fleet: Fleet):
    found = fleet.kubernetes("us", "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node")
    (node,) = (
        c for c in found["spec"]["template"]["spec"]["containers"] if c["name"] == "calico-node"
    )
    env = {entry["name"]: entry.get("value") for entry in node["env"]}
    assert EBPF.items() <= env.items()
    assert found["status"]["numberAvailable"] == 3
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]


def test_the_ingress_is_ready_on_every_node(fleet: Fleet):
    found = fleet.kubernetes(
        "us", "/apis/apps/v1/namespaces/nginx-ingress/daemonsets/nginx-ingress"
    )
    assert found["status"]["numberReady"] == found["status"]["desiredNumberScheduled"] == 3
    assert found["spec"]["template"]["spec"]["hostNetwork"] is True


def test_the_edge_answers_for_the_sites_hosts(fleet: Fleet):
    outputs = fleet.outputs("edge")
    assert outputs["hosts"] == ["example.com", "api.example.com"]
    assert [row["name"] for row in outputs["regions"]] == ["apac", "eu", "us"]
    assert fleet.routes() == ["api.example.com/*", "example.com/*"]
    assert list(fleet.records("example.com").values()) == ["apac.example.com"]


def test_the_stack_files_stay_as_they_were(fleet: Fleet):
    """A passphrase's salt must not end up in them."""
    assert git(fleet.project, "status", "--porcelain") == ""


def test_no_secret_stands_in_clear(fleet: Fleet):
    secrets = {
        "Vultr's API key": fleet.environment["VULTR_API_KEY"],
        "Cloudflare's token": fleet.environment["CLOUDFLARE_API_TOKEN"],
    }
    shown = fleet.pulumi("us", "stack", "output", "kubeconfig", "--show-secrets").require()
    user = yaml.safe_load(shown.output)["users"][0]["user"]
    secrets["the kubeconfig's key"] = user["client-key-data"]
    exported = fleet.pulumi("us", "stack", "export").require().output
    assert len(json.loads(exported)["deployment"]["resources"]) > 20
    written = [path for path in fleet.directory.rglob("*") if path.is_file()]
    states = [p for p in written if p.is_relative_to(fleet.directory / "state")]
    logs = [p for p in written if p.suffix == ".log"]
    assert states
    assert logs
    for name, secret in secrets.items():
        assert secret not in exported, name
        for path in (*states, *logs):
            assert secret not in path.read_text(errors="replace"), f"{name} in {path}"


def test_a_first_preview_says_what_will_follow(fleet: Fleet):
    shown = fleet.preview("apac").require().output
    assert "apac.example.com: 6 records follow (A and AAAA for 3 nodes)" in shown
