"""Where an ingress's pods run and what they take: the same for every controller on host ports."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack


class Resources(TypedDict):
    """Kubernetes quantities by resource; what is left out isn't limited."""

    requests: Mapping[str, str]
    """What a pod is promised, {"cpu": "100m"}."""
    limits: Mapping[str, str]
    """What it may take at most, {"memory": "1Gi"}."""


class Canary(TypedDict):
    """Another image on some nodes; the others stay as they are."""

    image: str
    """name:tag, better with digest."""
    node_selector: Mapping[str, str]
    """Labels of these nodes: those that have all of them."""


RESOURCES: Resources = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    # No limit on CPU: throttling an edge that has cores to spare only makes it slow.
    "limits": {"memory": "1Gi"},
}
TOLERATIONS: Sequence[Mapping[str, str]] = ({"operator": "Exists"},)
"""Every node: each one's address is in the region's DNS."""


def affinity(
    avoided: Mapping[str, str] | None, not_on: Mapping[str, Sequence[str]] | None
) -> dict[str, Any]:
    """The key `affinity` of a pod's spec, or nothing.

    `avoided` are labels of nodes that another DaemonSet serves: one that has all of them. A node
    serves nobody whose label has one of the values in `not_on`.
    """
    terms = _terms(avoided or {}, not_on or {})
    if not terms:
        return {}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}


def _terms(avoided: Mapping[str, str], not_on: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Which nodes are ours: those that match one of these. A node that has all of the labels in
    `avoided` is the other's; one that lacks any of them is ours."""

    def without(key: str, values: Sequence[str]) -> dict[str, Any]:
        return {"key": key, "operator": "NotIn", "values": list(values)}

    always = [without(key, values) for key, values in sorted(not_on.items()) if values]
    either = [[without(key, [value])] for key, value in sorted(avoided.items())]
    expressions = [[*always, *one] for one in either or [[]]]
    return [{"matchExpressions": each} for each in expressions if each]


class Placed(TypedDict, total=False):
    """Where pods run: on nodes with these labels, whatever of their taints is tolerated; `avoided`
    and `not_on` as `affinity` has them."""

    node_selector: Mapping[str, str] | None
    tolerations: Sequence[Mapping[str, str]]
    avoided: Mapping[str, str] | None
    not_on: Mapping[str, Sequence[str]] | None


def placed_pod(account: str, *, host_ports: bool, **placed: Unpack[Placed]) -> dict[str, Any]:
    """What the pods of every controller say of where they run."""
    tolerations = placed.get("tolerations", TOLERATIONS)
    return {
        "serviceAccountName": account,
        "enableServiceLinks": False,
        # With hostNetwork the node's resolver is the default, and Services would not resolve.
        **({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"} if host_ports else {}),
        "priorityClassName": "system-node-critical",
        "nodeSelector": {"kubernetes.io/os": "linux", **(placed.get("node_selector") or {})},
        "tolerations": [dict(toleration) for toleration in tolerations],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        **affinity(placed.get("avoided"), placed.get("not_on")),
    }


def daemon_set_spec(name: str, labels: Mapping[str, str], pod: Mapping[str, Any]) -> dict[str, Any]:
    """A DaemonSet of pods that are told apart by the label app.kubernetes.io/name."""
    return {
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        # Two pods can't share a host port, so one goes before its successor comes.
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {
            "metadata": {"labels": {**labels, "app.kubernetes.io/name": name}},
            "spec": pod,
        },
    }


def content_name(prefix: str, files: Mapping[str, str]) -> str:
    """A name that changes with the content, so that what mounts it is rolled."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    return f"{prefix}-{digest[:10]}"
