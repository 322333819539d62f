"""A probe: on each node two short-lived pods, one on the node's own network, one as pods are.

The one interface between `fleet doctor` and running pods. What a pod measures is `probe.sh`, which
the tests run with the real busybox; that a kubelet runs it, nobody has seen on a real cluster.

Pods end by themselves (`activeDeadlineSeconds`), are deleted when the look is over, interrupted or
not (SIGTERM is as good as Ctrl-C), and what a killed one left is deleted by the next.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from components.dataplane import felix_words
from components.firewall.node import IMAGE
from components.json_object import Json, object_at, objects_at
from components.server_side.api import CLUSTER_LEVEL, Refused, ServerObject, Unreachable
from components.server_side.rollout import unready
from infra.pins import images
from ops.live.asking import Unasked, beside
from ops.live.facts import ClusterFacts
from ops.live.probe_facts import ProbeFacts

SECONDS = 45
"""How long a look with probes may take: busybox may have to be fetched."""
NAME = "edgefleet-probe"
_LABEL = "app.kubernetes.io/name"
_NAMESPACE = "/api/v1/namespaces/kube-system/pods"
_OURS = f"{_NAMESPACE}?labelSelector={_LABEL}%3D{NAME}"
_POLL_SECONDS = 0.5
_CLEANING_SECONDS = 5
_SCRIPT = Path(__file__).with_name("probe.sh")


def manifest(node: str, on_node: bool, image: str) -> Json:
    """The pod: bound to its node, without rights, token or folder of it."""
    part = "node" if on_node else "pod"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{NAME}-{part}-",
            "namespace": "kube-system",
            "labels": {_LABEL: NAME, "edgefleet/probe": part},
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": on_node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": SECONDS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "command": ["/bin/sh", "-c", _SCRIPT.read_text()],
                    "env": [{"name": "ON_NODE", "value": "yes"}] if on_node else [],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"memory": "32Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        # The kubelet's file for the message belongs to root.
                        "runAsUser": 0,
                        "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
        },
    }


def measured(pods: Iterable[Mapping[str, Any]]) -> dict[str, ProbeFacts | Unasked]:
    """What the pods of each node told; why not, where one of them told nothing."""
    told: dict[str, dict[str, Mapping[str, str]]] = {}
    silent: dict[str, Unasked] = {}
    for pod in pods:
        node = str(object_at(pod, "spec").get("nodeName", ""))
        part = str(object_at(pod, "metadata", "labels").get("edgefleet/probe", ""))
        if message := _message(pod):
            told.setdefault(node, {})[part] = read(message)
        else:
            silent[node] = Unasked(f"its {part} pod told nothing: {unready([pod])[0]}")
    found: dict[str, ProbeFacts | Unasked] = {**silent}
    for node, parts in told.items():
        if node not in silent:
            found[node] = _facts(parts.get("node", {}), parts.get("pod", {}))
    return found


def read(message: str) -> dict[str, str]:
    """The lines that a probe wrote."""
    lines = (line.partition("=") for line in message.splitlines())
    return {name: value for name, sign, value in lines if sign and value}


def _facts(node: Mapping[str, str], pod: Mapping[str, str]) -> ProbeFacts:
    return ProbeFacts(
        disk_used=_number(node, "disk_used"),
        steal=_number(node, "steal"),
        conntrack_used=_number(node, "conntrack_used"),
        mtu=int(node["mtu"]) if node.get("mtu", "").isdigit() else None,
        from_pod=pod["reached"] == "yes" if "reached" in pod else None,
        from_node=node["reached"] == "yes" if "reached" in node else None,
        fell_back=felix_words.fell_back(readiness=node.get("felix", "")),
    )


def _number(told: Mapping[str, str], name: str) -> float | None:
    try:
        return float(told[name])
    except (KeyError, ValueError):
        return None


def _message(pod: Mapping[str, Any]) -> str:
    for status in objects_at(pod, "status", "containerStatuses"):
        if message := object_at(status, "state", "terminated").get("message"):
            return str(message)
    return ""


class Probes:
    """Runs probes; a context, at whose end none of its pods is left, whatever happened inside.

    Called with a kubeconfig and the cluster's facts it gives what was measured, by node. Raises
    Refused and Unreachable.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._used: list[ServerObject] = []
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._over = True
            used, self._used = self._used, []
        # Beside each other: a cluster that doesn't answer keeps nobody's pods.
        beside({n: partial(_delete, each) for n, each in enumerate(used)}, 2 * _CLEANING_SECONDS)

    def __call__(self, kubeconfig: str, facts: ClusterFacts) -> Mapping[str, ProbeFacts | Unasked]:
        server = ServerObject({**CLUSTER_LEVEL, "kubeconfig": kubeconfig}, patient=False)
        image = images.pinned(IMAGE, images.load())
        _delete(server)
        with self._lock:
            if self._over:
                return {}
            self._used.append(server)
        for node in sorted(facts.ready_nodes):
            for on_node in (True, False):
                with self._lock:
                    # Nothing is made after the context has ended: nobody would delete it.
                    if self._over:
                        return {}
                    server.request("POST", _NAMESPACE, manifest(node, on_node, image))
        deadline = time.monotonic() + self._seconds
        while True:
            pods = server.request("GET", _OURS)["items"]
            if all(map(_message, pods)) or time.monotonic() > deadline:
                return measured(pods)
            time.sleep(_POLL_SECONDS)


def _delete(server: ServerObject) -> None:
    """All pods of ours; where that fails they end by themselves, and the next look deletes them."""
    deadline = time.monotonic() + _CLEANING_SECONDS
    while time.monotonic() < deadline:
        try:
            server.request("DELETE", _OURS, {"gracePeriodSeconds": 0})
            if not server.request("GET", _OURS)["items"]:
                return
        except (Refused, Unreachable):
            return
        time.sleep(_POLL_SECONDS)
