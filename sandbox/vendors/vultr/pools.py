"""The emulated Vultr Kubernetes Engine: node pools and their nodes."""

import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document
from sandbox.vendors.vultr.catalog import PLANS
from sandbox.vendors.vultr.fleet import VultrFleet, find_cluster
from sandbox.vendors.vultr.http import (
    NO_NODE_POOL,
    NO_RESOURCE,
    iso_date,
    no_content,
    page,
    refuse,
)
from sandbox.vendors.vultr.lifecycle import Node, Pool, listed, recycle, scale
from sandbox.vendors.vultr.lifecycle import new_pool as add_pool
from sandbox.vendors.vultr.views import pool_view

POOLS = "/v2/kubernetes/clusters/<cluster_id>/node-pools"
POOL = f"{POOLS}/<pool_id>"
NODE = f"{POOL}/nodes/<node_id>"


def check_pool(body: Any) -> None:
    """Refuse the description of a new pool where the API would."""
    if not isinstance(body, dict) or not body.get("label"):
        raise refuse(400, "Invalid node pool label")
    if body.get("plan") not in PLANS:
        raise refuse(400, "Invalid plan")
    _check_counts(body, body.get("node_quantity"))


def _check_counts(body: dict[str, Any], quantity: Any) -> None:
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        raise refuse(400, "Invalid node_quantity. Must be at least 1")
    low, high = body.get("min_nodes") or 1, body.get("max_nodes") or quantity
    if body.get("auto_scaler") and low > high:
        raise refuse(400, "Invalid min_nodes. Must not be more than max_nodes")


def _check_bounds(pool: Pool, body: dict[str, Any]) -> None:
    """As users met it (docs/facts/vultr-users.md, 1), with the provider's every PATCH."""
    scales = pool["auto_scaler"] if body.get("auto_scaler") is None else body["auto_scaler"]
    if not scales and any(body.get(name) is not None for name in ("min_nodes", "max_nodes")):
        raise refuse(
            422,
            "You cannot update auto scalar minimum or maximum nodes if `auto_scaler` is disabled.",
        )


def add_pools(api: RestApi, fleet: VultrFleet) -> None:
    """Add ``…/node-pools``, its nodes, and what takes labels off them."""

    def list_pools(request: Request, cluster_id: str) -> Response:
        found = find_cluster(fleet.read(), cluster_id)["pools"]
        return page(request, "node_pools", [pool_view(p, fleet.now()) for p in found])

    def create(request: Request, cluster_id: str) -> Response:
        body = json_body(request)
        check_pool(body)
        with fleet.change() as document:
            pool = add_pool(document, find_cluster(document, cluster_id), body, fleet.now())
            view = pool_view(pool, fleet.now())
        return json_response({"node_pool": view}, 201)

    def get(_: Request, cluster_id: str, pool_id: str) -> Response:
        pool = _pool(fleet.read(), cluster_id, pool_id)
        return json_response({"node_pool": pool_view(pool, fleet.now())})

    def patch(request: Request, cluster_id: str, pool_id: str) -> Response:
        body = json_body(request)
        with fleet.change() as document:
            pool = _pool(document, cluster_id, pool_id)
            _check_bounds(pool, body)
            _update(pool, body, fleet.now())
            if body.get("node_quantity") is not None:
                _check_counts(body, body["node_quantity"])
                cluster = find_cluster(document, cluster_id)
                scale(document, cluster, pool, body["node_quantity"], fleet.now())
            view = pool_view(pool, fleet.now())
        return json_response({"node_pool": view}, 202)

    def delete(_: Request, cluster_id: str, pool_id: str) -> Response:
        with fleet.change() as document:
            pool = _pool(document, cluster_id, pool_id)
            pools = find_cluster(document, cluster_id)["pools"]
            if len(pools) == 1:
                raise refuse(400, "Cluster must have at least one node pool")
            pools.remove(pool)
        return no_content()

    def delete_node(_: Request, cluster_id: str, pool_id: str, node_id: str) -> Response:
        with fleet.change() as document:
            pool = _pool(document, cluster_id, pool_id)
            node = _node(pool, node_id, fleet.now())
            if pool["node_quantity"] == 1:
                raise refuse(400, "Node pool must have at least one node")
            pool["nodes"].remove(node)
            pool["node_quantity"] -= 1
        return no_content()

    def recycle_node(_: Request, cluster_id: str, pool_id: str, node_id: str) -> Response:
        with fleet.change() as document:
            pool = _pool(document, cluster_id, pool_id)
            node = _node(pool, node_id, fleet.now())
            recycle(document, find_cluster(document, cluster_id), pool, node, fleet.now())
        return no_content()

    api.add("GET", POOLS, list_pools)
    api.add("POST", POOLS, create)
    api.add("GET", POOL, get)
    api.add("PATCH", POOL, patch)
    api.add("DELETE", POOL, delete)
    api.add("DELETE", NODE, delete_node)
    api.add("POST", f"{NODE}/recycle", recycle_node)
    _add_labels(api, fleet)


def _update(pool: Pool, body: dict[str, Any], now: float) -> None:
    """What PATCH changes: not the plan, not the label, and it removes no label or taint
    (docs/facts/vultr.md §1; docs/facts/real-providers.md, Vultr 7)."""
    for name in ("tag", "auto_scaler", "min_nodes", "max_nodes", "user_data"):
        if body.get(name) is not None:
            pool[name] = body[name]
    pool["labels"].update(body.get("labels") or {})
    taints = {(taint["key"], taint["effect"]): taint for taint in pool["taints"]}
    for taint in body.get("taints") or []:
        taints[taint["key"], taint["effect"]] = taint
    pool["taints"] = list(taints.values())
    pool["date_updated"] = iso_date(now)


def _add_labels(api: RestApi, fleet: VultrFleet) -> None:
    """``…/labels``: a PATCH of the pool only adds some."""

    def ids(pool: Pool) -> dict[str, str]:
        space = uuid.UUID(pool["id"])
        return {str(uuid.uuid5(space, f"labels {key}")): key for key in pool["labels"]}

    def list_labels(_: Request, cluster_id: str, pool_id: str) -> Response:
        pool = _pool(fleet.read(), cluster_id, pool_id)
        shown = [{"id": i, "key": k, "value": pool["labels"][k]} for i, k in ids(pool).items()]
        return json_response({"labels": shown})

    def delete_label(_: Request, cluster_id: str, pool_id: str, label_id: str) -> Response:
        with fleet.change() as document:
            pool = _pool(document, cluster_id, pool_id)
            key = ids(pool).get(label_id)
            if key is None:
                raise refuse(404, NO_RESOURCE)
            del pool["labels"][key]
        return no_content()

    api.add("GET", f"{POOL}/labels", list_labels)
    api.add("DELETE", f"{POOL}/labels/<label_id>", delete_label)


def _pool(document: Document, cluster_id: str, pool_id: str) -> Pool:
    for pool in find_cluster(document, cluster_id)["pools"]:
        if pool["id"] == pool_id:
            return pool
    raise refuse(404, NO_NODE_POOL)


def _node(pool: Pool, node_id: str, now: float) -> Node:
    for node in listed(pool, now):
        if node["id"] == node_id:
            return node
    raise refuse(404, NO_RESOURCE)
