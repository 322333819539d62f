"""A program through `pulumi up`: real engine, emulated kubernetes provider, real API server."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.providers.base.server import Server
from sandbox.providers.kubernetes.client import Cluster
from tests.kubernetes_harness import Json, named
from tests.warm import starts

pytest_plugins = ("tests.kubernetes_harness",)

PROGRAM = """
import os, pulumi, pulumi_kubernetes as k8s

namespace, password = os.environ["NAMESPACE"], pulumi.Output.secret("hunter2")
kubeconfig = pulumi.Output.secret(os.environ["KUBECONFIG_TEXT"])
provider = k8s.Provider("k8s", kubeconfig=kubeconfig, cluster_identifier="one")
opts = pulumi.ResourceOptions(provider=provider)
meta = {"namespace": namespace, "name": "web"}
labels = {"app": "web"}
settings = k8s.core.v1.ConfigMap("settings", metadata=meta, data={"p": password}, opts=opts)
unnamed = {"namespace": namespace}
k8s.core.v1.Secret("secret", metadata=unnamed, string_data={"p": "hunter2"}, opts=opts)
k8s.apps.v1.DaemonSet("web", metadata=meta, opts=opts, spec={
    "selector": {"match_labels": labels},
    "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
        "name": "main", "image": os.environ["IMAGE"],
        "env": [{"name": "P", "value": password}],
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
    }]}},
})
k8s.core.v1.NamespacePatch("patch", metadata={"name": namespace, "labels": labels}, opts=opts)
pulumi.export("uid", settings.metadata.uid)
"""

Pulumi = Callable[..., str]


@pytest.fixture
def pulumi(tmp_path: Path, server: Server, kubeconfig: str, namespace: str) -> Pulumi:
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(PROGRAM)
    (program / "Pulumi.yaml").write_text("name: web\nruntime: python\n")
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

    def run(*args: str, image: str = "nginx:1") -> str:
        done = subprocess.run(
            ["pulumi", *args, "--non-interactive", "--color=never"],
            cwd=program, env={**environment, "IMAGE": image}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.fail(f"pulumi {' '.join(args)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    run("stack", "init", "dev")
    return run


def daemon_set(namespace: str) -> Json:
    return named("apps/v1", "DaemonSet", "web", namespace)


def test_a_program_comes_up_settles_changes_and_goes(
    pulumi: Pulumi, cluster: Cluster, namespace: str
):
    assert "+ 6 created" in pulumi("up", "--yes")
    pulumi("preview", "--expect-no-changes")
    pulumi("preview", "--refresh", "--expect-no-changes")

    assert "~ 1 updated" in pulumi("up", "--yes", image="nginx:2")
    live = cluster.get(daemon_set(namespace))
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"

    cluster.delete(daemon_set(namespace), "Background")
    assert "+ 1 to create" in pulumi("preview", "--refresh", image="nginx:2")

    state = pulumi("stack", "export")
    assert '"__fieldManager"' in state
    assert "hunter2" not in state
    assert "aHVudGVyMg" not in state

    pulumi("destroy", "--yes", "--skip-preview")
    assert cluster.items("apps/v1", "DaemonSet", namespace) == []
    assert cluster.items("v1", "Secret", namespace) == []
    labels = cluster.get(named("v1", "Namespace", namespace))["metadata"]["labels"]
    assert "app" not in labels
