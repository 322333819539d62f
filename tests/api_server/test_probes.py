"""Probes on a real API server, their script run by the real busybox.

There is no kubelet: a thread of the test runs what a pod says, and tells its message. A pod of the
first node finds the service, which is the API server; the second node's network leads nowhere.
"""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from ops.doctor.probe import NAME, Probes
from ops.live.asking import Unasked
from ops.live.facts import ClusterFacts, NodeFacts
from ops.live.probe_facts import ProbeFacts
from tests.kubernetes_harness import until

pytest_plugins = ["tests.kubernetes_harness"]
SPACE = "kube-system"


class Kubelet:
    """Runs each pod of ours once; on the nodes in `cut_off` without a network, in `deaf` never."""

    def __init__(self, kubeconfig: str, tools: Path, cut_off: str = "", deaf: str = "") -> None:
        config = yaml.safe_load(kubeconfig)
        # Its bodies are typed as its own models; plain mappings do as well.
        self.core: Any = client.CoreV1Api(new_client_from_config_dict(config))
        self.tools, self.cut_off, self.deaf = tools, cut_off, deaf
        host, _, port = config["clusters"][0]["cluster"]["server"][8:].rpartition(":")
        self.service = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen: set[str] = set()

    def pods(self) -> list[Any]:
        found = cast("Any", self.core.list_namespaced_pod(SPACE)).items
        return [pod for pod in found if pod.metadata.name.startswith(NAME)]

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            for pod in self.pods():
                if pod.metadata.name not in self.seen:
                    self.seen.add(pod.metadata.name)
                    if pod.spec.node_name != self.deaf:
                        self._start(pod)

    def _start(self, pod: Any) -> None:
        (container,) = pod.spec.containers
        out = self.tools / pod.metadata.name
        lead = ["unshare", "--net"] if pod.spec.node_name == self.cut_off else []
        shell, *script = container.command
        assert shell == "/bin/sh"
        subprocess.run(
            [*lead, str(self.tools / "sh"), *script],
            env={
                "PATH": str(self.tools),
                "PROBE_OUT": str(out),
                **self.service,
                **{variable.name: variable.value for variable in container.env or []},
            },
            check=True,
            timeout=30,
        )
        ended = {"exitCode": 0, "reason": "Completed", "message": out.read_text()}
        state = {"terminated": ended}
        told = {"name": "probe", "ready": False, "restartCount": 0, "image": "x", "imageID": ""}
        status = {"phase": "Succeeded", "containerStatuses": [{**told, "state": state}]}
        self.core.patch_namespaced_pod_status(pod.metadata.name, SPACE, {"status": status})

    def __enter__(self) -> "Kubelet":
        account = lambda: self.core.read_namespaced_service_account("default", SPACE)  # noqa: E731
        until(account, "the service account")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    busybox = shutil.which("busybox")
    if not busybox or os.geteuid() != 0:
        pytest.skip("needs root, for a network namespace, and busybox")
    folder = tmp_path / "bin"
    folder.mkdir()
    subprocess.run([busybox, "--install", "-s", str(folder)], check=True)
    return folder


def cluster(*names: str) -> ClusterFacts:
    nodes = tuple(NodeFacts(name, name, "edge", True) for name in names)
    return ClusterFacts("v1", nodes, None, None, "", "", None, (), {}, None, None)


def test_what_nodes_tell_and_that_no_pod_is_left(kubeconfig: str, tools: Path):
    facts = cluster("node-a", "node-b")
    with Kubelet(kubeconfig, tools, cut_off="node-b") as kubelet:
        left = {"metadata": {"name": f"{NAME}-left", "labels": {"app.kubernetes.io/name": NAME}}}
        spec = {"containers": [{"name": "x", "image": "x"}], "nodeName": "node-a"}
        kubelet.seen.add(f"{NAME}-left")
        kubelet.core.create_namespaced_pod(SPACE, {**left, "spec": spec})
        with Probes(seconds=30) as probes:
            found = probes(kubeconfig, facts)
            assert f"{NAME}-left" not in {pod.metadata.name for pod in kubelet.pods()}
            assert len(kubelet.pods()) == 4
        assert kubelet.pods() == []
    reached, lost = found["node-a"], found["node-b"]
    assert isinstance(reached, ProbeFacts)
    assert isinstance(lost, ProbeFacts)
    assert (reached.from_pod, reached.from_node) == (True, True)
    assert (lost.from_pod, lost.from_node) == (False, False)
    for value in (reached.disk_used, reached.steal):
        assert value is not None
        assert 0 <= value <= 100
    assert lost.mtu is None
    assert reached.mtu is None or reached.mtu >= 1280


def test_a_node_that_runs_nothing_and_an_interrupted_look(kubeconfig: str, tools: Path):
    with Kubelet(kubeconfig, tools, deaf="node-b") as kubelet:
        with Probes(seconds=4) as probes:
            found = probes(kubeconfig, cluster("node-a", "node-b"))
        told = found["node-b"]
        assert isinstance(told, Unasked)
        assert "pod told nothing" in told.cause
        assert isinstance(found["node-a"], ProbeFacts)
        assert kubelet.pods() == []

        # Interrupted: the thread that asks goes on, and must make nothing any more.
        probes = Probes(seconds=20)
        thread = threading.Thread(target=probes, args=(kubeconfig, cluster("node-b")))

        def interrupted() -> None:
            with probes:
                thread.start()
                until(lambda: len(kubelet.pods()) == 2, "the pods")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert kubelet.pods() == []
        assert probes(kubeconfig, cluster("node-b")) == {}
        assert kubelet.pods() == []
        thread.join()
