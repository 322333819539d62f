"""Examples of the library, each run by the engine with the wheel in a Python of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.providers.kubernetes.client import ApiError, Cluster
from sandbox.toolchain.install import Toolchain, default_cache, install_pulumi
from tests.kubernetes_harness import Json, client, named
from tests.projects import ROOT
from tests.wheel import installed

pytest_plugins = ("tests.kubernetes_harness",)

COREDNS = named("apps/v1", "Deployment", "coredns", "kube-system")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("wheel"))


class Example:
    """A copy of an example outside of the checkout."""

    def __init__(self, name: str, folder: Path, python: Path) -> None:
        self.folder = folder / name
        shutil.copytree(ROOT / "examples" / name, self.folder, ignore=lambda *_: {"venv"})
        (self.folder / "venv").symlink_to(python.parents[1])
        (folder / "state").mkdir()
        tools = install_pulumi(Toolchain(default_cache()), folder / "bin", Path(sys.executable))
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        self.pulumi("stack", "init", "dev")

    def pulumi(self, *command: str, given: str | None = None, fails: bool = False) -> str:
        ran = subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=180,
        )
        output = ran.stdout + ran.stderr
        assert (ran.returncode != 0) == fails, output
        return output


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
    example = Example("patch-somebody-elses-object", tmp_path, python)
    example.pulumi("config", "set", "--secret", "kubeconfig", given=kubeconfig)
    example.pulumi("config", "set", "replicas", "4")
    told = example.pulumi("preview", fails=True)
    assert "addons" in told
    assert "spec.replicas" in told
    example.pulumi("config", "set", "force", "true")
    example.pulumi("up", "-y", "--skip-preview")
    assert cluster.get(COREDNS)["spec"]["replicas"] == 4
    assert variables(cluster) == [{"name": "GOMEMLIMIT", "value": "150MiB"}]
    example.pulumi("preview", "--expect-no-changes")
    # The only Python that it has knows no `components` (tests/components/test_wheel.py).
    assert "token" in kubeconfig
    assert "token" not in example.pulumi("stack", "export")

    cluster.apply(coredns(2), "addons", force=True)
    assert "coredns" in example.pulumi("preview", "--refresh", "--diff")
    example.pulumi("up", "-y", "--skip-preview", "--refresh")
    assert cluster.get(COREDNS)["spec"]["replicas"] == 4
    example.pulumi("destroy", "-y", "--skip-preview")
    assert cluster.get(COREDNS)["spec"]["replicas"] == 2
    assert variables(cluster) == []
