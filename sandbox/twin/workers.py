"""workerd's configuration for a Worker as Cloudflare has it: its modules and bindings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.twin.namespaces import TwinError
from sandbox.twin.published import Worker

_HERE = Path(__file__).parent
EGRESS = "127.0.0.1:8788"


def write(folder: Path, worker: Worker, port: int, around: Path) -> Path:
    """Write all that workerd needs to serve `worker` on the socket `around`/FOLDER.sock, and its
    cron trigger on `port`; the configuration's file. KV namespaces are kept in `around`.

    Raises TwinError for a binding that workerd can't have here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kv = around / "kv"
    kv.mkdir(parents=True, exist_ok=True)
    for name, text in worker.modules.items():
        (folder / name).write_text(text)
    for name in ("cron.js", "discard.js"):
        (folder / name).write_text((_HERE / name).read_text())
    file = folder / "config.capnp"
    file.write_text(_configuration(worker, around / f"{folder.name}.sock", port, kv))
    return file


def _configuration(worker: Worker, socket: Path, port: int, kv: Path) -> str:
    date = worker.compatibility_date
    flags = list(worker.compatibility_flags)
    kv_worker = f"""(compatibilityDate = {_text(date)},
  modules = [(name = "kv.js", bundled = "/workerd/kv.js")],
  durableObjectNamespaces = [(className = "KVNamespace", uniqueKey = "kv", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [(name = "SHARD", durableObjectNamespace = "KVNamespace"),
              (name = "BLOBS", service = "disk")])"""
    edge = _worker(
        date, flags, list(worker.modules), [_binding(each) for each in worker.bindings],
        'globalOutbound = "egress"',
    )  # fmt: skip
    edge_binding = ['(name = "EDGE", service = "edge")']
    cron = _worker(date, ["service_binding_extra_handlers"], ["cron.js"], edge_binding)
    incoming = '(cfBlobHeader = "x-cf-blob", forwardedProtoHeader = "x-forwarded-proto")'
    outgoing = '(cfBlobHeader = "x-cf-blob", forwardedProtoHeader = "x-forwarded-proto")'
    return f"""using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge), (name = "cron", worker = .cron),
    (name = "points", worker = .points), (name = "kv", worker = .kv),
    (name = "disk", disk = (path = {_text(str(kv))}, writable = true)),
    (name = "egress", external = (address = {_text(EGRESS)}, http = {outgoing}))
  ],
  sockets = [
    (name = "http", address = {_text(f"unix:{socket}")}, service = "edge", http = {incoming}),
    (name = "cron", address = "127.0.0.1:{port}", service = "cron", http = ())
  ]
);
const edge :Workerd.Worker = {edge};
const cron :Workerd.Worker = {cron};
const points :Workerd.Worker = {_worker(date, [], ["discard.js"], [])};
const kv :Workerd.Worker = {kv_worker};
"""


def _worker(
    date: str, flags: Sequence[str], modules: Sequence[str], bindings: Sequence[str], *extra: str
) -> str:
    embedded = [f"(name = {_text(name)}, esModule = embed {_text(name)})" for name in modules]
    fields = [
        f"compatibilityDate = {_text(date)}",
        f"compatibilityFlags = [{', '.join(map(_text, flags))}]",
        f"modules = [{', '.join(embedded)}]",
        f"bindings = [{', '.join(bindings)}]",
        *extra,
    ]
    return f"({', '.join(fields)})"


def _binding(binding: Mapping[str, Any]) -> str:
    name = f"name = {_text(binding['name'])}"
    match binding["type"]:
        case "json":
            value = binding["json"]
            text = value if isinstance(value, str) else json.dumps(value)
            return f"({name}, json = {_text(text)})"
        case "plain_text" | "secret_text":
            return f"({name}, text = {_text(binding['text'])})"
        case "kv_namespace":
            namespace = _text(json.dumps({"namespace": binding["namespace_id"]}))
            return f'({name}, kvNamespace = (name = "kv", props = (json = {namespace})))'
        case "analytics_engine":
            return f'({name}, analyticsEngine = "points")'
        case other:
            raise TwinError(f"the Worker's binding {binding['name']}: {other}: unknown to the twin")


def _text(value: str) -> str:
    # A string of JSON is a literal of Cap'n Proto's text format as well.
    return json.dumps(value)
