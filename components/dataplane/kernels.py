"""`KernelsFit`: nodes whose kernel a pinned release of Calico's eBPF can't start on.

Linux 6.12.53 and 6.17.5 refuse calls between programs of different hooks. Calico's balancer at
connect time made such calls: felix panics there and starts again for ever, and pods get no network
(projectcalico/calico#11302, #11379; seen with v3.31.0 on 6.18, docs/facts/felix.md §1). Mended in
v3.29.7, v3.30.5 and v3.31.3 (#11405, #11406, #11407).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import pulumi

from ..json_object import object_at
from ..server_side.api import ServerObject
from ..server_side.precondition import Precondition
from ..server_side.resource import ClusterResource

_STRICT = ((6, 12, 53), (6, 17, 5))
"""The first kernels of their lines that refuse; later lines all do. Of 6.13 to 6.16, which nobody
maintains, and of distributions' own kernels that took the change earlier, nothing is known."""
_MENDED = {(3, 29): 7, (3, 30): 5, (3, 31): 3}
_SHOWN = 5


def mended(version: str) -> bool:
    """Whether a release of Calico ("v3.31.3") starts its eBPF on every kernel."""
    major, minor, patch = _numbers(version)
    line = (major, minor)
    return line > max(_MENDED) or patch >= _MENDED.get(line, patch + 1)


def refuses(kernel: str) -> bool:
    """Whether a kernel (`status.nodeInfo.kernelVersion`, "6.12.53-69.119.amzn2023.x86_64") is one
    of those; an unreadable one isn't."""
    try:
        found = _numbers(kernel)
    except ValueError:
        return False
    (first, last) = _STRICT
    return found >= last or (found[:2] == first[:2] and found >= first)


def stuck(kernels: Mapping[str, str], version: str) -> list[str]:
    """Of nodes' kernels by the nodes' names, `name (kernel)` of those that this release's eBPF
    can't start on."""
    if mended(version):
        return []
    return [f"{name} ({kernel})" for name, kernel in sorted(kernels.items()) if refuses(kernel)]


def advice(version: str) -> str:
    """A release of Calico that does, as near as there is."""
    line = _numbers(version)[:2]
    patch = _MENDED.get(line)
    return f"v{line[0]}.{line[1]}.{patch}" if patch else "v3.31.3"


def _numbers(text: str) -> tuple[int, int, int]:
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise ValueError(f"{text!r} is no version")
    return int(match[1]), int(match[2]), int(match[3] or 0)


class KernelsFitArgs(TypedDict):
    """A cluster by its kubeconfig, and the release of Calico whose eBPF is to run on it."""

    kubeconfig: pulumi.Input[str]
    version: str


class _Provider(Precondition):
    key = "version"
    subject = "the nodes' kernels"
    spared = "calico-node was left as it is"

    def name(self, props: Mapping[str, Any]) -> str:
        return "kernels"

    def problem(self, props: Mapping[str, Any], *, patient: bool) -> str | None:
        named = {"kind": "DaemonSet", "namespace": "kube-system", "object_name": "calico-node"}
        server = ServerObject({**named, **props}, patient=patient)
        return problem(server.items("/api/v1/nodes"), props["version"])


def problem(nodes: Iterable[Mapping[str, Any]], version: str) -> str | None:
    """What keeps this release's eBPF from Kubernetes' nodes, and what to do."""
    kernels = {
        str(object_at(node, "metadata")["name"]): str(
            object_at(node, "status", "nodeInfo").get("kernelVersion", "")
        )
        for node in nodes
    }
    found = stuck(kernels, version)
    if not found:
        return None
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"Calico {version} can't start eBPF on {', '.join(found[:_SHOWN])}{more}: from Linux "
        "6.12.53 and 6.17.5 on felix panics there and pods get no network "
        f"(projectcalico/calico#11302). Say version: {advice(version)} or a newer release; "
        "dataplane: iptables works, too"
    )


class KernelsFit(ClusterResource, name="KernelsFit", provider=_Provider):
    """Is there when a release's eBPF starts on every node's kernel; looks again with another
    release, and in the preview where the cluster is there. What rolls calico-node comes after."""

    def __init__(
        self, name: str, args: KernelsFitArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {**args, "generation": args["version"]}, opts)
