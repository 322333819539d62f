"""Waiting until a node answers for a Service's addresses, and what is said when none does."""

from typing import Any

import pytest

from components.load_balancer import announced
from components.server_side.api import Refused, ServerObject

PROPS = {"kubeconfig": "k", "namespace": "traefik", "service": "traefik", "generation": "1"}
LABELS = {"metallb.io/service-name": "traefik", "metallb.io/service-namespace": "traefik"}
STATUS = {"metadata": {"labels": LABELS}, "status": {"node": "fra-2"}}
WHY = 'the interfaces specified by LB IP "10.9.0.8" doesn\'t exist in assigned node "fra-1"'
FAILED = {"reason": "announceFailed", "message": WHY, "lastTimestamp": "2026-11-22T10:00:00Z"}


class Server:
    """Answers in turn to the question who answers for the Service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *statuses: Any) -> None:
        self.left, self.asked = [*statuses], list[str]()
        monkeypatch.setattr(ServerObject, "__init__", lambda *_, **__: None)
        monkeypatch.setattr(ServerObject, "items", self.items)
        monkeypatch.setattr(announced, "_POLL_SECONDS", 0)

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        self.asked.append(path)
        if path != announced.STATUSES:
            assert "involvedObject.name=traefik" in query["fieldSelector"]
            return [FAILED]
        found = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(found, Exception):
            raise found
        return found


def wait() -> None:
    announced._Provider().wait(PROPS)  # pyright: ignore[reportPrivateUsage]


def test_it_waits_until_a_node_is_named(monkeypatch: pytest.MonkeyPatch):
    early = Refused(404, {"message": "no such kind"})
    server = Server(monkeypatch, early, [], [{**STATUS, "status": {}}], [STATUS])
    wait()
    assert server.asked.count(announced.STATUSES) == 4


def test_it_ends_with_metallbs_own_reason(monkeypatch: pytest.MonkeyPatch):
    Server(monkeypatch, [])
    monkeypatch.setattr(announced, "SECONDS", 0)
    with pytest.raises(RuntimeError) as caught:
        wait()
    said = str(caught.value)
    assert said.startswith("after 0 minutes no node answers ARP or NDP for Service traefik/traefik")
    assert WHY in said
    assert "not published" in said


def test_an_api_server_that_refuses_is_the_reason(monkeypatch: pytest.MonkeyPatch):
    Server(monkeypatch, Refused(403, {"message": "servicel2statuses is forbidden"}))
    monkeypatch.setattr(announced, "SECONDS", 0)
    with pytest.raises(RuntimeError, match="servicel2statuses is forbidden"):
        wait()
