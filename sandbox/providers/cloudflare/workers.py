"""The emulated Cloudflare provider's Worker scripts and what belongs to them (Cloudflare 2-4).

The numbers after "Cloudflare" are those of docs/facts/real-providers.md.
"""

import base64
import email
import hashlib
import json
from typing import Any
from urllib.parse import quote

import pulumi_cloudflare as cloudflare

from sandbox.providers.base.names import snakes
from sandbox.providers.base.operations import Call, Failure, ReadResult
from sandbox.providers.base.values import Properties, has_unknown
from sandbox.providers.cloudflare.rest import Cloudflare, RestResource, file_hash, read_file

_METADATA = (
    "annotations", "bindings", "bodyPart", "cacheOptions", "compatibilityDate",
    "compatibilityFlags", "keepAssets", "keepBindings", "limits", "logpush", "mainModule",
    "migrations", "observability", "placement", "tailConsumers", "usageModel",
)  # fmt: skip
_MODULE_TYPE, _SCRIPT_TYPE = "application/javascript+module", "application/javascript"


class WorkersScript(RestResource):
    """A Worker's script, uploaded as a whole."""

    sdk = cloudflare.WorkersScript
    scope = ("accountId",)
    collection = "/accounts/{accountId}/workers/scripts"
    replaces = frozenset({"accountId", "scriptName"})
    keeps = frozenset(
        {"scriptName", "content", "contentFile", "contentSha256", "contentType", "mainModule",
         "bodyPart", "keepAssets", "keepBindings"}
    )  # fmt: skip
    whole = frozenset({"observability"})

    def check(self, inputs: Properties) -> list[Failure]:
        """One source of content; a file with its hash, which must be right."""
        path, sha = inputs.get("contentFile"), inputs.get("contentSha256")
        if path is not None and inputs.get("content") is not None:
            reason = 'Invalid Attribute Combination: Attribute "content_file" cannot be specified'
            return [Failure("contentFile", f'{reason} when "content" is specified')]
        if (path is None) != (sha is None):
            missing = "contentSha256" if sha is None else "contentFile"
            reason = 'Invalid Attribute Combination: "content_file" and "content_sha256" must be'
            return [Failure(missing, f"{reason} specified together")]
        if not isinstance(path, str) or not isinstance(sha, str):
            return []
        actual = file_hash(path)
        if actual == sha:
            return []
        return [
            Failure(
                "contentSha256",
                f"content_sha256 mismatch: {path} has SHA-256 {actual}, the program gives {sha}",
            )
        ]

    def create(self, session: Cloudflare, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """PUT, which also overwrites a script that is there already."""
        return inputs["scriptName"], self.update(session, call, inputs["scriptName"], {}, inputs)

    def update(
        self, session: Cloudflare, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """PUT multipart: metadata and module; all bindings every time."""
        main = news.get("mainModule")
        part = main or news.get("bodyPart") or "script"
        metadata = snakes({name: news[name] for name in _METADATA if news.get(name) is not None})
        if not main:
            metadata["body_part"] = part
        content = self._content(news)
        kind = news.get("contentType") or (_MODULE_TYPE if main else _SCRIPT_TYPE)
        files = {
            "metadata": (None, json.dumps(metadata), "application/json"),
            part: (part, content, kind),
        }
        made = session.result(call, "PUT", self.member(id, news), files=files)
        return self.outputs(made, news)

    def fetch(self, session: Cloudflare, call: Call, id: str, state: Properties) -> Any:
        """The service, its settings and its content."""
        account = f"/accounts/{quote(state['accountId'], '')}/workers"
        service = session.found(call, f"{account}/services/{quote(id, '')}")
        if service is None:
            return None
        script = service["default_environment"]["script"]
        settings = session.result(call, "GET", f"{self.member(id, state)}/settings")
        found = {**script, **settings, "script_name": id}
        found["bindings"] = _in_order(found.get("bindings") or [], state.get("bindings") or [])
        if not found["bindings"]:
            del found["bindings"]
        return found

    def read(
        self, session: Cloudflare, call: Call, id: str, state: Properties
    ) -> ReadResult | None:
        """With the hash or the text of what is deployed now."""
        result = super().read(session, call, id, state)
        if result is None or not ({"content", "contentSha256"} & state.keys()):
            return result
        deployed = self._deployed(session, call, id, state)
        now = {"content": deployed.decode(errors="replace")}
        now["contentSha256"] = hashlib.sha256(deployed).hexdigest()
        for name in now.keys() & state.keys():
            result.outputs[name] = result.inputs[name] = now[name]
        return result

    def outputs(self, made: Any, inputs: Properties) -> Properties:
        """A script that came from a file isn't in the state."""
        return {**super().outputs(made, inputs), "scriptName": inputs["scriptName"]}

    def import_id(self, id: str) -> tuple[Properties, str]:
        """Account and script."""
        scope, name = super().import_id(id)
        return {**scope, "scriptName": name}, name

    def _content(self, inputs: Properties) -> bytes:
        path = inputs.get("contentFile")
        return read_file(path) if path else (inputs.get("content") or "").encode()

    def _deployed(self, session: Cloudflare, call: Call, id: str, state: Properties) -> bytes:
        response = session.http.send(call, "GET", f"{self.member(id, state)}/content/v2")
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("multipart/"):
            return response.content
        entry = response.headers.get("cf-entrypoint", "")
        parts = email.message_from_bytes(
            f"Content-Type: {kind}\r\n\r\n".encode() + response.content
        ).walk()
        for part in parts:
            name = part.get_param("name", header="content-disposition")
            if name == entry or part.get_filename() == entry:
                payload = part.get_payload(decode=True)
                return payload if isinstance(payload, bytes) else b""
        return b""


def _in_order(found: list[Any], before: list[Any]) -> list[Any]:
    """Bindings in the order of the state, with what the API hides (secrets) from there."""
    by_name = {binding["name"]: binding for binding in found}
    ordered = []
    for old in before:
        if old["name"] in by_name:
            ordered.append({**snakes(old), **by_name.pop(old["name"])})
    return ordered + list(by_name.values())


class WorkersCronTrigger(RestResource):
    """A script's schedules; destroying sends nothing (Cloudflare 3)."""

    sdk = cloudflare.WorkersCronTrigger
    scope = ("accountId", "scriptName")
    collection = "/accounts/{accountId}/workers/scripts/{scriptName}/schedules"
    replaces = frozenset({"accountId", "scriptName"})
    keeps = frozenset({"schedules"})
    create_method = "PUT"
    deletes = False

    def body(self, inputs: Properties) -> Any:
        """The list."""
        return [{"cron": schedule["cron"]} for schedule in inputs["schedules"]]

    def id_of(self, inputs: Properties, made: Any) -> str:
        """The script's name."""
        return inputs["scriptName"]

    def member(self, id: str, values: Properties) -> str:
        """There is one list a script."""
        return self.path(values)

    def import_id(self, id: str) -> tuple[Properties, str]:
        """Account and script."""
        account, _, script = id.partition("/")
        return {"accountId": account, "scriptName": script}, script


class WorkersKvNamespace(RestResource):
    """A KV namespace."""

    sdk = cloudflare.WorkersKvNamespace
    scope = ("accountId",)
    collection = "/accounts/{accountId}/storage/kv/namespaces"
    replaces = frozenset({"accountId"})


class Worker(RestResource):
    """A Worker without code."""

    sdk = cloudflare.Worker
    scope = ("accountId",)
    collection = "/accounts/{accountId}/workers/workers"
    replaces = frozenset({"accountId"})
    whole = frozenset({"observability"})


class WorkerVersion(RestResource):
    """A version of a Worker: never changed, never deleted (Cloudflare 4)."""

    sdk = cloudflare.WorkerVersion
    scope = ("accountId", "workerId")
    collection = "/accounts/{accountId}/workers/workers/{workerId}/versions"
    replaces = frozenset(
        {"accountId", "workerId", "annotations", "assets", "bindings", "cacheOptions",
         "compatibilityDate", "compatibilityFlags", "containers", "exports", "limits",
         "mainModule", "migrations", "modules", "placement", "usageModel"}
    )  # fmt: skip
    keeps = frozenset({"modules", "bindings", "annotations", "placement", "limits"})
    deletes = False

    def complete(self, inputs: Properties) -> Properties:
        """Modules from files get their hash, which is what a change shows."""
        modules = inputs.get("modules")
        if modules is None or has_unknown(modules):
            return inputs
        return {**inputs, "modules": [_hashed(module) for module in modules]}

    def body(self, inputs: Properties) -> Any:
        """With the files' contents."""
        body = super().body(inputs)
        body["modules"] = [_loaded(module) for module in inputs.get("modules") or []]
        return body


def _hashed(module: Properties) -> Properties:
    path = module.get("contentFile")
    return {**module, "contentSha256": file_hash(path)} if path else module


def _loaded(module: Properties) -> dict[str, Any]:
    sent = snakes(module)
    path = sent.pop("content_file", None)
    sent.pop("content_sha256", None)
    if path:
        sent["content_base64"] = base64.b64encode(read_file(path)).decode()
    return sent


class WorkersDeployment(RestResource):
    """Which versions serve: a new one for every change, never deleted (Cloudflare 4)."""

    sdk = cloudflare.WorkersDeployment
    scope = ("accountId", "scriptName")
    collection = "/accounts/{accountId}/workers/scripts/{scriptName}/deployments"
    replaces = frozenset({"accountId", "scriptName", "strategy", "versions", "annotations"})
    keeps = frozenset({"annotations"})
    deletes = False
