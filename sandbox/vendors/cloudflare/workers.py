"""The emulated Cloudflare's Worker scripts: upload, content, settings, schedules, subdomain."""

import base64
import json
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare import cron
from sandbox.vendors.cloudflare.http import ok, refuse
from sandbox.vendors.cloudflare.scripts import (
    Worker,
    check_syntax,
    etag,
    find_worker,
    live_version,
    new_deployment,
    new_version,
    new_worker,
    observability,
    shown_bindings,
    workers,
)
from sandbox.vendors.cloudflare.state import CloudflareState, zones
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

ACCOUNT = "/client/v4/accounts/<account_id>/workers"
SCRIPT = f"{ACCOUNT}/scripts/<name>"
MAX_SCRIPT_BYTES = 10_000_000


def script_view(worker: Worker) -> dict[str, Any]:
    """A script as upload and list show it."""
    version = live_version(worker)
    return {
        "id": worker["name"],
        "tag": worker["id"],
        "etag": etag(version),
        "handlers": ["fetch", "scheduled"],
        "named_handlers": [],
        "has_assets": False,
        "has_modules": bool(version["main_module"]),
        "entry_point": version["main_module"] or version["body_part"],
        "compatibility_date": version["compatibility_date"],
        "compatibility_flags": version["compatibility_flags"],
        "usage_model": version["usage_model"],
        "created_on": worker["created_on"],
        "modified_on": worker["modified_on"],
        "last_deployed_from": "api",
        "logpush": worker["logpush"],
        "tags": worker["tags"],
        "tail_consumers": worker["tail_consumers"],
        "observability": worker["observability"],
        "placement": version["placement"],
        "migration_tag": "",
        "startup_time_ms": 5,
    }


def settings_view(worker: Worker) -> dict[str, Any]:
    """``…/settings``: script and version settings in one."""
    version = live_version(worker)
    return {
        "bindings": shown_bindings(version),
        "compatibility_date": version["compatibility_date"],
        "compatibility_flags": version["compatibility_flags"],
        "usage_model": version["usage_model"],
        "limits": version["limits"],
        "placement": version["placement"],
        "annotations": version["annotations"],
        "tags": worker["tags"],
        "tail_consumers": worker["tail_consumers"],
        "logpush": worker["logpush"],
        "observability": worker["observability"],
        "migration_tag": "",
    }


def uploaded(request: Request) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The metadata and the modules of a multipart upload."""
    sent = request.files.get("metadata")
    text = sent.read() if sent else request.form.get("metadata", "").encode()
    metadata = json.loads(text) if text else None
    if not isinstance(metadata, dict):
        raise refuse(400, 10021, "No metadata part was uploaded")
    modules = [
        _module(file.filename or part, file.content_type, file.read())
        for part, file in request.files.items(multi=True)
        if part != "metadata"
    ]
    modules += [
        _module(part, "application/javascript", value.encode())
        for part, value in request.form.items()
        if part != "metadata"
    ]
    if sum(len(module["content_base64"]) for module in modules) * 3 // 4 > MAX_SCRIPT_BYTES:
        raise refuse(400, 10027, "Your Worker exceeded the size limit.")
    return metadata, modules


def _module(name: str, content_type: str | None, content: bytes) -> dict[str, str]:
    return {
        "name": name,
        "content_type": content_type or "application/javascript+module",
        "content_base64": base64.b64encode(content).decode(),
    }


def apply_settings(worker: Worker, sent: dict[str, Any]) -> None:
    """Take over the settings that belong to the Worker, not to a version."""
    for name in ("logpush", "tags", "tail_consumers"):
        if sent.get(name) is not None:
            worker[name] = sent[name]
    if sent.get("observability") is not None:
        worker["observability"] = observability(sent["observability"])


def add_workers(api: RestApi, state: CloudflareState) -> None:
    """Add ``/accounts/{id}/workers/scripts`` and ``/services``."""

    def list_scripts(_: Request, account_id: str) -> Response:
        found = workers(state.account(state.read(), account_id)).values()
        return ok([script_view(worker) for worker in found if worker["deployments"]])

    def upload(request: Request, account_id: str, name: str) -> Response:
        metadata, modules = uploaded(request)
        check_syntax(modules, bool(metadata.get("main_module")))
        with state.change() as document:
            account = state.account(document, account_id)
            worker = workers(account).get(name) or new_worker(account, name, state.date())
            version = new_version(state, account, worker, metadata, modules)
            apply_settings(worker, metadata)
            share = {"version_id": version["id"], "percentage": 100}
            new_deployment(state, worker, {"strategy": "percentage", "versions": [share]})
        return ok(script_view(worker))

    def content(_: Request, account_id: str, name: str) -> Response:
        return _content(find_worker(state.account(state.read(), account_id), name))

    def delete(_: Request, account_id: str, name: str) -> Response:
        with state.change() as document:
            delete_worker(document, state.account(document, account_id), name)
        return ok(None)

    def get_settings(_: Request, account_id: str, name: str) -> Response:
        return ok(settings_view(find_worker(state.account(state.read(), account_id), name)))

    def patch_settings(request: Request, account_id: str, name: str) -> Response:
        if request.mimetype == "multipart/form-data":
            sent = request.files.get("settings")
            text = sent.read() if sent else request.form.get("settings", "{}")
            body = json.loads(text)
        else:
            body = json_body(request)
        with state.change() as document:
            worker = find_worker(state.account(document, account_id), name)
            apply_settings(worker, body)
            version = live_version(worker)
            for key in ("bindings", "compatibility_date", "compatibility_flags", "placement"):
                if body.get(key) is not None:
                    version[key] = body[key]
            return ok(settings_view(worker))

    def service(_: Request, account_id: str, name: str) -> Response:
        worker = workers(state.account(state.read(), account_id)).get(name)
        if worker is None:
            # Another code than a script's: Cloudflare's own deploy command tells them apart
            # (https://github.com/cloudflare/workers-sdk, packages/wrangler/src/deploy/deploy.ts).
            raise refuse(404, 10090, "workers.api.error.service_not_found")
        dates = {"created_on": worker["created_on"], "modified_on": worker["modified_on"]}
        environment = {"environment": "production", "script": script_view(worker), **dates}
        return ok({"id": worker["name"], "default_environment": environment, **dates})

    def get_schedules(_: Request, account_id: str, name: str) -> Response:
        worker = find_worker(state.account(state.read(), account_id), name)
        return ok({"schedules": worker["schedules"]})

    def put_schedules(request: Request, account_id: str, name: str) -> Response:
        crons = _crons(request)
        with state.change() as document:
            worker = find_worker(state.account(document, account_id), name)
            dates = {"created_on": state.date(), "modified_on": state.date()}
            worker["schedules"] = [{"cron": text, **dates} for text in crons]
        return ok({"schedules": worker["schedules"]})

    def get_subdomain(_: Request, account_id: str, name: str) -> Response:
        return ok(find_worker(state.account(state.read(), account_id), name)["subdomain"])

    def set_subdomain(request: Request, account_id: str, name: str) -> Response:
        body = json_body(request) if request.method == "POST" else {"enabled": False}
        enabled = bool(body.get("enabled"))
        previews = bool(body.get("previews_enabled", enabled))
        with state.change() as document:
            worker = find_worker(state.account(document, account_id), name)
            worker["subdomain"] = {"enabled": enabled, "previews_enabled": previews}
        return ok(worker["subdomain"])

    def account_subdomain(_: Request, account_id: str) -> Response:
        state.account(state.read(), account_id)
        return ok({"subdomain": "edgefleet-sandbox"})

    api.add("GET", f"{ACCOUNT}/scripts", list_scripts)
    api.add("PUT", SCRIPT, upload)
    api.add("GET", SCRIPT, content)
    api.add("DELETE", SCRIPT, delete)
    api.add("GET", f"{SCRIPT}/content/v2", content)
    api.add("GET", f"{SCRIPT}/settings", get_settings)
    api.add("PATCH", f"{SCRIPT}/settings", patch_settings)
    api.add("GET", f"{SCRIPT}/script-settings", get_settings)
    api.add("PATCH", f"{SCRIPT}/script-settings", patch_settings)
    api.add("GET", f"{SCRIPT}/schedules", get_schedules)
    api.add("PUT", f"{SCRIPT}/schedules", put_schedules)
    api.add("GET", f"{SCRIPT}/subdomain", get_subdomain)
    api.add("POST", f"{SCRIPT}/subdomain", set_subdomain)
    api.add("DELETE", f"{SCRIPT}/subdomain", set_subdomain)
    api.add("GET", f"{ACCOUNT}/subdomain", account_subdomain)
    api.add("GET", f"{ACCOUNT}/services/<name>", service)


def _crons(request: Request) -> list[str]:
    """The schedules in a request: ``[{"cron": …}, …]``."""
    sent = json.loads(request.get_data() or b"[]")
    if not isinstance(sent, list) or not all(
        isinstance(item, dict) and isinstance(item.get("cron"), str) for item in sent
    ):
        # The words of https://github.com/cloudflare/cloudflare-docs/pull/33580.
        text = "Could not parse request body. Please ensure the request is valid and try again."
        raise refuse(400, 10026, text)
    for item in sent:
        if not cron.valid(item["cron"]):
            raise refuse(400, 10100, f"invalid cron string: {item['cron']}")
    return [item["cron"] for item in sent]


def delete_worker(document: Document, account: Document, name: str) -> None:
    """Delete a Worker, and with it the routes that lead to it."""
    worker = find_worker(account, name)
    del workers(account)[worker["name"]]
    for zone in zones(document).values():
        zone["routes"] = {
            route_id: route
            for route_id, route in zone["routes"].items()
            if route.get("script") != worker["name"]
        }


def _content(worker: Worker) -> Response:
    """The modules as multipart/form-data, the main one named in ``cf-entrypoint``; a script of
    the older kind as it is."""
    version = live_version(worker)
    modules = [(m, base64.b64decode(m["content_base64"])) for m in version["modules"]]
    if not version["main_module"]:
        return Response(modules[0][1], mimetype="application/javascript")
    boundary = uuid.uuid4().hex
    body = b""
    for module, data in modules:
        name = module["name"]
        body += (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            f"Content-Type: {module['content_type']}\r\n\r\n"
        ).encode()
        body += data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    response = Response(body, content_type=f"multipart/form-data; boundary={boundary}")
    response.headers["cf-entrypoint"] = version["main_module"]
    return response
