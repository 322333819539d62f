"""The Service in front of an ingress, and what MetalLB says about it."""

from collections.abc import Callable, Iterable

from components.json_object import Json, object_at, objects_at
from components.load_balancer.metallb_objects import NAMESPACE
from ops.live.facts import ServiceFacts

_FAILED = ("announceFailed", "AllocationFailed", "LoadBalancerFailed")
"""Events of MetalLB's (speaker/layer2_controller.go, controller/service.go of v0.16.2). After the
first it says `nodeAssigned` all the same: the newest event says nothing."""
_SERVICE = "metallb.io/service-name"
_SPACE = "metallb.io/service-namespace"

Items = Callable[..., list[Json]]


def read_service(
    service: Json | None, items: Items, objects: Callable[[str], Json | None]
) -> ServiceFacts | None:
    """What its status says, its announcers by ARP and NDP, and MetalLB's last complaint.

    `items` reads lists, `objects` an object or, where there is no such kind, None.
    """
    if service is None:
        return None
    meta = object_at(service, "metadata")
    namespace, name = str(meta["namespace"]), str(meta["name"])
    given = objects_at(object_at(service, "status", "loadBalancer"), "ingress")
    path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/servicel2statuses"
    statuses = objects_at(objects(path) or {}, "items")
    events = items(
        f"/api/v1/namespaces/{namespace}/events",
        fieldSelector=f"involvedObject.kind=Service,involvedObject.name={name}",
    )
    return ServiceFacts(
        addresses=tuple(str(each["ip"]) for each in given if each.get("ip")),
        announcers=announcers(statuses, namespace, name),
        complaint=complaint(events),
    )


def announcers(statuses: Iterable[Json], namespace: str, name: str) -> tuple[str, ...]:
    """Nodes that answer for a Service's addresses, by MetalLB's ServiceL2Status objects (which are
    there a moment before they say so)."""
    wanted = {_SERVICE: name, _SPACE: namespace}
    mine = (s for s in statuses if wanted.items() <= object_at(s, "metadata", "labels").items())
    nodes = (str(object_at(status, "status").get("node") or "") for status in mine)
    return tuple(sorted(node for node in nodes if node))


def complaint(events: Iterable[Json]) -> str:
    """The newest of MetalLB's complaints, "" where there is none."""
    said = [event for event in events if event.get("reason") in _FAILED]
    said.sort(key=lambda event: str(event.get("eventTime") or event.get("lastTimestamp") or ""))
    return str(said[-1].get("message", "")) if said else ""
