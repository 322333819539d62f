"""The emulated Cloudflare's namespaces of Workers KV, and their values."""

from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import new_id, ok, page, refuse
from sandbox.vendors.cloudflare.state import CloudflareState
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

NAMESPACES = "/client/v4/accounts/<account_id>/storage/kv/namespaces"
NAMESPACE = f"{NAMESPACES}/<namespace_id>"
VALUE = f"{NAMESPACE}/values/<path:key>"
MAX_VALUE_BYTES = 25 * 1024 * 1024


def add_kv(api: RestApi, state: CloudflareState) -> None:
    """Add ``/accounts/{id}/storage/kv/namespaces``."""

    def list_namespaces(request: Request, account_id: str) -> Response:
        found = _namespaces(state.account(state.read(), account_id)).values()
        return page(request, [_view(namespace) for namespace in found])

    def create(request: Request, account_id: str) -> Response:
        title = _title(request)
        with state.change() as document:
            namespaces = _namespaces(state.account(document, account_id))
            _check_title(namespaces, title)
            namespace = {"id": new_id(), "title": title}
            namespaces[namespace["id"]] = namespace
        return ok(_view(namespace))

    def get(_: Request, account_id: str, namespace_id: str) -> Response:
        return ok(_view(find(state.read(), account_id, namespace_id)))

    def put(request: Request, account_id: str, namespace_id: str) -> Response:
        title = _title(request)
        with state.change() as document:
            namespace = find(document, account_id, namespace_id)
            if title != namespace["title"]:
                _check_title(_namespaces(state.account(document, account_id)), title)
            namespace["title"] = title
            return ok(_view(namespace))

    def delete(_: Request, account_id: str, namespace_id: str) -> Response:
        with state.change() as document:
            find(document, account_id, namespace_id)
            del _namespaces(state.account(document, account_id))[namespace_id]
        return ok({})

    def find(document: Document, account_id: str, namespace_id: str) -> dict[str, Any]:
        namespaces = _namespaces(state.account(document, account_id))
        if namespace_id not in namespaces:
            raise refuse(404, 10013, "namespace not found")
        return namespaces[namespace_id]

    def get_value(_: Request, account_id: str, namespace_id: str, key: str) -> Response:
        values = find(state.read(), account_id, namespace_id).get("values", {})
        if key not in values:
            raise refuse(404, 10009, "get: 'key not found'")
        return Response(values[key], mimetype="application/octet-stream")

    def put_value(request: Request, account_id: str, namespace_id: str, key: str) -> Response:
        value = request.get_data()
        if len(value) > MAX_VALUE_BYTES:
            raise refuse(413, 10047, "put: value is too large")
        with state.change() as document:
            namespace = find(document, account_id, namespace_id)
            namespace.setdefault("values", {})[key] = value.decode()
        return ok({})

    def delete_value(_: Request, account_id: str, namespace_id: str, key: str) -> Response:
        with state.change() as document:
            find(document, account_id, namespace_id).get("values", {}).pop(key, None)
        return ok({})

    api.add("GET", VALUE, get_value)
    api.add("PUT", VALUE, put_value)
    api.add("DELETE", VALUE, delete_value)
    api.add("GET", NAMESPACES, list_namespaces)
    api.add("POST", NAMESPACES, create)
    api.add("GET", NAMESPACE, get)
    api.add("PUT", NAMESPACE, put)
    api.add("DELETE", NAMESPACE, delete)


def _namespaces(account: Document) -> dict[str, Any]:
    return account.setdefault("kv", {})


def _view(namespace: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": namespace["id"],
        "title": namespace["title"],
        "supports_url_encoding": True,
    }


def _title(request: Request) -> str:
    title = json_body(request).get("title")
    if not isinstance(title, str) or not title:
        raise refuse(400, 10019, "missing or invalid title")
    return title


def _check_title(namespaces: dict[str, Any], title: str) -> None:
    if any(namespace["title"] == title for namespace in namespaces.values()):
        text = "A namespace with this account ID and title already exists."
        raise refuse(400, 10014, text)
