"""The Service in front of an ingress, and what MetalLB says about it."""

from collections.abc import Callable

from components.json_object import Json, object_at, objects_at
from components.load_balancer.announced import STATUSES, announcers, complaint, events_of
from ops.live.facts import ServiceFacts

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
    statuses = objects_at(objects(STATUSES) or {}, "items")
    path, query = events_of(namespace, name)
    return ServiceFacts(
        addresses=tuple(str(each["ip"]) for each in given if each.get("ip")),
        announcers=announcers(statuses, namespace, name),
        complaint=complaint(items(path, **query)),
    )
