"""Examples of the library, each run by the engine with the wheel in a Python of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.providers.kubernetes.client import ApiError, Cluster
from sandbox.toolchain.install import Toolchain, default_cache, install_pulumi
from tests.component_project import EngineProject
from tests.kubernetes_harness import Json, client, named
from tests.wheel import example, installed

pytest_plugins = ("tests.kubernetes_harness",)

COREDNS = named("apps/v1", "Deployment", "coredns", "kube-system")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("wheel"))


def project(name: str, folder: Path, python: Path) -> EngineProject:
    tools = install_pulumi(Toolchain(default_cache()), folder / "bin", Path(sys.executable))
    # As if it weren't set: this checkout's modules aren't found.
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": ""}
    return EngineProject(example(name, folder, python), folder, environment)


@pytest.fixture
def cluster(kubeconfig: str) -> Iterator[Cluster]:
    cluster = client(kubeconfig)
    with suppress(ApiError):
        cluster.delete(COREDNS, "Background")
    yield cluster
    cluster.delete(COREDNS, "Background")


def coredns(replicas: int) -> Json:
    labels = {"k8s-app": "kube-dns"}
    container = {"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.12.1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {**COREDNS, "spec": spec}


def variables(cluster: Cluster) -> list[Json]:
    (container,) = cluster.get(COREDNS)["spec"]["template"]["spec"]["containers"]
    return container.get("env", [])


def test_a_patch_of_somebody_elses_object(
    cluster: Cluster, kubeconfig: str, tmp_path: Path, python: Path
):
    cluster.apply(coredns(2), "addons")
    patch = project("patch-somebody-elses-object", tmp_path, python)
    patch.pulumi("config", "set", "--secret", "kubeconfig", given=kubeconfig)
    patch.pulumi("config", "set", "replicas", "4")
    told = patch.pulumi("preview", fails=True)
    assert "addons" in told
    assert "spec.replicas" in told
    patch.pulumi("config", "set", "force", "true")
    patch.pulumi("up", "-y", "--skip-preview")
    assert cluster.get(COREDNS)["spec"]["replicas"] == 4
    assert variables(cluster) == [{"name": "GOMEMLIMIT", "value": "150MiB"}]
    patch.pulumi("preview", "--expect-no-changes")
    # The only Python that it has knows no `components` (tests/components/test_wheel.py).
    assert "token" in kubeconfig
    assert "token" not in patch.pulumi("stack", "export")

    cluster.apply(coredns(2), "addons", force=True)
    assert "coredns" in patch.pulumi("preview", "--refresh", "--diff")
    patch.pulumi("up", "-y", "--skip-preview", "--refresh")
    assert cluster.get(COREDNS)["spec"]["replicas"] == 4
    patch.pulumi("destroy", "-y", "--skip-preview")
    assert cluster.get(COREDNS)["spec"]["replicas"] == 2
    assert variables(cluster) == []
