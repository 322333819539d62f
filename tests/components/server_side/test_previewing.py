"""A preview asks the API server whether a patch would go through: what it makes of the answers."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from pulumi.output import UNKNOWN

from components.server_side.patch import _Provider
from tests.kubernetes_harness import kubeconfig_text

LIVE = {"metadata": {"generation": 1}, "spec": {}}
PATCH = {
    "kind": "DaemonSet",
    "namespace": "kube-system",
    "object_name": "calico-node",
    "node_selector": {"a": "b"},
}


class ApiServer:
    """Has the object; answers `status` to its patch."""

    def __init__(self) -> None:
        self.status = 200
        self.patches: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, LIVE)

            def do_PATCH(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.patches.append(self.path)
                message = {"message": "because of that"}
                self._answer(outer.status, LIVE if outer.status == 200 else message)

            def _answer(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    made = ApiServer()
    Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def failures(api: ApiServer, status: int) -> list[str]:
    api.status = status
    kubeconfig = kubeconfig_text(f"http://127.0.0.1:{api.server.server_address[1]}")
    checked = _Provider().check({}, {**PATCH, "kubeconfig": kubeconfig})
    assert all("dryRun=All" in path for path in api.patches)
    assert len(api.patches) == 1
    return [failure.reason for failure in checked.failures]


@pytest.mark.parametrize("later", [{"env": {"A": UNKNOWN}}, {"image": UNKNOWN}])
def test_what_is_known_later_is_asked_later(api: ApiServer, later: dict[str, Any]):
    kubeconfig = kubeconfig_text(f"http://127.0.0.1:{api.server.server_address[1]}")
    props = {**PATCH, "kubeconfig": kubeconfig, "containers": {"calico-node": later}}
    assert _Provider().check({}, props).failures == []
    assert _Provider().diff("id", {**props, "containers": {}}, props).changes
    assert api.patches == []


@pytest.mark.parametrize("status", [200, 404, 429, 500, 503])
def test_what_may_pass_until_the_update_comes_is_no_objection(api: ApiServer, status: int):
    assert failures(api, status) == []


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refusal_is_told_in_the_api_servers_words(api: ApiServer, status: int):
    (reason,) = failures(api, status)
    assert f"the API server refuses the patch: because of that ({status})" in reason
