"""The emulated Vultr's instances (the worker nodes), regions and plans."""

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi
from sandbox.vendors.vultr.catalog import PLANS, REGIONS
from sandbox.vendors.vultr.fleet import VultrFleet
from sandbox.vendors.vultr.http import page, refuse
from sandbox.vendors.vultr.views import instance_view, instances

FILTERS = ("label", "main_ip", "region", "firewall_group_id", "hostname")


def add_instances(api: RestApi, fleet: VultrFleet) -> None:
    """Add ``/v2/instances``, ``/v2/regions`` and ``/v2/plans``."""

    def list_instances(request: Request) -> Response:
        wanted = {name: request.args[name] for name in FILTERS if request.args.get(name)}
        views = [instance_view(*found) for found in instances(fleet.read(), fleet.now())]
        return page(request, "instances", [v for v in views if wanted.items() <= v.items()])

    def get(_: Request, instance_id: str) -> Response:
        for found in instances(fleet.read(), fleet.now()):
            if found[2]["id"] == instance_id:
                return json_response({"instance": instance_view(*found)})
        raise refuse(404, "Invalid instance ID")

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
    api.add("GET", "/v2/regions", regions)
    api.add("GET", "/v2/regions/<region_id>/availability", availability)
    api.add("GET", "/v2/plans", plans)
