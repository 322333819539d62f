"""The emulated Cloudflare's newer API of Workers: workers, versions and deployments."""

from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import ok, page, refuse
from sandbox.vendors.cloudflare.scripts import (
    Version,
    Worker,
    check_syntax,
    find_worker,
    new_deployment,
    new_version,
    new_worker,
    observability,
    shown_bindings,
    workers,
)
from sandbox.vendors.cloudflare.state import CloudflareState
from sandbox.vendors.cloudflare.workers import ACCOUNT, SCRIPT, apply_settings, delete_worker
from sandbox.vendors.rest import RestApi, json_body

WORKERS = f"{ACCOUNT}/workers"
WORKER = f"{WORKERS}/<worker_id>"
VERSIONS = f"{WORKER}/versions"


def worker_view(worker: Worker) -> dict[str, Any]:
    """A Worker without its versions."""
    deployments = worker["deployments"]
    return {
        "id": worker["id"],
        "name": worker["name"],
        "created_on": worker["created_on"],
        "updated_on": worker["modified_on"],
        "deployed_on": deployments[0]["created_on"] if deployments else None,
        "logpush": worker["logpush"],
        "observability": worker["observability"] or observability({"enabled": False}),
        "subdomain": worker["subdomain"],
        "tags": worker["tags"],
        "tail_consumers": worker["tail_consumers"],
        "references": {"domains": [], "durable_objects": [], "queues": [], "workers": []},
    }


def version_view(version: Version, with_modules: bool) -> dict[str, Any]:
    """A version; its modules only where asked for (``?include=modules``)."""
    shown = (
        "id",
        "number",
        "created_on",
        "main_module",
        "compatibility_date",
        "compatibility_flags",
        "limits",
        "placement",
        "annotations",
        "usage_model",
    )
    view = {name: version[name] for name in shown}
    view |= {
        "bindings": shown_bindings(version),
        "source": "api",
        "startup_time_ms": 5,
        "urls": [],
    }
    return view | ({"modules": version["modules"]} if with_modules else {})


def add_versions(api: RestApi, state: CloudflareState) -> None:
    """Add ``/workers/workers``, their versions, and ``/scripts/{name}/deployments``."""

    def list_workers(request: Request, account_id: str) -> Response:
        found = workers(state.account(state.read(), account_id)).values()
        return page(request, [worker_view(worker) for worker in found])

    def create(request: Request, account_id: str) -> Response:
        body = json_body(request)
        with state.change() as document:
            account = state.account(document, account_id)
            if body.get("name") in workers(account):
                raise refuse(409, 10040, "A Worker with this name already exists.")
            worker = new_worker(account, body.get("name"), state.date())
            change(worker, body)
        return ok(worker_view(worker))

    def get(_: Request, account_id: str, worker_id: str) -> Response:
        return ok(worker_view(find_worker(state.account(state.read(), account_id), worker_id)))

    def update(request: Request, account_id: str, worker_id: str) -> Response:
        with state.change() as document:
            account = state.account(document, account_id)
            worker = find_worker(account, worker_id)
            name = json_body(request).get("name") or worker["name"]
            if name != worker["name"]:
                if name in workers(account):
                    raise refuse(409, 10040, "A Worker with this name already exists.")
                workers(account)[name] = workers(account).pop(worker["name"])
                worker["name"] = name
            change(worker, json_body(request))
            worker["modified_on"] = state.date()
        return ok(worker_view(worker))

    def change(worker: Worker, body: dict[str, Any]) -> None:
        apply_settings(worker, body)
        worker["subdomain"] |= body.get("subdomain") or {}

    def delete(_: Request, account_id: str, worker_id: str) -> Response:
        with state.change() as document:
            delete_worker(document, state.account(document, account_id), worker_id)
        return ok(None)

    def list_versions(request: Request, account_id: str, worker_id: str) -> Response:
        worker = find_worker(state.account(state.read(), account_id), worker_id)
        return page(request, [version_view(v, False) for v in reversed(worker["versions"])])

    def create_version(request: Request, account_id: str, worker_id: str) -> Response:
        body = json_body(request)
        modules = [
            {name: str(module.get(name, "")) for name in ("name", "content_type", "content_base64")}
            for module in body.get("modules") or []
        ]
        check_syntax(modules, bool(body.get("main_module")))
        with state.change() as document:
            account = state.account(document, account_id)
            worker = find_worker(account, worker_id)
            version = new_version(state, account, worker, body, modules)
            if request.args.get("deploy") == "true":
                share = {"version_id": version["id"], "percentage": 100}
                new_deployment(state, worker, {"strategy": "percentage", "versions": [share]})
        return ok(version_view(version, False))

    def get_version(request: Request, account_id: str, worker_id: str, version_id: str) -> Response:
        worker = find_worker(state.account(state.read(), account_id), worker_id)
        version = _version(worker, version_id)
        return ok(version_view(version, "modules" in request.args.get("include", "")))

    def delete_version(_: Request, account_id: str, worker_id: str, version_id: str) -> Response:
        with state.change() as document:
            worker = find_worker(state.account(document, account_id), worker_id)
            worker["versions"].remove(_version(worker, version_id))
        return ok(None)

    def list_deployments(_: Request, account_id: str, name: str) -> Response:
        worker = find_worker(state.account(state.read(), account_id), name)
        return ok({"deployments": worker["deployments"]})

    def create_deployment(request: Request, account_id: str, name: str) -> Response:
        with state.change() as document:
            worker = find_worker(state.account(document, account_id), name)
            deployment = new_deployment(state, worker, json_body(request))
        return ok(deployment)

    def get_deployment(_: Request, account_id: str, name: str, deployment_id: str) -> Response:
        worker = find_worker(state.account(state.read(), account_id), name)
        for deployment in worker["deployments"]:
            if deployment["id"] == deployment_id:
                return ok(deployment)
        raise refuse(404, 10007, "Deployment not found")

    api.add("GET", WORKERS, list_workers)
    api.add("POST", WORKERS, create)
    api.add("GET", WORKER, get)
    api.add("PUT", WORKER, update)
    api.add("PATCH", WORKER, update)
    api.add("DELETE", WORKER, delete)
    api.add("GET", VERSIONS, list_versions)
    api.add("POST", VERSIONS, create_version)
    api.add("GET", f"{VERSIONS}/<version_id>", get_version)
    api.add("DELETE", f"{VERSIONS}/<version_id>", delete_version)
    api.add("GET", f"{SCRIPT}/deployments", list_deployments)
    api.add("POST", f"{SCRIPT}/deployments", create_deployment)
    api.add("GET", f"{SCRIPT}/deployments/<deployment_id>", get_deployment)


def _version(worker: Worker, version_id: str) -> Version:
    for version in worker["versions"]:
        if version["id"] == version_id:
            return version
    raise refuse(404, 10007, "Version not found")
