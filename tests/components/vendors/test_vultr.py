"""Reading live clusters from Vultr, and waiting for them."""

import base64
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.errors import VultrError
from components.vendors import vultr as vultr_api
from components.vendors.vultr import VultrApi
from components.vendors.vultr_cluster import LiveNode


class Vultr:
    """Answers by path; a list of answers is used up one by one, its last stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                url = urlsplit(self.path)
                cursor = parse_qs(url.query).get("cursor", [""])[0]
                queue = outer.answers[url.path.removeprefix("/v2") + (f"@{cursor}" * bool(cursor))]
                status, body = queue.pop(0) if len(queue) > 1 else queue[0]
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def answer(self, path: str, *bodies: Mapping[str, Any] | tuple[int, Any]) -> None:
        self.answers[path] = [b if isinstance(b, tuple) else (200, b) for b in bodies]


@pytest.fixture
def vultr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vultr]:
    fake = Vultr()
    thread = Thread(target=fake.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(vultr_api, "BASE", f"http://127.0.0.1:{fake.server.server_address[1]}/v2")
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


def raw_cluster(label: str = "edgefleet-us", count: int = 1, **changes: Any) -> dict[str, Any]:
    nodes = [{"id": f"n{i}", "label": f"edge-{i}", "status": "active"} for i in range(count)]
    return {
        "id": f"id-of-{label}",
        "label": label,
        "region": "ewr",
        "version": "v1.35.5+1",
        "status": "active",
        "node_pools": [{"id": "p1", "label": "edge", "nodes": nodes}],
        **changes,
    }


def instance(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"n{number}",
        "main_ip": f"192.0.2.{number}",
        "v6_main_ip": f"2001:DB8:0::{number}",
        **changes,
    }


def test_nodes_and_addresses_of_a_cluster(vultr: Vultr):
    vultr.answer("/kubernetes/clusters", {"vke_clusters": [raw_cluster("x"), raw_cluster()]})
    vultr.answer("/instances", {"instances": [instance(0), instance(9)]})
    found = VultrApi("key").find_cluster("edgefleet-us")
    assert found
    assert found.nodes == (LiveNode("n0", "edge-0", "edge", "active", "192.0.2.0", "2001:db8::"),)
    assert len(vultr.requests) == 2


def test_all_pages_are_read(vultr: Vultr):
    vultr.answer("/kubernetes/clusters", {"vke_clusters": [raw_cluster(count=2)]})
    vultr.answer("/instances", {"instances": [instance(0)], "meta": {"links": {"next": "more"}}})
    vultr.answer("/instances@more", {"instances": [instance(1)], "meta": {"links": {"next": ""}}})
    found = VultrApi("key").find_cluster("edgefleet-us")
    assert found
    assert [n.ipv4 for n in found.ready_nodes()] == ["192.0.2.0", "192.0.2.1"]


def test_an_address_that_is_not_assigned_yet(vultr: Vultr):
    vultr.answer("/kubernetes/clusters", {"vke_clusters": [raw_cluster()]})
    vultr.answer("/instances", {"instances": [instance(0, main_ip="0.0.0.0", v6_main_ip="")]})
    found = VultrApi("key").find_cluster("edgefleet-us")
    assert found
    assert found.nodes[0].ipv4 == found.nodes[0].ipv6 == ""
    assert found.ready_nodes() == ()


def test_two_clusters_with_one_label(vultr: Vultr):
    used = raw_cluster(count=3, id="a", firewall_group_id="g1", date_created="yesterday")
    empty = raw_cluster(count=2, id="b", firewall_group_id="g2")
    vultr.answer("/kubernetes/clusters", {"vke_clusters": [used, empty]})
    vultr.answer("/firewalls/g1/rules", {"firewall_rules": [{}, {}]})
    vultr.answer("/firewalls/g2/rules", {"firewall_rules": []})
    with pytest.raises(VultrError) as caught:
        VultrApi("key").find_cluster("edgefleet-us")
    for part in (
        "Vultr has 2 clusters labelled 'edgefleet-us': a (of yesterday, 3 nodes, 2 firewall rules)",
        "b (of an unknown time, 2 nodes, empty: no firewall rule was made for it)",
        "clusters/ID/delete-with-linked-resources",
    ):
        assert part in str(caught.value)


def test_no_cluster(vultr: Vultr):
    vultr.answer("/kubernetes/clusters", {"vke_clusters": []})
    assert VultrApi("key").find_cluster("edgefleet-us") is None


def test_a_refused_key_says_what_to_do(vultr: Vultr):
    vultr.answer("/kubernetes/clusters", (401, {"error": "Invalid API token."}))
    with pytest.raises(VultrError, match="set VULTR_API_KEY") as caught:
        VultrApi("not-to-be-shown").find_cluster("x")
    assert "not-to-be-shown" not in str(caught.value)


def test_a_cluster_that_is_gone(vultr: Vultr):
    vultr.answer("/kubernetes/clusters/c1", (404, {"error": "Invalid resource ID"}))
    with pytest.raises(VultrError, match="pulumi refresh"):
        VultrApi("key").cluster("c1")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_repeated_where_the_server_may_answer_later(vultr: Vultr, status: int):
    vultr.answer("/kubernetes/clusters", (status, {}), {"vke_clusters": []})
    assert VultrApi("key").find_cluster("x") is None
    assert len(vultr.requests) == 2


def test_a_read_is_repeated_more_than_once(vultr: Vultr):
    vultr.answer("/kubernetes/clusters", (500, {}), (429, {}), {"vke_clusters": []})
    assert VultrApi("key").find_cluster("x") is None
    assert len(vultr.requests) == 3


def test_kubeconfig(vultr: Vultr):
    encoded = base64.b64encode(b"apiVersion: v1\n").decode()
    vultr.answer("/kubernetes/clusters/c1/config", {"kube_config": encoded})
    assert VultrApi("key").kubeconfig("c1") == "apiVersion: v1\n"
