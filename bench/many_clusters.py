"""`fleet compare` of twenty clusters beside that of the slowest alone and two seconds.

Twenty control planes fit on no laptop. So one is brought up, what it answers is recorded, and
twenty servers say that again, each with a pause of its own before each answer, as of clusters near
and far. The reading, the TLS-less HTTP and the matrix are the command's own.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from bench.report import entry
from components.server_side.api import ServerObject
from components.vendors.vultr import VultrApi
from infra.fleet.reading import load
from ops.compare.cli import WANTED
from ops.compare.matrix import matrix
from ops.expected import chosen
from ops.live.cluster import read_cluster
from ops.live.looking import look
from tests.fleet.fleet import Fleet
from tests.projects import git

CLUSTERS = 20
SLOWEST = 0.1
"""Seconds before each answer of the slowest cluster; the others' are evenly below."""
MORE = 2.0
"""Seconds that all may take longer than the slowest alone."""


def run() -> list[dict[str, Any]]:
    """Wall time of a look at all, and at the slowest."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        fleet = Fleet.make(Path(folder))
        try:
            git(fleet.project, "rm", "-q", "Pulumi.eu.yaml", "Pulumi.apac.yaml", "Pulumi.edge.yaml")
            fleet.up("us")[0].require()
            return list(measured(fleet))
        finally:
            fleet.stop()


def measured(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Of stacks that are copies of us."""
    names = [f"us{number:02}" for number in range(CLUSTERS)]
    text = (fleet.project / "Pulumi.us.yaml").read_text()
    for name in names:
        file = fleet.project / f"Pulumi.{name}.yaml"
        document = yaml.safe_load(text)
        document["config"]["edgefleet:region"] = name
        file.write_text(yaml.safe_dump(document))
    git(fleet.project, "add", ".")
    with ExitStack() as stack:
        stack.enter_context(chdir(fleet.project))
        stack.enter_context(patch.dict("os.environ", fleet.environment))
        (us,), _ = chosen(load(fleet.project), ["us"])
        api = VultrApi(fleet.environment["VULTR_API_KEY"], patient=False)
        ((raw, live),) = api.live_clusters().values()
        answers = recorded(api.kubeconfig(live.id), us.namespace)
        receiver, sender = get_context("spawn").Pipe(duplex=False)
        serving = get_context("spawn").Process(target=serve, args=(answers, sender), daemon=True)
        serving.start()
        stack.callback(serving.terminate)
        ports: list[int] = receiver.recv()
        found = {
            name: ({**raw, "label": f"edgefleet-{name}"},
                   replace(live, id=name, label=f"edgefleet-{name}"))
            for name in names
        }  # fmt: skip
        where = dict(zip(names, ports, strict=True))
        stack.enter_context(patch.object(VultrApi, "live_clusters", lambda _: found))
        stack.enter_context(patch.object(VultrApi, "kubeconfig", lambda _, i: config(where[i])))
        stack.enter_context(patch.object(VultrApi, "upgrades", lambda *_: []))
        alone = seconds(fleet.project, names[-1:])
        yield entry(
            f"fleet compare of {CLUSTERS} clusters, of the slowest alone and {MORE:g} s",
            seconds(fleet.project, names),
            alone + MORE,
        )


def seconds(project: Path, names: list[str]) -> float:
    """A look at these stacks, and the matrix. Raises RuntimeError where one wasn't seen."""
    regions, _ = chosen(load(project), names)
    began = time.perf_counter()
    found = matrix(look(project, regions, [], WANTED).regions)
    took = time.perf_counter() - began
    if found.unseen:
        raise RuntimeError(f"not seen: {found.unseen}")
    return took


def recorded(kubeconfig: str, namespace: str) -> dict[str, tuple[int, bytes]]:
    """What a cluster answers to the questions of `read_cluster`, by path and query."""
    found: dict[str, tuple[int, bytes]] = {}
    real = ServerObject._data

    def keeping(
        self: Any, method: str, path: str, query: Any = None, *more: Any, **o: Any
    ) -> bytes:
        key = path + ("?" + "&".join(f"{k}={v}" for k, v in query) if query else "")
        found[key] = (404, b"{}")
        data = real(self, method, path, query, *more, **o)
        found[key] = (200, data)
        return data

    with patch.object(ServerObject, "_data", keeping):
        read_cluster(kubeconfig, namespace)
    return found


def serve(answers: Mapping[str, tuple[int, bytes]], ports: Connection) -> None:
    """A server for each cluster; tells their ports. Ends with its process."""
    from urllib.parse import unquote

    made: list[int] = []
    for number in range(CLUSTERS):
        pause = SLOWEST * (number + 1) / CLUSTERS

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wait = pause

            def do_GET(self) -> None:
                time.sleep(self.wait)
                status, data = answers.get(unquote(self.path), (404, b"{}"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server.server_address[1])
    ports.send(made)
    threading.Event().wait()


def config(port: int) -> str:
    """A kubeconfig of one of the servers."""
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    user = {"name": "u", "user": {"token": "t"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [user],
            "contexts": [context],
            "current-context": "x",
        }
    )
