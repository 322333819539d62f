"""The emulated Vultr's VPC networks."""

import ipaddress
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document
from sandbox.vendors.vultr.catalog import REGIONS
from sandbox.vendors.vultr.fleet import VultrFleet
from sandbox.vendors.vultr.http import NO_VPC, description, iso_date, no_content, page, refuse
from sandbox.vendors.vultr.lifecycle import addresses, clusters, nodes

Vpc = dict[str, Any]


def vpcs(document: Document) -> dict[str, Vpc]:
    """All VPCs by id."""
    return document.setdefault("vpcs", {})


def new_vpc(document: Document, body: dict[str, Any], now: float) -> Vpc:
    """Add a VPC; without a subnet it gets one of its own."""
    if body.get("region") not in REGIONS:
        raise refuse(400, "Invalid region")
    number = document["last_vpc"] = document.get("last_vpc", 0) + 1
    subnet = body.get("v4_subnet") or f"10.{(number - 1) % 256}.96.0"
    mask = body.get("v4_subnet_mask") or 20
    try:
        network = ipaddress.IPv4Network(f"{subnet}/{mask}", strict=False)
    except ValueError:
        raise refuse(400, "Invalid v4_subnet or v4_subnet_mask") from None
    if not network.is_private:
        raise refuse(400, "Invalid v4_subnet. Must be a private network")
    vpc: Vpc = {
        "id": str(uuid.uuid4()),
        "region": body["region"],
        "date_created": iso_date(now),
        "description": str(body.get("description") or ""),
        "v4_subnet": str(network.network_address),
        "v4_subnet_mask": network.prefixlen,
    }
    vpcs(document)[vpc["id"]] = vpc
    return vpc


def add_vpcs(api: RestApi, fleet: VultrFleet) -> None:
    """Add ``/v2/vpcs``."""

    def find(document: Document, vpc_id: str) -> Vpc:
        if vpc_id not in vpcs(document):
            raise refuse(404, NO_VPC)
        return vpcs(document)[vpc_id]

    def list_vpcs(request: Request) -> Response:
        return page(request, "vpcs", list(vpcs(fleet.read()).values()))

    def create(request: Request) -> Response:
        body = json_body(request)
        with fleet.change() as document:
            vpc = new_vpc(document, body, fleet.now())
        return json_response({"vpc": vpc}, 201)

    def get(_: Request, vpc_id: str) -> Response:
        return json_response({"vpc": find(fleet.read(), vpc_id)})

    def put(request: Request, vpc_id: str) -> Response:
        told = description(request)
        with fleet.change() as document:
            find(document, vpc_id)["description"] = told
        return no_content()

    def delete(_: Request, vpc_id: str) -> Response:
        with fleet.change() as document:
            find(document, vpc_id)
            using = [c for c in clusters(document).values() if c["vpc_id"] == vpc_id]
            if using:
                # The words that the Terraform provider waits by (its resource_vultr_vpc.go).
                ips = [addresses(c, node).main_ip for c in using for node in nodes(c)]
                raise refuse(400, f"VPC is attached to {', '.join(ips)}")
            del vpcs(document)[vpc_id]
        return no_content()

    api.add("GET", "/v2/vpcs", list_vpcs)
    api.add("POST", "/v2/vpcs", create)
    api.add("GET", "/v2/vpcs/<vpc_id>", get)
    api.add("PUT", "/v2/vpcs/<vpc_id>", put)
    api.add("DELETE", "/v2/vpcs/<vpc_id>", delete)
