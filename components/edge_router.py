"""`EdgeRouter`: the Worker that sends each visitor to the nearest healthy region."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import pulumi
import pulumi_cloudflare as cloudflare

from components.regional_dns import AUTOMATIC_TTL

WORKER = Path(__file__).parent / "edge_worker" / "worker.js"
COMPATIBILITY_DATE = "2026-11-01"
"""Which behaviour of the Workers runtime the script was tested with."""


class RegionRow(TypedDict):
    """A region as the Worker knows it; `lat` and `lon` in degrees."""

    name: str
    host: str
    lat: float
    lon: float
    drain: bool


class EdgeRouterArgs(TypedDict):
    """The Worker, and the site's hosts that it answers."""

    account_id: pulumi.Input[str]
    zone_id: pulumi.Input[str]
    script_name: str
    hosts: Sequence[str]
    regions: Sequence[RegionRow]
    health_path: str


def worker_config(regions: Sequence[RegionRow], health_path: str) -> dict[str, Any]:
    """The CONFIG binding (its contract stands at the head of edge_worker/worker.js)."""
    return {"regions": list(regions), "healthPath": health_path}


def fallback_region(regions: Sequence[RegionRow]) -> RegionRow:
    """Where a site's host points when the Worker is bypassed: the first region in rotation."""
    return next((region for region in regions if not region["drain"]), regions[0])


class EdgeRouter(pulumi.ComponentResource):
    """The Worker, a route for each of the site's hosts, and the records that make them exist.

    A route is only asked where its host has a proxied record. Each host is a CNAME to a region, so
    that a request which passes the Worker by still arrives somewhere.
    """

    hosts: pulumi.Output[Sequence[str]]
    regions: pulumi.Output[Sequence[RegionRow]]

    def __init__(
        self, name: str, args: EdgeRouterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("edgefleet:index:EdgeRouter", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        script = cloudflare.WorkersScript(
            f"{name}-script",
            account_id=args["account_id"],
            script_name=args["script_name"],
            main_module=WORKER.name,
            # By file and hash: the preview shows one changed hash, and the state holds no script
            # (real-providers.md, Cloudflare 2). Relative, or every machine would see a change.
            content_file=os.path.relpath(WORKER),
            content_sha256=hashlib.sha256(WORKER.read_bytes()).hexdigest(),
            compatibility_date=COMPATIBILITY_DATE,
            # In the order of their names: a new order is an update, too.
            bindings=[
                {
                    "name": "CONFIG",
                    "type": "json",
                    "json": json.dumps(
                        worker_config(args["regions"], args["health_path"]), sort_keys=True
                    ),
                }
            ],
            # Every field: what isn't said comes back from the API as a change at refresh.
            observability={
                "enabled": True,
                "head_sampling_rate": 1,
                "logs": {
                    "enabled": True,
                    "head_sampling_rate": 1,
                    "invocation_logs": True,
                    "persist": True,
                    "destinations": [],
                },
            },
            opts=child,
        )
        fallback = fallback_region(args["regions"])
        for host in args["hosts"]:
            record = cloudflare.DnsRecord(
                f"{name}-{host}",
                zone_id=args["zone_id"],
                name=host,
                type="CNAME",
                content=fallback["host"],
                comment="edgefleet site host, answered by the Worker",
                proxied=True,
                ttl=AUTOMATIC_TTL,
                opts=child,
            )
            cloudflare.WorkersRoute(
                f"{name}-{host}",
                zone_id=args["zone_id"],
                pattern=f"{host}/*",
                script=script.script_name,
                # The host goes on air together with what answers it.
                opts=pulumi.ResourceOptions.merge(
                    child, pulumi.ResourceOptions(depends_on=[record])
                ),
            )
        self.hosts = pulumi.Output.from_input(list(args["hosts"]))
        self.regions = pulumi.Output.from_input(list(args["regions"]))
        self.register_outputs({"hosts": self.hosts, "regions": self.regions})
