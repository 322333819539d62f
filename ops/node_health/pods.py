"""Checks on a cluster's nodes: one short-lived pod each, which enters the node's namespaces.

The pod is the node firewall's in what it may do, and in its image. It ends by itself, is deleted
when the look is over, and what a killed run left is deleted by the next. That a kubelet runs it on
a real cluster, nobody has seen; what it runs, the tests run with the real busybox and nsenter.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from components.firewall.node import CAPABILITIES, IMAGE
from components.json_object import Json, object_at, objects_at
from components.server_side.api import CLUSTER_LEVEL, Refused, ServerObject, Unreachable
from components.server_side.rollout import unready
from infra.pins import images
from ops.live.asking import Unasked
from ops.node_health.scripts import lines

NAME = "edgefleet-node-health"
_LABEL = "app.kubernetes.io/name"
_PODS = "/api/v1/namespaces/kube-system/pods"
_OURS = f"{_PODS}?labelSelector={_LABEL}%3D{NAME}"
_POLL_SECONDS = 0.5
_CLEANING_SECONDS = 10
_MESSAGE = "/dev/termination-log"
# The script goes in through a pipe, as the node's files can't be seen from here, nor ours there.
# Whoever ends it ends what it runs, which tidies up.
_ENTER = (
    'trap "kill 0" TERM; printf "%s" "$SCRIPT" | '
    f"nsenter -t 1 -m -n -- /bin/sh -s >{_MESSAGE} 2>&1 & wait"
)

Printed = Sequence[Json] | Unasked
"""What a node's checks printed, or why they didn't."""


def manifest(node: str, script: str, seconds: int, image: str) -> Json:
    """The pod: bound to its node, without a token, not privileged."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{NAME}-",
            "namespace": "kube-system",
            "labels": {_LABEL: NAME},
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "hostPID": True,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "node-health",
                    "image": image,
                    "command": ["/bin/sh", "-c", _ENTER],
                    "env": [{"name": "SCRIPT", "value": script}],
                    "terminationMessagePath": _MESSAGE,
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "securityContext": {
                        "runAsUser": 0,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"], "add": [*CAPABILITIES]},
                        "appArmorProfile": {"type": "Unconfined"},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
        },
    }


def printed(pod: Json) -> Printed | None:
    """What the pod's checks printed; None as long as it runs."""
    for status in objects_at(pod, "status", "containerStatuses"):
        ended = object_at(status, "state", "terminated")
        if ended:
            return lines(str(ended.get("message") or ""))
    return None


class Nodes:
    """The nodes of a cluster. A context, at whose end none of its pods is left.

    Raises Refused and Unreachable.
    """

    def __init__(self, kubeconfig: str) -> None:
        self._server = ServerObject({**CLUSTER_LEVEL, "kubeconfig": kubeconfig}, patient=False)
        self._image = images.pinned(IMAGE, images.load())

    def __enter__(self) -> "Nodes":
        self._delete()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._delete()
        except (Refused, Unreachable):
            # They end by themselves.
            return

    def addresses(self) -> dict[str, str]:
        """Of each node that is ready, the address that other nodes know it by."""
        found: dict[str, str] = {}
        for node in self._server.items("/api/v1/nodes"):
            status = object_at(node, "status")
            ready = [c["status"] for c in objects_at(status, "conditions") if c["type"] == "Ready"]
            known = [a for a in objects_at(status, "addresses") if a["type"] == "InternalIP"]
            if ready == ["True"] and known:
                found[str(node["metadata"]["name"])] = str(known[0]["address"])
        return found

    def run(
        self, scripts: Mapping[str, str], seconds: int, waiting: Callable[[list[str]], None]
    ) -> dict[str, Printed]:
        """Run a script on each of these nodes, all at once. `waiting` is told whom it waits for."""
        names: dict[str, str] = {}
        for node, script in scripts.items():
            pod = manifest(node, script, seconds, self._image)
            made = self._server.request("POST", _PODS, pod)
            names[str(made["metadata"]["name"])] = node
        # A kubelet may have to fetch the image first.
        deadline = time.monotonic() + seconds + 30
        found: dict[str, Printed] = {}
        while True:
            pods = {p["metadata"]["name"]: p for p in self._server.request("GET", _OURS)["items"]}
            for name, node in names.items():
                if node in found:
                    continue
                if name not in pods:
                    found[node] = Unasked("somebody deleted its pod")
                elif (told := printed(pods[name])) is not None:
                    found[node] = told
                elif time.monotonic() > deadline or pods[name]["status"].get("phase") == "Failed":
                    found[node] = Unasked(f"its pod told nothing: {unready([pods[name]])[0]}")
            if len(found) == len(names):
                return found
            waiting(sorted(set(names.values()) - set(found)))
            time.sleep(_POLL_SECONDS)

    def _delete(self) -> None:
        deadline = time.monotonic() + _CLEANING_SECONDS
        while True:
            self._server.request("DELETE", _OURS, {"gracePeriodSeconds": 5})
            gone = not self._server.request("GET", _OURS)["items"]
            if gone or time.monotonic() > deadline:
                return
            time.sleep(_POLL_SECONDS)
