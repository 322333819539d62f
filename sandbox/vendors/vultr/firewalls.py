"""The emulated Vultr's firewall groups and their rules."""

import ipaddress
import re
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document
from sandbox.vendors.vultr.fleet import VultrFleet
from sandbox.vendors.vultr.http import NO_RESOURCE, description, iso_date, no_content, page, refuse
from sandbox.vendors.vultr.lifecycle import clusters
from sandbox.vendors.vultr.views import MAX_RULES, group_view

Group = dict[str, Any]
_IDENTITY = ("ip_type", "protocol", "port", "subnet", "subnet_size", "source")
_PORT = re.compile(r"(\d{1,5})(?::(\d{1,5}))?")


def groups(document: Document) -> dict[str, Group]:
    """All firewall groups by id."""
    return document.setdefault("firewalls", {})


def new_group(document: Document, description: str, now: float) -> Group:
    """Add an empty group: it lets nothing in."""
    group: Group = {
        "id": str(uuid.uuid4()),
        "description": description,
        "date_created": iso_date(now),
        "date_modified": iso_date(now),
        "last_rule": 0,
        "rules": [],
    }
    groups(document)[group["id"]] = group
    return group


def find_group(document: Document, group_id: str) -> Group:
    """The group, or 404."""
    if group_id not in groups(document):
        raise refuse(404, NO_RESOURCE)
    return groups(document)[group_id]


def new_rule(body: dict[str, Any]) -> dict[str, Any]:
    """A rule as the API echoes it, without its id; a refusal where the API would refuse.

    Without a source the answer says ``source: "<subnet>/<size>"``, with ``cloudflare`` it repeats
    the subnet that was sent; IPv6 comes back compressed (docs/facts/real-providers.md, Vultr 5).
    """
    ip_type = body.get("ip_type")
    if ip_type not in ("v4", "v6"):
        raise refuse(400, "Invalid ip_type. Must be one of: v4, v6")
    protocol = str(body.get("protocol", "")).lower()
    if protocol not in ("icmp", "tcp", "udp", "gre", "esp", "ah"):
        raise refuse(400, "Invalid protocol. Must be one of: icmp, tcp, udp, gre, esp, ah")
    port = str(body.get("port") or "")
    _check_port(protocol, port)
    source = body.get("source") or ""
    if source not in ("", "cloudflare"):
        raise refuse(400, "Invalid source. Must be empty or cloudflare")
    subnet, size = _subnet(ip_type, body.get("subnet"), body.get("subnet_size"))
    return {
        "type": ip_type,
        "ip_type": ip_type,
        "action": "accept",
        "protocol": protocol,
        "port": port,
        "subnet": subnet,
        "subnet_size": size,
        "source": source or f"{subnet}/{size}",
        "notes": str(body.get("notes") or ""),
    }


def add_rule(group: Group, rule: dict[str, Any], now: float) -> dict[str, Any]:
    """Add a rule; refused beyond the group's limit, and where an identical one exists."""
    if any(all(rule[name] == other[name] for name in _IDENTITY) for other in group["rules"]):
        raise refuse(400, "This rule is already defined")
    if len(group["rules"]) >= MAX_RULES:
        raise refuse(400, f"Firewall group has reached its limit of {MAX_RULES} rules")
    group["last_rule"] += 1
    group["date_modified"] = iso_date(now)
    numbered = {"id": group["last_rule"], **rule}
    group["rules"].append(numbered)
    return numbered


def _check_port(protocol: str, port: str) -> None:
    if protocol not in ("tcp", "udp"):
        if port:
            raise refuse(400, f"Port is not allowed for protocol {protocol}")
        return
    match = _PORT.fullmatch(port)
    if not match:
        raise refuse(400, "Invalid port. Use a port or a range such as 8000:9000")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535:
        raise refuse(400, "Invalid port. Use a port or a range such as 8000:9000")


def _subnet(ip_type: str, subnet: Any, size: Any) -> tuple[str, int]:
    try:
        address = ipaddress.ip_address(subnet if isinstance(subnet, str) else "")
        size = int(size)
    except (TypeError, ValueError):
        raise refuse(400, "Invalid subnet or subnet_size") from None
    if f"v{address.version}" != ip_type or not 0 <= size <= address.max_prefixlen:
        raise refuse(400, "Invalid subnet or subnet_size")
    return address.compressed, size


def add_firewalls(api: RestApi, fleet: VultrFleet) -> None:
    """Add ``/v2/firewalls`` and its rules."""

    def list_groups(request: Request) -> Response:
        document, now = fleet.read(), fleet.now()
        found = [group_view(document, group, now) for group in groups(document).values()]
        return page(request, "firewall_groups", found)

    def create_group(request: Request) -> Response:
        description = str(json_body(request).get("description") or "")
        with fleet.change() as document:
            group = new_group(document, description, fleet.now())
            return json_response({"firewall_group": group_view(document, group, fleet.now())}, 201)

    def get_group(_: Request, group_id: str) -> Response:
        document = fleet.read()
        group = find_group(document, group_id)
        return json_response({"firewall_group": group_view(document, group, fleet.now())})

    def put_group(request: Request, group_id: str) -> Response:
        told = description(request)
        with fleet.change() as document:
            find_group(document, group_id).update(
                description=told, date_modified=iso_date(fleet.now())
            )
        return no_content()

    def delete_group(_: Request, group_id: str) -> Response:
        with fleet.change() as document:
            find_group(document, group_id)
            if any(c["firewall_group_id"] == group_id for c in clusters(document).values()):
                raise refuse(400, "Firewall group is managed by a Kubernetes cluster")
            del groups(document)[group_id]
        return no_content()

    def list_rules(request: Request, group_id: str) -> Response:
        return page(request, "firewall_rules", find_group(fleet.read(), group_id)["rules"])

    def create_rule(request: Request, group_id: str) -> Response:
        body = json_body(request)
        with fleet.change() as document:
            group = find_group(document, group_id)
            rule = add_rule(group, new_rule(body), fleet.now())
        return json_response({"firewall_rule": rule}, 201)

    def get_rule(_: Request, group_id: str, rule_id: int) -> Response:
        return json_response({"firewall_rule": _rule(fleet.read(), group_id, rule_id)})

    def delete_rule(_: Request, group_id: str, rule_id: int) -> Response:
        with fleet.change() as document:
            rule = _rule(document, group_id, rule_id)
            groups(document)[group_id]["rules"].remove(rule)
        return no_content()

    api.add("GET", "/v2/firewalls", list_groups)
    api.add("POST", "/v2/firewalls", create_group)
    api.add("GET", "/v2/firewalls/<group_id>", get_group)
    api.add("PUT", "/v2/firewalls/<group_id>", put_group)
    api.add("DELETE", "/v2/firewalls/<group_id>", delete_group)
    api.add("GET", "/v2/firewalls/<group_id>/rules", list_rules)
    api.add("POST", "/v2/firewalls/<group_id>/rules", create_rule)
    api.add("GET", "/v2/firewalls/<group_id>/rules/<int:rule_id>", get_rule)
    api.add("DELETE", "/v2/firewalls/<group_id>/rules/<int:rule_id>", delete_rule)


def _rule(document: Document, group_id: str, rule_id: int) -> dict[str, Any]:
    for rule in find_group(document, group_id)["rules"]:
        if rule["id"] == rule_id:
            return rule
    raise refuse(404, NO_RESOURCE)
