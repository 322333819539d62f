"""What MetalLB says of a Service, as its v0.16.2 says it."""

from typing import Any

from components.load_balancer.announced import announcers, complaint
from ops.live.balancer import read_service
from ops.live.facts import ServiceFacts

SERVICE: dict[str, Any] = {
    "metadata": {"namespace": "traefik", "name": "traefik"},
    "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.80", "ipMode": "VIP"}]}},
}


def status(node: str, name: str = "traefik") -> dict[str, Any]:
    labels = {"metallb.io/service-name": name, "metallb.io/service-namespace": "traefik"}
    return {"metadata": {"name": f"l2-{node}", "labels": labels}, "status": {"node": node}}


def event(reason: str, time: str) -> dict[str, Any]:
    return {"reason": reason, "message": f"{reason} at {time}", "lastTimestamp": time}


def test_who_answers_for_it_and_what_went_wrong():
    asked: list[Any] = []

    def items(path: str, **query: str) -> list[dict[str, Any]]:
        asked.append((path, query))
        return [
            event("nodeAssigned", "2026-11-21T10:00:00Z"),
            event("announceFailed", "2026-11-21T09:00:00Z"),
        ]

    def objects(path: str) -> dict[str, Any]:
        asked.append(path)
        return {"items": [status("n2"), status(""), status("n1"), status("n3", "other")]}

    assert read_service(SERVICE, items, objects) == ServiceFacts(
        ("203.0.113.80",), ("n1", "n2"), "announceFailed at 2026-11-21T09:00:00Z"
    )
    assert asked == [
        "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicel2statuses",
        (
            "/api/v1/namespaces/traefik/events",
            {"fieldSelector": "involvedObject.kind=Service,involvedObject.name=traefik"},
        ),
    ]
    assert read_service(None, items, objects) is None
    # No MetalLB, and nothing given yet.
    assert read_service({"metadata": SERVICE["metadata"]}, lambda *_, **__: [], lambda _: None) == (
        ServiceFacts(())
    )


def test_the_newest_complaint_is_told_and_good_news_is_none():
    early, late = "2026-11-21T09:00:00Z", "2026-11-21T11:00:00Z"
    assert complaint([event("AllocationFailed", late), event("announceFailed", early)]) == (
        f"AllocationFailed at {late}"
    )
    assert complaint([event("nodeAssigned", late), event("IPAllocated", early)]) == ""
    assert announcers([], "traefik", "traefik") == ()
