"""The emulated Vultr's instances (the worker nodes), regions and plans."""

from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.vultr.catalog import PLANS, REGIONS
from sandbox.vendors.vultr.fleet import VultrFleet
from sandbox.vendors.vultr.http import NO_INSTANCE, page, refuse
from sandbox.vendors.vultr.lifecycle import Cluster, Node, Pool, addresses
from sandbox.vendors.vultr.views import instance_view, instances

FILTERS = ("label", "main_ip", "region", "firewall_group_id", "hostname")


def add_instances(api: RestApi, fleet: VultrFleet) -> None:
    """Add ``/v2/instances``, ``/v2/regions`` and ``/v2/plans``."""

    def find(instance_id: str) -> tuple[Cluster, Pool, Node]:
        for cluster, pool, node in instances(fleet.read(), fleet.now()):
            if node["id"] == instance_id:
                return cluster, pool, node
        raise refuse(404, NO_INSTANCE)

    def list_instances(request: Request) -> Response:
        wanted = {name: request.args[name] for name in FILTERS if request.args.get(name)}
        views = [instance_view(*found) for found in instances(fleet.read(), fleet.now())]
        return page(request, "instances", [v for v in views if wanted.items() <= v.items()])

    def get(_: Request, instance_id: str) -> Response:
        return json_response({"instance": instance_view(*find(instance_id))})

    def patch(request: Request, instance_id: str) -> Response:
        cluster, pool, node = find(instance_id)
        if json_body(request).get("firewall_group_id") not in (None, cluster["firewall_group_id"]):
            # A limit of the sandbox, not the vendor's: groups are linked per cluster here.
            raise refuse(400, "The sandbox links firewall groups to whole clusters only")
        return json_response({"instance": instance_view(cluster, pool, node)}, 202)

    def attached_vpcs(_: Request, instance_id: str) -> Response:
        cluster, _pool, node = find(instance_id)
        own = addresses(cluster, node)
        shown: list[dict[str, Any]] = []
        if node["active"] and cluster["vpc_id"]:
            shown = [
                {
                    "id": cluster["vpc_id"],
                    "mac_address": own.mac_address,
                    "ip_address": own.internal_ip,
                }
            ]
        return json_response(_whole("vpcs", shown))

    def attached_vpc2(_: Request, instance_id: str) -> Response:
        find(instance_id)
        return json_response(_whole("vpcs", []))

    def backup_schedule(_: Request, instance_id: str) -> Response:
        find(instance_id)
        schedule = {
            "enabled": False,
            "type": "",
            "next_scheduled_time_utc": "",
            "hour": 0,
            "dow": 0,
            "dom": 0,
        }
        return json_response({"backup_schedule": schedule})

    def regions(request: Request) -> Response:
        return page(request, "regions", list(REGIONS.values()))

    def availability(_: Request, region_id: str) -> Response:
        if region_id not in REGIONS:
            raise refuse(404, "Invalid region")
        return json_response({"available_plans": list(PLANS)})

    def plans(request: Request) -> Response:
        kind = request.args.get("type") or "all"
        found = [plan for plan in PLANS.values() if kind in ("all", plan["type"])]
        return page(request, "plans", found)

    api.add("GET", "/v2/instances", list_instances)
    api.add("GET", "/v2/instances/<instance_id>", get)
    api.add("PATCH", "/v2/instances/<instance_id>", patch)
    api.add("GET", "/v2/instances/<instance_id>/vpcs", attached_vpcs)
    api.add("GET", "/v2/instances/<instance_id>/vpc2", attached_vpc2)
    api.add("GET", "/v2/instances/<instance_id>/backup-schedule", backup_schedule)
    api.add("GET", "/v2/regions", regions)
    api.add("GET", "/v2/regions/<region_id>/availability", availability)
    api.add("GET", "/v2/plans", plans)


def _whole(name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: items, "meta": {"total": len(items), "links": {"next": "", "prev": ""}}}
