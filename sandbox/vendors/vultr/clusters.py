"""The emulated Vultr Kubernetes Engine: clusters, their kubeconfig, versions and upgrades."""

import base64
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document
from sandbox.vendors.vultr.catalog import REGIONS, available_upgrades
from sandbox.vendors.vultr.firewalls import groups, new_group
from sandbox.vendors.vultr.fleet import VultrFleet, find_cluster
from sandbox.vendors.vultr.http import no_content, page, refuse
from sandbox.vendors.vultr.lifecycle import Cluster, clusters, new_cluster, settings, start_upgrade
from sandbox.vendors.vultr.lifecycle import new_pool as add_pool
from sandbox.vendors.vultr.pools import check_pool
from sandbox.vendors.vultr.views import cluster_view
from sandbox.vendors.vultr.vpcs import vpcs

CLUSTERS = "/v2/kubernetes/clusters"
CLUSTER = f"{CLUSTERS}/<cluster_id>"


def create_cluster(document: Document, body: dict[str, Any], now: float) -> Cluster:
    """Add a cluster with its pools and, on demand, its own firewall group.

    A cluster without a pool is refused: "a new cluster has to have an associated node pool"
    (vultr/terraform-provider-vultr issue 332, with the vendor's answer).
    """
    if body.get("region") not in REGIONS:
        raise refuse(400, "Invalid region")
    if body.get("version") not in settings(document)["versions"]:
        raise refuse(400, "Invalid version")
    pools = body.get("node_pools")
    if not isinstance(pools, list) or not pools:
        raise refuse(400, "Bad request.")
    for pool in pools:
        check_pool(pool)
    if body.get("vpc_id"):
        vpc = vpcs(document).get(body["vpc_id"])
        if vpc is None or vpc["region"] != body["region"]:
            raise refuse(400, "Invalid VPC ID")
    try:
        cluster = new_cluster(document, body, now)
    except ValueError:
        raise refuse(400, "No more clusters fit into the sandbox's address space") from None
    if cluster["vpc_id"]:
        vpc = vpcs(document)[cluster["vpc_id"]]
        cluster["network"] = f"{vpc['v4_subnet']}/{vpc['v4_subnet_mask']}"
    for pool in pools:
        add_pool(document, cluster, pool, now)
    if body.get("enable_firewall"):
        group = new_group(document, f"VKE Cluster: {cluster['label'] or cluster['id']}", now)
        cluster["firewall_group_id"] = group["id"]
    return cluster


def refused_upgrade(failed: list[str]) -> str:
    """The vendor's words for an upgrade that it won't begin (docs/facts/vultr-users.md, 3)."""
    numbered = " ".join(f"{number}. {check}" for number, check in enumerate(failed, start=1))
    why = (
        "PDB does not allow disruptions: " if any("check pdb" in check for check in failed) else ""
    )
    return (
        f"Validation error: Cannot upgrade vke cluster at this time: {why}preflight checks failed "
        f"({len(failed)} errors): {numbered}"
    )


def add_clusters(api: RestApi, fleet: VultrFleet) -> None:
    """Add ``/v2/kubernetes/clusters``, without its node pools, and ``/v2/kubernetes/versions``."""

    def list_clusters(request: Request) -> Response:
        found = clusters(fleet.read()).values()
        return page(request, "vke_clusters", [cluster_view(c, fleet.now()) for c in found])

    def create(request: Request) -> Response:
        body = json_body(request)
        with fleet.change() as document:
            cluster = create_cluster(document, body, fleet.now())
            view = cluster_view(cluster, fleet.now())
        return json_response({"vke_cluster": view}, 201)

    def get(_: Request, cluster_id: str) -> Response:
        with fleet.change() as document:
            cluster = find_cluster(document, cluster_id)
            view = cluster_view(cluster, fleet.now())
            if cluster["status"] == "pending":
                cluster["polls"] += 1
        return json_response({"vke_cluster": view})

    def put(request: Request, cluster_id: str) -> Response:
        label = json_body(request).get("label")
        if not isinstance(label, str) or not label:
            raise refuse(400, "Invalid label")
        with fleet.change() as document:
            find_cluster(document, cluster_id)["label"] = label
        return no_content()

    def delete(_: Request, cluster_id: str) -> Response:
        with fleet.change() as document:
            cluster = find_cluster(document, cluster_id)
            groups(document).pop(cluster["firewall_group_id"], None)
            del clusters(document)[cluster_id]
        return no_content()

    def config(_: Request, cluster_id: str) -> Response:
        cluster = find_cluster(fleet.read(), cluster_id)
        kubeconfig = fleet.kubeconfig(cluster_id) if cluster["status"] == "active" else None
        if not kubeconfig:
            # Never an empty one: that panics the provider (docs/facts/real-providers.md, Vultr 1).
            raise refuse(400, "Kubernetes cluster is not ready")
        encoded = base64.b64encode(kubeconfig.encode()).decode()
        return json_response({"kube_config": encoded})

    def resources(_: Request, cluster_id: str) -> Response:
        find_cluster(fleet.read(), cluster_id)
        return json_response({"resources": {}})

    def upgrades(_: Request, cluster_id: str) -> Response:
        document = fleet.read()
        cluster = find_cluster(document, cluster_id)
        found = available_upgrades(cluster["version"], settings(document)["versions"])
        return json_response({"available_upgrades": found})

    def upgrade(request: Request, cluster_id: str) -> Response:
        version = json_body(request).get("upgrade_version")
        with fleet.change() as document:
            cluster = find_cluster(document, cluster_id)
            if not cluster["upgrade"] or cluster["upgrade"]["version"] != version:
                possible = available_upgrades(cluster["version"], settings(document)["versions"])
                if cluster["upgrade"] or cluster.get("version_lost") or version not in possible:
                    raise refuse(422, "Validation error: invalid upgrade version")
                if failed := fleet.preflight(cluster):
                    raise refuse(422, refused_upgrade(failed))
                start_upgrade(document, cluster, version, fleet.now())
        return Response(status=202)

    def versions(_: Request) -> Response:
        return json_response({"versions": settings(fleet.read())["versions"]})

    api.add("GET", "/v2/kubernetes/versions", versions)
    api.add("GET", CLUSTERS, list_clusters)
    api.add("POST", CLUSTERS, create)
    api.add("GET", CLUSTER, get)
    api.add("PUT", CLUSTER, put)
    api.add("DELETE", CLUSTER, delete)
    api.add("DELETE", f"{CLUSTER}/delete-with-linked-resources", delete)
    api.add("GET", f"{CLUSTER}/config", config)
    api.add("GET", f"{CLUSTER}/resources", resources)
    api.add("GET", f"{CLUSTER}/available-upgrades", upgrades)
    api.add("POST", f"{CLUSTER}/upgrades", upgrade)
