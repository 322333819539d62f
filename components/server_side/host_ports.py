"""Who has a node's ports already: two pods can't, and the second one would wait for ever."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..json_object import object_at, objects_at

_EVERY_NODE = {"kubernetes.io/os"}
"""Labels by which nobody tells nodes apart."""


def taken(
    daemon_sets: Iterable[Mapping[str, Any]], ports: Iterable[int], own: Iterable[str]
) -> list[str]:
    """A sentence for each DaemonSet on all nodes that has one of the `ports`; those in the
    namespaces `own` don't count."""
    wanted, ours = frozenset(ports), frozenset(own)
    found: list[str] = []
    for item in daemon_sets:
        namespace = str(object_at(item, "metadata").get("namespace", ""))
        held = sorted(wanted & _host_ports(item))
        if namespace in ours or not held or _on_some_nodes(item):
            continue
        name = str(object_at(item, "metadata")["name"])
        listed = " and ".join(f":{port}" for port in held)
        found.append(
            f"DaemonSet {namespace}/{name}: has {listed} of every node, and two can't: the "
            "ingress's pods would wait for them. Where it served until now, drain the region "
            "(`edgefleet:drain: true`, `pulumi up`), then "
            f"`kubectl delete daemonset -n {namespace} {name}`, and `pulumi up` again "
            '(docs/ingress.md, "From one to the other")'
        )
    return found


def _host_ports(item: Mapping[str, Any]) -> frozenset[int]:
    pod = object_at(item, "spec", "template", "spec")
    network = pod.get("hostNetwork") is True
    return frozenset(
        int(port.get("hostPort") or port["containerPort"])
        for container in objects_at(pod, "containers")
        for port in objects_at(container, "ports")
        if port.get("hostPort") or network
    )


def _on_some_nodes(item: Mapping[str, Any]) -> bool:
    selector = object_at(item, "spec", "template", "spec", "nodeSelector")
    return bool({*selector} - _EVERY_NODE)
