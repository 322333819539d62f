"""Helm's v4 charts: their objects as resources, and a chart through `pulumi up` with real helm."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.providers.base.operations import PluginError
from sandbox.providers.base.server import Server
from sandbox.providers.kubernetes.charts import children
from sandbox.providers.kubernetes.client import ApiError, Cluster
from sandbox.toolchain import charts
from tests.kubernetes_harness import Json, named
from tests.warm import starts

pytest_plugins = ("tests.kubernetes_harness",)

PROGRAM = """
import os, pulumi, pulumi_kubernetes as k8s

kubeconfig = pulumi.Output.secret(os.environ["KUBECONFIG_TEXT"])
provider = k8s.Provider("k8s", kubeconfig=kubeconfig, cluster_identifier="one")
chart = k8s.helm.v4.Chart(
    "metallb",
    chart="metallb",
    version=os.environ["VERSION"],
    namespace=os.environ["NAMESPACE"],
    repository_opts={"repo": "https://metallb.github.io/metallb"},
    skip_await=True,
    values={
        "frrk8s": {"enabled": False},
        "speaker": {"logLevel": os.environ["LEVEL"], "frr": {"enabled": False}},
    },
    opts=pulumi.ResourceOptions(provider=provider),
)
k8s.core.v1.ConfigMap(
    "after", metadata={"namespace": os.environ["NAMESPACE"], "name": "after"},
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[chart]),
)
"""

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "pools.example.test"},
    "spec": {"group": "example.test", "scope": "Namespaced", "names": {"kind": "Pool"}},
}
POOL = named("example.test/v1", "Pool", "p", "system")
KEPT = {
    **named("v1", "Secret", "s", "system"),
    "data": {"a": "eA=="},
}
KEPT["metadata"]["annotations"] = {
    "helm.sh/resource-policy": "keep",
    "config.kubernetes.io/depends-on": "example.test/namespaces/system/Pool/p",
}


def test_objects_are_named_and_ordered_as_the_real_provider_does():
    found = children([KEPT, POOL, CRD, named("v1", "Namespace", "system")], "chart")
    names = [(child.type, child.name) for child in found]
    assert names == [
        ("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "chart:pools.example.test"),
        ("kubernetes:core/v1:Namespace", "chart:system"),
        ("kubernetes:example.test/v1:Pool", "chart:system/p"),
        ("kubernetes:core/v1:Secret", "chart:system/s"),
    ]
    assert [child.after for child in found] == [(), (), (0, 1), (1, 2)]
    assert [child.retain_on_delete for child in found] == [False, False, False, True]
    assert "eA==" not in repr(found[3].inputs)


def test_objects_that_wait_for_each_other_are_refused():
    other: Json = named("v1", "ConfigMap", "c", "system")
    other["metadata"]["annotations"] = {
        "config.kubernetes.io/depends-on": "/namespaces/system/ConfigMap/d"
    }
    another: Json = named("v1", "ConfigMap", "d", "system")
    another["metadata"]["annotations"] = {
        "config.kubernetes.io/depends-on": "/namespaces/system/ConfigMap/c"
    }
    with pytest.raises(PluginError, match="depends on itself"):
        children([other, another], "chart")


def test_a_chart_that_cannot_be_had_is_named_with_those_that_can():
    assert charts.find("https://metallb.github.io/metallb/", "metallb", "v0.16.2").version
    with pytest.raises(charts.NoChart, match=r"version 0\.1\.0.*has metallb 0\.16\.2"):
        charts.find("https://metallb.github.io/metallb", "metallb", "0.1.0")


Pulumi = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pulumi(tmp_path: Path, server: Server, kubeconfig: str, namespace: str) -> Pulumi:
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(PROGRAM)
    (program / "Pulumi.yaml").write_text("name: charts\nruntime: python\n")
    (tmp_path / "state").mkdir()
    environment = {
        **os.environ,
        **starts.pulumi(tmp_path),
        "NAMESPACE": namespace,
        "KUBECONFIG_TEXT": kubeconfig,
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_PROVIDERS": f"kubernetes:{server.port}",
    }

    def run(
        *args: str, version: str = "0.16.2", level: str = "info"
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *args, "--non-interactive", "--color=never"],
            cwd=program, env={**environment, "VERSION": version, "LEVEL": level},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    run("stack", "init", "dev")
    return run


def test_a_chart_comes_up_settles_changes_and_goes(
    pulumi: Pulumi, cluster: Cluster, namespace: str
):
    """The kinds that the API server gets from the chart are real; its pods never run."""
    absent = pulumi("preview", version="0.1.0")
    assert absent.returncode
    assert "can't be had without internet" in absent.stdout
    up = pulumi("up", "--yes")
    assert up.returncode == 0, up.stdout + up.stderr
    speaker = named("apps/v1", "DaemonSet", "metallb-speaker", namespace)
    assert cluster.get(speaker)["spec"]["template"]["spec"]["hostNetwork"] is True
    again = pulumi("preview", "--expect-no-changes")
    assert again.returncode == 0, again.stdout
    refreshed = pulumi("preview", "--refresh", "--expect-no-changes")
    assert refreshed.returncode == 0, refreshed.stdout
    state = pulumi("stack", "export").stdout
    parent = "kubernetes:helm.sh/v4:Chart$kubernetes:apps/v1:DaemonSet"
    assert f"{parent}::metallb:{namespace}/metallb-speaker" in state

    changed = pulumi("up", "--yes", level="debug")
    assert "~ 1 updated" in changed.stdout, changed.stdout
    assert "--log-level=debug" in repr(cluster.get(speaker))
    gone = pulumi("destroy", "--yes", level="debug")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    with pytest.raises(ApiError) as error:
        cluster.get(speaker)
    assert error.value.not_found
