"""`KubeProxy` by `pulumi up`, on a real API server with a kube-proxy as kubeadm makes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from components.dataplane.kube_proxy import ANNOTATION
from sandbox.providers.kubernetes.client import Cluster
from tests.component_project import ComponentProject
from tests.components.dataplane.test_kube_proxy import KUBEADM
from tests.kubernetes_harness import Json, client, named

pytest_plugins = ("tests.kubernetes_harness",)

PROGRAM = """
import json
from pathlib import Path

import pulumi

from components import KubeProxy

here = Path(pulumi.get_root_directory())
args = json.loads((here / "args.json").read_text())
kubeconfig = pulumi.Output.secret((here / "kubeconfig").read_text())
if args:
    KubeProxy("p", {"kubeconfig": kubeconfig, **args})
"""
CONFIG = named("v1", "ConfigMap", "kube-proxy", "kube-system")
DAEMONS = named("apps/v1", "DaemonSet", "kube-proxy", "kube-system")


@pytest.fixture
def kubeadm(kubeconfig: str) -> Iterator[Cluster]:
    cluster = client(kubeconfig)
    for ref in (CONFIG, DAEMONS):
        # Other tests' of this API server.
        cluster.delete(ref, "Background")
    data = {"config.conf": KUBEADM, "kubeconfig.conf": "kind: Config"}
    cluster.apply({**CONFIG, "data": data}, "kubeadm")
    labels = {"k8s-app": "kube-proxy"}
    container = {"name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:v1.35.4"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    cluster.apply({**DAEMONS, "spec": spec}, "kubeadm")
    yield cluster
    for ref in (CONFIG, DAEMONS):
        cluster.delete(ref, "Background")


@pytest.fixture
def project(kubeadm: Cluster, kubeconfig: str, tmp_path: Path) -> Iterator[ComponentProject]:
    project = ComponentProject(tmp_path, PROGRAM, kubeconfig)
    yield project
    project.destroy()


def config(cluster: Cluster) -> Json:
    return yaml.safe_load(cluster.get(CONFIG)["data"]["config.conf"])


def note(cluster: Cluster) -> str | None:
    meta = cluster.get(DAEMONS)["spec"]["template"]["metadata"]
    return meta.get("annotations", {}).get(ANNOTATION)


def test_our_fields_there_and_back(kubeadm: Cluster, project: ComponentProject):
    before = config(kubeadm)
    project.up(mode="ipvs", scheduler="lc")
    after = config(kubeadm)
    assert (after["mode"], after["ipvs"]["scheduler"]) == ("ipvs", "lc")
    assert after["ipvs"]["strictARP"] is True
    assert {key: after[key] for key in ("clusterCIDR", "iptables")} == {
        key: before[key] for key in ("clusterCIDR", "iptables")
    }
    assert kubeadm.get(CONFIG)["data"]["kubeconfig.conf"] == "kind: Config"
    rolled = note(kubeadm)
    assert rolled
    project.pulumi("preview", "--expect-no-changes", "-s", "dev")

    # `kubeadm upgrade` writes the whole anew: ours come back, and kube-proxy starts again.
    kubeadm.apply({**CONFIG, "data": {"config.conf": KUBEADM}}, "kubeadm", force=True)
    assert "mode is '', not 'ipvs'" in project.pulumi("preview", "-s", "dev")
    project.up(mode="ipvs", scheduler="lc")
    assert config(kubeadm)["mode"] == "ipvs"
    assert note(kubeadm) not in (None, rolled)
    state = json.loads(project.pulumi("stack", "export", "-s", "dev"))["deployment"]["resources"]
    (awaited,) = (r for r in state if r["urn"].endswith("::p-rollout"))
    assert awaited["outputs"]["generation"] == kubeadm.get(DAEMONS)["metadata"]["generation"]

    project.up(mode="iptables")
    assert config(kubeadm) == {**before, "mode": "iptables"}
    project.up()
    assert config(kubeadm) == before
    assert note(kubeadm) is None
    owners = {e["manager"] for e in kubeadm.get(CONFIG)["metadata"]["managedFields"]}
    assert owners == {"kubeadm"}


def test_a_cluster_without_one_is_told(kubeadm: Cluster, project: ComponentProject):
    kubeadm.delete(CONFIG, "Background")
    project.say(mode="nftables")
    told = " ".join(project.pulumi("preview", "-s", "dev", fails=True).split())
    assert "there is no ConfigMap kube-system/kube-proxy with a config.conf" in told
    assert "k3s and RKE2 run kube-proxy inside of themselves" in told
    project.say()
