"""`Announced`: a node answers ARP and NDP for a Service's addresses, by MetalLB's own account.

MetalLB gives a Service its address whether or not anybody announces it. By `l2` it picks one node,
and where that one lacks the interface that the advertisement names, it picks no other (v0.16.2,
speaker/layer2_controller.go).
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import pulumi

from ..json_object import object_at
from ..server_side.api import CLUSTER_LEVEL, ServerObject
from ..server_side.resource import ClusterResource
from ..server_side.waiting import Awaited, lasting
from .metallb_objects import NAMESPACE

SECONDS = 180
"""Long enough for a speaker whose image is still to be pulled, as it comes with the chart."""
_POLL_SECONDS = 1.0
_FAILED = ("announceFailed", "AllocationFailed", "LoadBalancerFailed")
"""Events of MetalLB's (speaker/layer2_controller.go, controller/service.go of v0.16.2). After the
first it says `nodeAssigned` all the same: the newest event says nothing."""
STATUSES = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/servicel2statuses"


class AnnouncedArgs(TypedDict):
    """A Service of a cluster."""

    kubeconfig: pulumi.Input[str]
    """Of the cluster, YAML, a secret."""
    namespace: pulumi.Input[str]
    """The Service's."""
    service: pulumi.Input[str]
    """Its name. Another one is looked for anew."""
    generation: pulumi.Input[str]
    """Says what is announced and how; with another one it is looked for anew."""


def announcers(statuses: Iterable[Mapping[str, Any]], namespace: str, name: str) -> tuple[str, ...]:
    """Nodes that answer for a Service's addresses, by MetalLB's ServiceL2Status objects (which are
    there a moment before they say so)."""
    wanted = {"metallb.io/service-name": name, "metallb.io/service-namespace": namespace}
    mine = (s for s in statuses if wanted.items() <= object_at(s, "metadata", "labels").items())
    nodes = (str(object_at(status, "status").get("node") or "") for status in mine)
    return tuple(sorted(node for node in nodes if node))


def complaint(events: Iterable[Mapping[str, Any]]) -> str:
    """The newest of MetalLB's complaints, "" where there is none."""
    said = [event for event in events if event.get("reason") in _FAILED]
    said.sort(key=lambda event: str(event.get("eventTime") or event.get("lastTimestamp") or ""))
    return str(said[-1].get("message", "")) if said else ""


def events_of(namespace: str, name: str) -> tuple[str, dict[str, str]]:
    """Path and query of a Service's events."""
    about = f"involvedObject.kind=Service,involvedObject.name={name}"
    return f"/api/v1/namespaces/{namespace}/events", {"fieldSelector": about}


class _Provider(Awaited):
    identity = ("namespace", "service")

    def wait(self, props: Mapping[str, Any]) -> None:
        namespace, name = str(props["namespace"]), str(props["service"])
        server = ServerObject({**CLUSTER_LEVEL, **props})
        path, query = events_of(namespace, name)

        def look() -> str | None:
            if announcers(server.items(STATUSES), namespace, name):
                return None
            return complaint(server.items(path, **query)) or "MetalLB says nothing of it"

        if (why := lasting(look, SECONDS, _POLL_SECONDS)) is not None:
            raise RuntimeError(
                f"after {SECONDS // 60} minutes no node answers ARP or NDP for Service "
                f"{namespace}/{name}: {why}. Do pools[].l2 interfaces and nodeSelector fit the "
                "nodes, and do the speakers run (`kubectl -n metallb-system get pods`)? Its "
                "addresses are not published; `pulumi up` again goes on waiting"
            )


class Announced(ClusterResource, name="Announced", provider=_Provider):
    """Is there once a node answers for the Service's addresses. Fails after `SECONDS`."""

    def __init__(
        self, name: str, args: AnnouncedArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
