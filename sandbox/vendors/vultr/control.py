"""What happens to emulated clusters without a request to the vendor: ``/_sandbox/clusters``.

``POST …/<id>/rotate`` makes another kubeconfig and refuses the old one. ``POST …/<id>/autoscale``
with ``{"pool": label, "nodes": n}`` is the autoscaler at work. ``POST …/<id>/upgrade`` with
``{"version": …}`` is the vendor's own, forced upgrade. ``POST …/<id>/lose-version`` makes the API
show no version from then on (docs/facts/vultr-users.md, 2 and 4). ``POST …/<id>/break`` with
``{"node": id}`` makes a node fail for good.
"""

from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document
from sandbox.vendors.vultr.fleet import VultrFleet, find_cluster
from sandbox.vendors.vultr.http import no_content
from sandbox.vendors.vultr.lifecycle import Cluster, autoscale, nodes, start_upgrade

_PATH = "/_sandbox/clusters/<cluster_id>"


def add_control(api: RestApi, fleet: VultrFleet) -> None:
    """Add the paths."""

    def rotate(_: Request, cluster_id: str) -> Response:
        find_cluster(fleet.read(), cluster_id)
        fleet.rotate(cluster_id)
        return no_content()

    def grow(document: Document, cluster: Cluster, body: dict[str, Any]) -> None:
        (pool,) = (pool for pool in cluster["pools"] if pool["label"] == body.get("pool"))
        autoscale(document, cluster, pool, int(body["nodes"]), fleet.now())

    def upgrade(document: Document, cluster: Cluster, body: dict[str, Any]) -> None:
        start_upgrade(document, cluster, str(body["version"]), fleet.now())

    def lose_version(_: Document, cluster: Cluster, body: dict[str, Any]) -> None:
        cluster["version_lost"] = body.get("lost", True)

    def break_node(_: Document, cluster: Cluster, body: dict[str, Any]) -> None:
        (node,) = (node for node in nodes(cluster) if node["id"] == body.get("node"))
        node.update(active=False, broken=True)

    def lose_ipv6(_: Document, cluster: Cluster, body: dict[str, Any]) -> None:
        (node,) = (node for node in nodes(cluster) if node["id"] == body.get("node"))
        node["ipv6_lost"] = True

    def changing(what: Any) -> Any:
        def handle(request: Request, cluster_id: str) -> Response:
            body = json_body(request)
            try:
                with fleet.change() as document:
                    what(document, find_cluster(document, cluster_id), body)
            except (KeyError, ValueError, TypeError) as error:
                return json_response({"error": f"{error!r}"}, 400)
            return no_content()

        return handle

    api.add("POST", f"{_PATH}/rotate", rotate)
    api.add("POST", f"{_PATH}/autoscale", changing(grow))
    api.add("POST", f"{_PATH}/upgrade", changing(upgrade))
    api.add("POST", f"{_PATH}/lose-version", changing(lose_version))
    api.add("POST", f"{_PATH}/break", changing(break_node))
    api.add("POST", f"{_PATH}/lose-ipv6", changing(lose_ipv6))
