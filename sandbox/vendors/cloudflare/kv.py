"""The emulated Cloudflare's Workers KV."""

import base64
import json
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import new_id, ok, page, refuse
from sandbox.vendors.cloudflare.state import CloudflareState
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

NAMESPACES = "/client/v4/accounts/<account_id>/storage/kv/namespaces"
NAMESPACE = f"{NAMESPACES}/<namespace_id>"
MAX_KEY = 512


def add_kv(api: RestApi, state: CloudflareState) -> None:
    """Add ``/accounts/{id}/storage/kv/namespaces`` and the values."""

    def list_namespaces(request: Request, account_id: str) -> Response:
        found = _namespaces(state.account(state.read(), account_id)).values()
        return page(request, [_view(namespace) for namespace in found])

    def create(request: Request, account_id: str) -> Response:
        title = _title(request)
        with state.change() as document:
            namespaces = _namespaces(state.account(document, account_id))
            _check_title(namespaces, title)
            namespace = {"id": new_id(), "title": title, "values": {}}
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

    def list_keys(request: Request, account_id: str, namespace_id: str) -> Response:
        prefix = request.args.get("prefix", "")
        values = find(state.read(), account_id, namespace_id)["values"]
        keys = [{"name": key} for key in sorted(values) if key.startswith(prefix)]
        return ok(keys, {"count": len(keys)})

    def get_value(_: Request, account_id: str, namespace_id: str, key: str) -> Response:
        value = _value(find(state.read(), account_id, namespace_id), key)
        data = base64.b64decode(value["data"])
        return Response(data, mimetype="application/octet-stream")

    def get_metadata(_: Request, account_id: str, namespace_id: str, key: str) -> Response:
        return ok(_value(find(state.read(), account_id, namespace_id), key)["metadata"])

    def put_value(request: Request, account_id: str, namespace_id: str, key: str) -> Response:
        if len(key.encode()) > MAX_KEY:
            raise refuse(414, 10029, f"UTF-8 encoded length exceeds key limit of {MAX_KEY}.")
        data, metadata = _sent_value(request)
        with state.change() as document:
            namespace = find(document, account_id, namespace_id)
            namespace["values"][key] = {
                "data": base64.b64encode(data).decode(),
                "metadata": metadata,
            }
        return ok({})

    def delete_value(_: Request, account_id: str, namespace_id: str, key: str) -> Response:
        with state.change() as document:
            # Deleting a key that isn't there is no error.
            find(document, account_id, namespace_id)["values"].pop(key, None)
        return ok({})

    def find(document: Document, account_id: str, namespace_id: str) -> dict[str, Any]:
        namespaces = _namespaces(state.account(document, account_id))
        if namespace_id not in namespaces:
            raise refuse(404, 10013, "namespace not found")
        return namespaces[namespace_id]

    api.add("GET", NAMESPACES, list_namespaces)
    api.add("POST", NAMESPACES, create)
    api.add("GET", NAMESPACE, get)
    api.add("PUT", NAMESPACE, put)
    api.add("DELETE", NAMESPACE, delete)
    api.add("GET", f"{NAMESPACE}/keys", list_keys)
    api.add("GET", f"{NAMESPACE}/metadata/<path:key>", get_metadata)
    api.add("GET", f"{NAMESPACE}/values/<path:key>", get_value)
    api.add("PUT", f"{NAMESPACE}/values/<path:key>", put_value)
    api.add("DELETE", f"{NAMESPACE}/values/<path:key>", delete_value)


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


def _value(namespace: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in namespace["values"]:
        raise refuse(404, 10009, "get: 'key not found'")
    return namespace["values"][key]


def _sent_value(request: Request) -> tuple[bytes, Any]:
    if request.mimetype != "multipart/form-data":
        return request.get_data(), None
    metadata = request.form.get("metadata")
    if "value" in request.files:
        data = request.files["value"].read()
    else:
        data = request.form.get("value", "").encode()
    return data, json.loads(metadata) if metadata else None
