"""The node firewall's pods by Kubernetes' own DaemonSet controller, and who waits for them.

There is no kubelet: a thread of the test binds pods, and says of each whether it is ready.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import yaml
from kubernetes import client
from kubernetes.client import ApiException
from kubernetes.config import new_client_from_config_dict

from components.firewall import in_step
from components.firewall.node import NAME, pod_spec
from tests.kubernetes_harness import until

pytest_plugins = ["tests.kubernetes_harness"]

NODES = ("node-a", "node-b", "node-c")
SPACE = "node-firewall"


class Kubelets:
    """Run pods on every node; `broken` are nodes where those of some files are never ready."""

    def __init__(self, kubeconfig: str) -> None:
        api = new_client_from_config_dict(yaml.safe_load(kubeconfig))
        # Its bodies are typed as its own models; plain mappings do as well.
        self.core: Any = client.CoreV1Api(api)
        self.apps: Any = client.AppsV1Api(api)
        self.broken: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def pods(self) -> list[Any]:
        return cast("Any", self.core.list_namespaced_pod(SPACE)).items

    def files(self) -> dict[str, str]:
        """What each node's pod runs by."""
        return {p.spec.node_name: p.spec.volumes[0].config_map.name for p in self.pods()}

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            with contextlib.suppress(ApiException):
                self._once()

    def _once(self) -> None:
        for pod in self.pods():
            name = pod.metadata.name
            if pod.metadata.deletion_timestamp:
                self.core.delete_namespaced_pod(name, SPACE, grace_period_seconds=0)
                continue
            terms = pod.spec.affinity.node_affinity
            terms = terms.required_during_scheduling_ignored_during_execution.node_selector_terms
            node = terms[0].match_fields[0].values[0]
            if not pod.spec.node_name:
                target = {"apiVersion": "v1", "kind": "Node", "name": node}
                body = {"metadata": {"name": name}, "target": target}
                self.core.create_namespaced_binding(SPACE, body, _preload_content=False)
                continue
            broken = self.broken.get(node) == pod.spec.volumes[0].config_map.name
            ready = "False" if broken else "True"
            if [c.status for c in pod.status.conditions or [] if c.type == "Ready"] == [ready]:
                continue
            if broken:
                self._say(pod)
            status = {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}
                ],
            }
            self.core.patch_namespaced_pod_status(name, SPACE, {"status": status})

    def _say(self, pod: Any) -> None:
        """As the kubelet tells what a failing probe printed."""
        told = 'state=blocked mode=enforce changes=0 reason="IPV6 is not yes"\n'
        event = {
            "metadata": {"generateName": "probe-"},
            "involvedObject": {"kind": "Pod", "namespace": SPACE, "name": pod.metadata.name},
            "reason": "Unhealthy",
            "message": f"Readiness probe failed: {told}",
        }
        self.core.create_namespaced_event(SPACE, event)

    def __enter__(self) -> "Kubelets":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def kubelets(kubeconfig: str) -> Iterator[Kubelets]:
    with Kubelets(kubeconfig) as made:
        made.core.create_namespace({"metadata": {"name": SPACE}})
        for node in NODES:
            labels = {"kubernetes.io/os": "linux"}
            made.core.create_node({"metadata": {"name": node, "labels": labels}})
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            made.core.patch_node_status(node, {"status": ready})
        yield made
        made.apps.delete_namespaced_daemon_set(NAME, SPACE)
        until(lambda: not made.pods(), "no pods any more")
        for node in NODES:
            made.core.delete_node(node)
        made.core.delete_namespace(SPACE)


def daemon_set(files: str) -> dict[str, Any]:
    labels = {"app": NAME}
    spec = pod_spec(files, "enforce", "busybox:1", 60)
    spec.pop("priorityClassName")
    spec["automountServiceAccountToken"] = False
    return {
        "metadata": {"name": NAME, "namespace": SPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def test_a_table_that_a_node_cannot_take_stays_on_that_node(
    kubelets: Kubelets, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_step, "PATIENCE_SECONDS", 5)
    provider: Any = in_step._Provider()

    def props(made: Any) -> dict[str, Any]:
        where = {"kubeconfig": kubeconfig, "namespace": SPACE, "object_name": NAME}
        return {**where, "generation": made.metadata.generation}

    made = kubelets.apps.create_namespaced_daemon_set(SPACE, daemon_set("files-1"))
    first = provider.create(props(made))
    assert first.outs["behind"] == []
    assert kubelets.files() == dict.fromkeys(NODES, "files-1")
    assert not provider.diff("", first.outs, props(made)).changes

    # A bad table, which no node can take: it reaches one of them.
    kubelets.broken = dict.fromkeys(NODES, "files-2")
    changed = kubelets.apps.replace_namespaced_daemon_set(NAME, SPACE, daemon_set("files-2"))
    assert provider.diff("", first.outs, props(changed)).changes
    second = provider.update("", first.outs, props(changed))
    now = kubelets.files()
    (unlucky,) = [node for node, files in now.items() if files == "files-2"]
    assert sorted(now.values()) == ["files-1", "files-1", "files-2"]
    others = ", ".join(node for node in NODES if node != unlucky)
    assert second.outs["behind"] == [
        f"{unlucky} (blocked: IPV6 is not yes)",
        f"waiting for these, with what they had: {others}",
    ]
    assert unlucky in (in_step.warning(second.outs["behind"]) or "")
    # The next `up` says so again, without waiting, and so does a refresh.
    assert provider.diff("", second.outs, props(changed)).changes
    assert provider.update("", second.outs, props(changed)).outs == second.outs
    assert provider.read("id", second.outs).outs == second.outs

    kubelets.broken = {}
    mended = kubelets.apps.replace_namespaced_daemon_set(NAME, SPACE, daemon_set("files-3"))
    third = provider.update("", second.outs, props(mended))
    assert third.outs["behind"] == []
    assert kubelets.files() == dict.fromkeys(NODES, "files-3")
    assert in_step.warning([]) is None
    assert json.dumps(third.outs)
