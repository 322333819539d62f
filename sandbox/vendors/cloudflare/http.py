"""The forms of Cloudflare's v4 API: the envelope, errors, pages, dates, ids."""

import datetime
import hashlib
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import json_response
from sandbox.vendors.rest import ApiError, whole_number

MAX_PER_PAGE = 5_000


def ok(result: Any, result_info: dict[str, int] | None = None) -> Response:
    """``result`` in the envelope of a success."""
    envelope = {"success": True, "errors": [], "messages": [], "result": result}
    return json_response(envelope | ({"result_info": result_info} if result_info else {}))


def refuse(status: int, code: int, message: str, chain: dict[int, str] | None = None) -> ApiError:
    """An error in the envelope; ``chain`` gives the causes (code → message) below it."""
    error: dict[str, Any] = {"code": code, "message": message}
    if chain:
        error["error_chain"] = [{"code": c, "message": text} for c, text in chain.items()]
    envelope = {"success": False, "errors": [error], "messages": [], "result": None}
    return ApiError(json_response(envelope, status))


def page(request: Request, items: list[Any], per_page: int = 20) -> Response:
    """One page of ``items`` (arguments page, per_page), with its ``result_info``."""
    size = whole_number(request, "per_page", per_page)
    number = whole_number(request, "page", 1)
    if not 1 <= size <= MAX_PER_PAGE or number < 1:
        raise refuse(400, 1004, "Invalid page or per_page")
    shown = items[(number - 1) * size : number * size]
    info = {
        "page": number,
        "per_page": size,
        "count": len(shown),
        "total_count": len(items),
        "total_pages": -(-len(items) // size),
    }
    return ok(shown, info)


def iso_date(seconds: float) -> str:
    """Unix time as the API writes it, for example ``2026-11-21T03:41:00.123456Z``."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """An id as the API gives: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def stable_id(name: str) -> str:
    """An id that is the same on every machine."""
    return hashlib.sha256(f"edgefleet sandbox {name}".encode()).hexdigest()[:32]
