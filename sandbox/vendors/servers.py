"""Plain servers on which somebody ran kubeadm: no vendor of the programs', and no API of theirs.

``POST /clusters`` with ``{"name": …, "nodes": n}`` makes such a cluster, ``GET /clusters/<name>``
gives its kubeconfig once it answers (404 until then), ``DELETE`` takes the servers away.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.clusters import kubeadm
from sandbox.clusters.control_plane import ControlPlanes
from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import ApiError, RestApi, json_body

MOST_NODES = 50


def create_app(planes: ControlPlanes) -> Callable[..., Iterable[bytes]]:
    """The WSGI app; it keeps no state of its own."""

    def make(request: Request) -> Response:
        body = json_body(request)
        name, count = str(body.get("name", "")), body.get("nodes")
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", name):
            raise _refuse(400, f"{name!r}: must be a DNS label of up to 32 characters")
        if not isinstance(count, int) or not 1 <= count <= MOST_NODES:
            raise _refuse(400, f"{count!r}: must be a number of nodes from 1 to {MOST_NODES}")
        nodes = kubeadm.servers(name, count)
        planes.create(kubeadm.host(name), name, kubeadm.VERSION, nodes, made_by="kubeadm")
        return json_response({"id": kubeadm.host(name)}, 201)

    def show(_: Request, name: str) -> Response:
        found = planes.kubeconfig(kubeadm.host(name))
        if found is None:
            raise _refuse(404, f"{name}: no such cluster answers")
        return json_response({"kubeconfig": found})

    def delete(_: Request, name: str) -> Response:
        planes.delete(kubeadm.host(name))
        return Response(status=204)

    api = RestApi(_refuse, lambda _: None)
    api.add("POST", "/clusters", make)
    api.add("GET", "/clusters/<name>", show)
    api.add("DELETE", "/clusters/<name>", delete)
    return api


def _refuse(status: int, text: str) -> ApiError:
    body: dict[str, Any] = {"error": text}
    return ApiError(json_response(body, status))
