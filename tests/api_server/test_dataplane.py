"""`CalicoDataplane` by `pulumi up`, on a real API server with Calico's own manifest."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.dataplane.calico_options import felix_environment
from sandbox.providers.kubernetes.client import Cluster
from tests.component_project import ComponentProject
from tests.data import manifest
from tests.kubernetes_harness import Json, client, named, until

pytest_plugins = ("tests.kubernetes_harness",)

PROGRAM = """
import json
from pathlib import Path

import pulumi

from components import CalicoDataplane

here = Path(pulumi.get_root_directory())
args = json.loads((here / "args.json").read_text())
kubeconfig = pulumi.Output.secret((here / "kubeconfig").read_text())
plane = CalicoDataplane("c", {"kubeconfig": kubeconfig, **args})
pulumi.export("expected", plane.expected)
"""
NODE = named("apps/v1", "DaemonSet", "calico-node", "kube-system")
PROXY = named("apps/v1", "DaemonSet", "kube-proxy", "kube-system")
POOL = named("crd.projectcalico.org/v1", "IPPool", "default-ipv4-ippool")
FELIX = named("crd.projectcalico.org/v1", "FelixConfiguration", "default")
ENDPOINT = named("v1", "ConfigMap", "kubernetes-services-endpoint", "kube-system")
CONFIG = named("v1", "ConfigMap", "calico-config", "kube-system")
OWNER = "vke-addon-manager"


class Project(ComponentProject):
    """Its program is a cluster's dataplane, and nothing of Vultr."""

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        super().__init__(folder, PROGRAM, kubeconfig)

    def preview(self, *options: str, fails: bool = False) -> str:
        """A preview's text, each run of blanks one blank and none before a colon."""
        shown = self.pulumi("preview", "--diff", "-s", "dev", *options, fails=fails)
        return " ".join(shown.split()).replace(" :", ":")


def kube_proxy() -> Json:
    labels = {"k8s-app": "kube-proxy"}
    container = {"name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:v1.35.4"}
    spec = {"nodeSelector": {"kubernetes.io/os": "linux"}, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {**PROXY, "spec": {"selector": {"matchLabels": labels}, "template": template}}


@pytest.fixture(scope="module")
def old(kubeconfig: str) -> Cluster:
    """A cluster as Calico's manifest makes one: iptables, IPIP, kube-proxy, no eBPF anywhere."""
    cluster = client(kubeconfig)
    objects = manifest("calico")
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            cluster.apply(obj, OWNER)
    for obj in objects:
        if obj["kind"] in ("ConfigMap", "DaemonSet", "ServiceAccount"):
            cluster.apply(obj, OWNER)
    cluster.apply(kube_proxy(), OWNER)
    pool = {"cidr": "10.244.0.0/16", "ipipMode": "Always", "vxlanMode": "Never"}
    made = [
        {**POOL, "spec": {**pool, "natOutgoing": True, "nodeSelector": "all()", "blockSize": 26}},
        {**FELIX, "spec": {"logSeverityScreen": "Info", "reportingInterval": "0s"}},
    ]

    def served(obj: Json) -> Any:
        cluster.forget_kinds()
        return cluster.apply(obj, "calico-node")

    for obj in made:
        until(lambda obj=obj: served(obj), f"a served {obj['kind']}")
    return cluster


@pytest.fixture
def project(old: Cluster, kubeconfig: str, tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path, kubeconfig)
    yield project
    project.destroy()


def world(cluster: Cluster) -> list[Json]:
    """Everything that may be patched, owners included, without what counts changes."""
    found = []
    for ref in (NODE, PROXY, POOL, FELIX, CONFIG):
        live = copy.deepcopy(cluster.get(ref))
        live.pop("status", None)
        meta = live["metadata"]
        meta["managedFields"] = sorted(
            (
                {key: entry[key] for key in ("manager", "operation", "fieldsV1")}
                for entry in meta["managedFields"]
                if not entry.get("subresource")
            ),
            key=lambda entry: entry["manager"],
        )
        for key in ("resourceVersion", "generation"):
            meta.pop(key, None)
        meta.get("annotations", {}).pop("deprecated.daemonset.template.generation", None)
        found.append(live)
    return found


def container(cluster: Cluster, name: str = "calico-node") -> Json:
    spec = cluster.get(NODE)["spec"]["template"]["spec"]
    (found,) = (c for c in (*spec["containers"], *spec["initContainers"]) if c["name"] == name)
    return found


def environment(cluster: Cluster) -> dict[str, str]:
    return {e["name"]: e["value"] for e in container(cluster)["env"] if "value" in e}


def differences(before: Any, after: Any, path: str = "") -> set[str]:
    """Where two objects differ; items of lists by name where they have one."""
    if isinstance(before, list) and isinstance(after, list):
        if all(isinstance(i, dict) and "name" in i for i in (*before, *after)):
            before, after = ({i["name"]: i for i in side} for side in (before, after))
        elif before != after:
            return {path}
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        return {
            where
            for key in keys
            for where in differences(before.get(key), after.get(key), f"{path}.{key}")
        }
    return set() if before == after else {path}


def without_owners(objects: list[Json]) -> list[Json]:
    objects = copy.deepcopy(objects)
    for obj in objects:
        del obj["metadata"]["managedFields"]
    return objects


def test_the_baseline_on_an_old_cluster_and_back(old: Cluster, project: Project):
    before = world(old)
    project.up()
    project.preview("--expect-no-changes")
    project.preview("--refresh", "--expect-no-changes")
    after = world(old)
    changed = [
        differences(*pair) for pair in zip(*map(without_owners, (before, after)), strict=True)
    ]
    container_path = ".spec.template.spec.containers.calico-node.env"
    assert changed[0] == {f"{container_path}.{name}" for name in felix_environment()}
    assert changed[1:] == [set()] * 4
    (ours,) = (e for e in after[0]["metadata"]["managedFields"] if e["manager"] == "edgefleet")
    (fields,) = ours["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].values()
    names = [f'k:{{"name":"{name}"}}' for name in sorted(felix_environment())]
    assert sorted(fields["f:env"]) == names
    project.destroy()
    assert world(old) == before


def test_a_preview_reads_and_sees_what_others_changed(old: Cluster, project: Project):
    before = world(old)
    project.up()
    project.say(external_service_mode="DSR")
    assert '~ FELIX_BPFEXTERNALSERVICEMODE: "Tunnel" => "DSR"' in project.preview()
    project.say()
    edited = {"name": "calico-node", "env": [{"name": "FELIX_BPFENABLED", "value": "false"}]}
    body = {**NODE, "spec": {"template": {"spec": {"containers": [edited]}}}}
    old.apply(body, "kubectl-edit", force=True)
    # It was ours, and is taken back without consent, by a plain `up` too.
    assert '~ FELIX_BPFENABLED: "false" => "true"' in project.preview("--refresh")
    project.up()
    assert environment(old)["FELIX_BPFENABLED"] == "true"
    project.preview("--refresh", "--expect-no-changes")
    project.destroy()
    old.apply(NODE, "kubectl-edit")
    assert world(old) == before


def test_a_migration_with_everything_and_back(old: Cluster, project: Project):
    before = world(old)
    project.up(
        kube_proxy="stopped",
        encapsulation="vxlan",
        nat_outgoing=False,
        mtu=1450,
        autodetection="kubernetes-internal-ip",
        version="v3.32.0",
        force=True,
    )
    project.preview("--refresh", "--expect-no-changes")
    server = yaml.safe_load((project.folder / "kubeconfig").read_text())
    port = server["clusters"][0]["cluster"]["server"].rsplit(":", 1)[1]
    assert old.get(ENDPOINT)["data"] == {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": port,
    }
    assert old.get(PROXY)["spec"]["template"]["spec"]["nodeSelector"] == {
        "kubernetes.io/os": "linux",
        "non-calico": "true",
    }
    spec = old.get(POOL)["spec"]
    assert (spec["ipipMode"], spec["vxlanMode"], spec["natOutgoing"]) == ("Never", "Always", False)
    felix = old.get(FELIX)["spec"]
    assert (felix["ipipEnabled"], felix["vxlanEnabled"]) == (False, True)
    assert old.get(CONFIG)["data"]["veth_mtu"] == "1450"
    assert environment(old)["IP_AUTODETECTION_METHOD"] == "kubernetes-internal-ip"
    images = {c: container(old, c)["image"] for c in ("calico-node", "install-cni", "upgrade-ipam")}
    assert images == {
        "calico-node": "quay.io/calico/node:v3.32.0",
        "install-cni": "quay.io/calico/cni:v3.32.0",
        "upgrade-ipam": "quay.io/calico/cni:v3.32.0",
    }
    assert container(old, "ebpf-bootstrap")["image"] == "quay.io/calico/node:v3.32.0"
    assert old.get(NODE)["spec"]["template"]["metadata"]["annotations"] == {
        "edgefleet.dev/services-endpoint": f"127.0.0.1:{port}",
        "edgefleet.dev/veth-mtu": "1450",
    }
    outputs = json.loads(project.pulumi("stack", "output", "--json", "-s", "dev"))
    assert outputs["expected"]["environment"] == felix_environment()
    assert outputs["expected"]["pool"]["vxlanMode"] == "Always"
    # Back by options: kube-proxy returns before calico-node leaves eBPF.
    told = project.up(dataplane="iptables", kube_proxy="left", force=True)
    assert told.index("c-kube-proxy updated") < told.index("c-felix updated")
    assert environment(old)["FELIX_BPFENABLED"] == "false"
    assert old.get(PROXY)["spec"] == before[1]["spec"]
    assert world(old)[2:] == before[2:]
    project.destroy()
    assert world(old) == before


def test_ipv6_is_policed_whatever_the_manifest_says(old: Cluster, project: Project):
    before = world(old)
    assert environment(old)["FELIX_IPV6SUPPORT"] == "false"
    project.up()
    project.up(ipv6=True)
    after = environment(old)
    assert (after["FELIX_IPV6SUPPORT"], after["IP6"]) == ("true", "autodetect")
    outputs = json.loads(project.pulumi("stack", "output", "--json", "-s", "dev"))
    assert outputs["expected"]["environment"]["FELIX_IPV6SUPPORT"] == "true"
    # What was awaited is the DaemonSet as the last of the patches left it.
    state = json.loads(project.pulumi("stack", "export", "-s", "dev"))["deployment"]["resources"]
    (awaited,) = (r for r in state if r["urn"].endswith("::c-rollout"))
    assert awaited["outputs"]["generation"] == old.get(NODE)["metadata"]["generation"]
    project.preview("--refresh", "--expect-no-changes")
    project.up()
    assert environment(old)["FELIX_IPV6SUPPORT"] == "false"
    assert "IP6" not in environment(old)
    project.destroy()
    assert world(old) == before


def test_a_conflict_changes_nothing(old: Cluster, project: Project):
    before = world(old)
    project.say(encapsulation="vxlan")
    told = project.preview(fails=True)
    assert (
        "IPPool default-ipv4-ippool: somebody else manages what this stack wants to set: "
        'fields.spec.ipipMode is "Always", set by calico-node; wanted is "Never"'
    ) in told
    project.say(version="v3.32.1", init_containers={"mount-bpffs": "node"})
    told = project.preview(fails=True)
    assert (
        "there is no 'mount-bpffs' among its initContainers: upgrade-ipam, install-cni, "
        "ebpf-bootstrap"
    ) in told
    assert world(old) == before


def test_a_release_that_a_node_s_kernel_refuses(old: Cluster, project: Project):
    before = world(old)
    node = named("v1", "Node", "edge-1")
    info = {"kernelVersion": "6.18.1-amd64", "kubeletVersion": "v1.35.4"}
    old.apply({**node, "status": {"nodeInfo": info}}, "kubelet")
    assert old.get(node)["status"]["nodeInfo"]["kernelVersion"] == "6.18.1-amd64"
    try:
        project.say(version="v3.30.4", force=True)
        refused = project.preview(fails=True)
        assert "Calico v3.30.4 can't start eBPF on edge-1 (6.18.1-amd64)" in refused
        assert "Say version: v3.30.5" in refused
        project.say(version="v3.30.4", dataplane="iptables", force=True)
        assert "KernelsFit" not in project.preview()
    finally:
        old.delete(node, "Background")
    assert world(old) == before
    # Where no node has such a kernel, the same goes out, after a look.
    told = project.up(version="v3.30.4", force=True)
    assert told.index("c-kernels created") < told.index("c-felix created")
    project.preview("--refresh", "--expect-no-changes")
    project.destroy()
    assert world(old) == before
