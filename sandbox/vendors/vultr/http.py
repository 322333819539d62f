"""The forms of Vultr's v2 API: error bodies, lists in pages, dates."""

import base64
import binascii
import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import ApiError, json_body, whole_number

PER_PAGE = 100
MAX_PER_PAGE = 500

# The Terraform provider takes these words, and no others, for "gone"
# (its resource_vultr_{kubernetes,kubernetes_nodepools,vpc}.go; docs/facts/real-providers.md,
# Vultr 9).
NO_RESOURCE = "Invalid resource ID"
NO_NODE_POOL = "Invalid NodePool ID"
NO_VPC = "Invalid VPC ID"


def refuse(status: int, text: str) -> ApiError:
    """The vendor's error body: ``{"error": …, "status": …}``."""
    return ApiError(json_response({"error": text, "status": status}, status))


def no_content() -> Response:
    """204, as PUT and DELETE answer."""
    return Response(status=204)


def page(request: Request, name: str, items: list[dict[str, Any]]) -> Response:
    """One page of ``items``, with ``meta.total`` and the cursors of the pages beside it."""
    size = whole_number(request, "per_page", PER_PAGE)
    if not 1 <= size <= MAX_PER_PAGE:
        raise refuse(400, f"per_page must be between 1 and {MAX_PER_PAGE}")
    start = _start(request.args.get("cursor", ""))
    links = {
        "next": _cursor("next", start + size) if start + size < len(items) else "",
        "prev": _cursor("prev", max(0, start - size)) if start else "",
    }
    return json_response(
        {name: items[start : start + size], "meta": {"total": len(items), "links": links}}
    )


def description(request: Request) -> str:
    """The description that a PUT sets; the API's own description of itself says it is needed
    (openapi: firewall groups, VPCs)."""
    found = json_body(request).get("description")
    if not isinstance(found, str):
        raise refuse(400, "description is required")
    return found


def iso_date(seconds: float) -> str:
    """Unix time as the API writes it, for example ``2026-11-21T03:41:00+00:00``."""
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return moment.isoformat()


def _cursor(direction: str, start: int) -> str:
    return base64.b64encode(f"{direction}__{start}".encode()).decode()


def _start(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor).decode().split("__")[1])
    except (binascii.Error, ValueError, IndexError):
        raise refuse(400, "Invalid cursor") from None
