"""What the emulated Cloudflare keeps of a Worker: its settings, versions and deployments.

A Worker is one entry, whether it was made by a script's upload or by the newer API of workers,
versions and deployments: either sees what the other did.
"""

import base64
import datetime
import hashlib
import json
import re
import uuid
from typing import Any

from sandbox.vendors.cloudflare.http import new_id, refuse
from sandbox.vendors.cloudflare.javascript import syntax_error
from sandbox.vendors.cloudflare.state import CloudflareState
from sandbox.vendors.store import Document

Worker = dict[str, Any]
Version = dict[str, Any]

_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_MISSING = "This Worker does not exist on your account."
_INVALID = 10021
MAX_BINDING_BYTES = 5 * 1024
"""Of one variable (https://github.com/cloudflare/workers-docs/pull/956: "5KiB")."""


def workers(account: Document) -> dict[str, Worker]:
    """All Workers by name."""
    return account.setdefault("workers", {})


def find_worker(account: Document, name: str) -> Worker:
    """The Worker of this name or id, or 404."""
    for worker in workers(account).values():
        if name in (worker["name"], worker["id"]):
            return worker
    raise refuse(404, 10007, _MISSING)


def new_worker(account: Document, name: Any, date: str) -> Worker:
    """Add a Worker without a version."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise refuse(400, 10016, f"Invalid Worker name: {name}")
    worker: Worker = {
        "id": new_id(),
        "name": name,
        "created_on": date,
        "modified_on": date,
        "logpush": False,
        "tags": [],
        "tail_consumers": [],
        "observability": None,
        "subdomain": {"enabled": False, "previews_enabled": False},
        "schedules": [],
        "versions": [],
        "deployments": [],
    }
    workers(account)[name] = worker
    return worker


def check_syntax(modules: list[dict[str, str]], es_modules: bool) -> None:
    """Refuse modules that are no JavaScript. It is slow: not inside a change of the state."""
    for module in modules:
        if "javascript" not in module["content_type"]:
            continue
        source = base64.b64decode(module["content_base64"])
        if error := syntax_error(module["name"], source, es_modules):
            raise refuse(400, _INVALID, error)


def new_version(
    state: CloudflareState,
    account: Document,
    worker: Worker,
    metadata: dict[str, Any],
    modules: list[dict[str, str]],
) -> Version:
    """Add a version of ``modules`` ({name, content_type, content_base64}), checked as an upload
    is: the main module is there, bindings are named once and lead somewhere."""
    names = [module["name"] for module in modules]
    main = metadata.get("main_module") or metadata.get("body_part")
    if main not in names:
        raise refuse(400, _INVALID, f'No such module "{main}".')
    _check_compatibility_date(state, metadata.get("compatibility_date"))
    bindings = [_binding(account, binding) for binding in metadata.get("bindings") or []]
    if len({binding["name"] for binding in bindings}) != len(bindings):
        raise refuse(400, _INVALID, "Binding names must be unique")
    version: Version = {
        "id": str(uuid.uuid4()),
        "number": len(worker["versions"]) + 1,
        "created_on": state.date(),
        "main_module": metadata.get("main_module"),
        "body_part": metadata.get("body_part"),
        "modules": modules,
        "bindings": bindings,
        "compatibility_date": metadata.get("compatibility_date") or "",
        "compatibility_flags": metadata.get("compatibility_flags") or [],
        "limits": metadata.get("limits"),
        "placement": metadata.get("placement") or {},
        "annotations": metadata.get("annotations") or {},
        "usage_model": metadata.get("usage_model") or "standard",
    }
    worker["versions"].append(version)
    worker["modified_on"] = state.date()
    return version


def new_deployment(state: CloudflareState, worker: Worker, body: dict[str, Any]) -> dict[str, Any]:
    """Deploy versions by percentage; refused unless they exist and add up to 100."""
    versions = body.get("versions") or []
    known = {version["id"] for version in worker["versions"]}
    if body.get("strategy") != "percentage" or not versions:
        raise refuse(400, _INVALID, "A deployment needs strategy percentage and versions")
    for version in versions:
        if version.get("version_id") not in known:
            raise refuse(400, _INVALID, f"Version {version.get('version_id')} does not exist")
    if abs(sum(version.get("percentage", 0) for version in versions) - 100) > 0.01:
        raise refuse(400, _INVALID, "Percentages must add up to 100")
    deployment = {
        "id": str(uuid.uuid4()),
        "created_on": state.date(),
        "source": "api",
        "strategy": "percentage",
        "versions": versions,
        "annotations": body.get("annotations") or {},
        "author_email": "sandbox@example.com",
    }
    worker["deployments"].insert(0, deployment)
    return deployment


def live_version(worker: Worker) -> Version:
    """The newest version of the newest deployment, or 404 where nothing is deployed."""
    if not worker["deployments"]:
        raise refuse(404, 10007, _MISSING)
    wanted = {version["version_id"] for version in worker["deployments"][0]["versions"]}
    return [version for version in worker["versions"] if version["id"] in wanted][-1]


def shown_bindings(version: Version) -> list[dict[str, Any]]:
    """Bindings as answers have them: in another order than sent (docs/facts/cloudflare.md §1), and
    a secret without its text."""
    return [
        {k: v for k, v in binding.items() if k != "text" or binding["type"] != "secret_text"}
        for binding in reversed(version["bindings"])
    ]


def observability(sent: dict[str, Any] | None) -> dict[str, Any] | None:
    """Observability with the defaults that the API adds (docs/facts/real-providers.md,
    Cloudflare 2)."""
    if sent is None:
        return None
    enabled = bool(sent.get("enabled"))
    logs = {
        "enabled": enabled,
        "head_sampling_rate": 1,
        "invocation_logs": True,
        "persist": True,
        "destinations": [],
        **(sent.get("logs") or {}),
    }
    rate = sent.get("head_sampling_rate", 1)
    return {**sent, "enabled": enabled, "head_sampling_rate": rate, "logs": logs}


def etag(version: Version) -> str:
    """A hash of the version's modules."""
    digest = hashlib.sha256()
    for module in version["modules"]:
        digest.update(module["name"].encode() + b"\0" + base64.b64decode(module["content_base64"]))
    return digest.hexdigest()


def _binding(account: Document, binding: Any) -> dict[str, Any]:
    if not isinstance(binding, dict) or not binding.get("name") or not binding.get("type"):
        raise refuse(400, _INVALID, "A binding needs a name and a type")
    kind = binding["type"]
    if kind == "kv_namespace" and binding.get("namespace_id") not in account.get("kv", {}):
        raise refuse(400, 10041, f"KV namespace '{binding.get('namespace_id')}' not found.")
    if kind == "service" and binding.get("service") not in workers(account):
        raise refuse(400, 10143, f"Service binding to '{binding.get('service')}' not found.")
    if kind in ("plain_text", "secret_text") and not isinstance(binding.get("text"), str):
        raise refuse(400, _INVALID, f"Binding {binding['name']} needs a text")
    if kind == "analytics_engine" and not binding.get("dataset"):
        raise refuse(400, _INVALID, f"Binding {binding['name']} needs a dataset")
    value = binding.get("text") or binding.get("json")
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if kind in ("plain_text", "secret_text", "json") and len(text.encode()) > MAX_BINDING_BYTES:
        raise refuse(400, 10054, "workers.api.error.text_binding_too_large")
    return binding


def _check_compatibility_date(state: CloudflareState, date: Any) -> None:
    if not date:
        return
    try:
        parsed = datetime.date.fromisoformat(date)
    except (TypeError, ValueError):
        raise refuse(400, _INVALID, f"Invalid compatibility date: {date}") from None
    today = datetime.datetime.fromtimestamp(state.seconds(), datetime.UTC).date()
    if parsed > today:
        raise refuse(400, _INVALID, f"Can't set compatibility date in the future: {date}")
