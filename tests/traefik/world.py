"""A node as Traefik's pod sees it: its files, its account's rights, an API server, an application.

What differs from a node: ports, which a test has to itself; the folders; and the sources of
requests, which are addresses of this machine's loopback: `CLOUDFLARE` stands for one of
Cloudflare's networks, which the configuration names.
"""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import yaml

from components.ingress.contract import PORTS
from components.ingress.traefik.daemon_set import TraefikIngress, TraefikIngressArgs
from components.ingress.traefik.options import DYNAMIC_FOLDER, METRICS_PORT, READINESS_PORT
from components.ingress.traefik.pod import STATIC_FILE, STATIC_FOLDER
from sandbox.providers.kubernetes.client import Cluster
from tests.kubernetes_harness import client, free_port, kubeconfig_text, until
from tests.registrations import all_registered

Json = dict[str, Any]
CLOUDFLARE, OUTSIDER, TRUSTED = "127.0.0.2", "127.0.0.3", "127.0.0.2/32"
_SECRET = "4dabf18193072939515e22adb298388d"


def objects(args: TraefikIngressArgs) -> list[Json]:
    """What the component registers, as it is sent to the cluster."""
    sent, _ = all_registered(lambda: TraefikIngress("us-ingress", args))
    return [_plain(each["object"]) for each in sent]


def _plain(value: Any) -> Any:
    """Whole numbers as such (the protocol knows floats alone), and secrets told."""
    if isinstance(value, dict):
        found = cast(Json, value)
        return (
            _plain(found["value"]) if _SECRET in found else {k: _plain(v) for k, v in found.items()}
        )
    if isinstance(value, list):
        return [_plain(each) for each in cast(list[Any], value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name, and what the application saw of the request."""

    status: int
    headers: Mapping[str, str]
    seen: Mapping[str, str]
    body: str = ""
    certificate: bytes = field(default=b"", repr=False)


class Application(BaseHTTPRequestHandler):
    """Answers with the headers that it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = json.dumps({k.lower(): v for k, v in self.headers.items()} | {"path": self.path})
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def own_address() -> str:
    """One of this machine's that isn't loopback, which an EndpointSlice must not have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@dataclass(frozen=True)
class Ports:
    http: int
    https: int
    ready: int
    metrics: int

    @classmethod
    def free(cls) -> "Ports":
        return cls(*(free_port() for _ in range(4)))

    def in_place(self, text: str) -> str:
        """A configuration's text with these for those of a node."""
        for real, mine in zip(
            (*PORTS, READINESS_PORT, METRICS_PORT),
            (self.http, self.https, self.ready, self.metrics),
            strict=True,
        ):
            text = text.replace(f':{real}"', f':{mine}"')
        return text


class Node:
    """Traefik, as its DaemonSet's pod would run it."""

    def __init__(
        self, program: Path, folder: Path, kubeconfig: str, ports: Ports, stack: ExitStack
    ) -> None:
        self._program, self.folder, self.ports, self._stack = program, folder, ports, stack
        self._kubeconfig = kubeconfig
        self.dynamic = folder / "dynamic"
        self.version = 0

    def mount(self, manifests: list[Json]) -> None:
        """The volumes of the DaemonSet's pod, from the ConfigMaps and Secrets that it names."""
        by_name = {(o["kind"], o["metadata"]["name"]): o for o in manifests if "metadata" in o}
        (pod,) = (o["spec"]["template"]["spec"] for o in manifests if o.get("kind") == "DaemonSet")
        static, dynamic = pod["volumes"]
        files = by_name["ConfigMap", static["configMap"]["name"]]["data"]
        (self.folder / STATIC_FILE).write_text(self._here(files[STATIC_FILE]))
        found: dict[str, str] = {}
        for source in dynamic["projected"]["sources"]:
            kind = "ConfigMap" if "configMap" in source else "Secret"
            named = by_name[kind, next(iter(source.values()))["name"]]
            found |= named.get("data") or named["stringData"]
        self.project(found)
        self.args = [
            a.replace(STATIC_FOLDER, str(self.folder)) for a in pod["containers"][0]["args"]
        ]

    def project(self, files: Mapping[str, str]) -> None:
        """As a kubelet does: a folder with the content, a link to it that is replaced at once, and
        links to the files in that."""
        self.version += 1
        content = self.dynamic / f"..2026_{self.version}"
        content.mkdir(parents=True)
        for name, text in files.items():
            (content / name).write_text(self._here(text))
            if not (self.dynamic / name).is_symlink():
                (self.dynamic / name).symlink_to(f"..data/{name}")
        link = self.dynamic / "..data_tmp"
        link.symlink_to(content.name)
        link.rename(self.dynamic / "..data")

    def _here(self, text: str) -> str:
        return self.ports.in_place(text).replace(DYNAMIC_FOLDER, str(self.dynamic))

    def start(self) -> None:
        (self.folder / "kubeconfig").write_text(self._kubeconfig)
        out = self._stack.enter_context((self.folder / "log").open("w"))
        env = {"KUBECONFIG": str(self.folder / "kubeconfig"), "PATH": ""}
        self.process = subprocess.Popen(
            [str(self._program), *self.args], cwd=self.folder, env=env, stdout=out, stderr=out
        )
        self._stack.callback(self.process.wait)
        self._stack.callback(self.process.kill)
        until(self.ready, f"Traefik ({self.folder}/log)")

    def ready(self) -> bool:
        """What the kubelet asks."""
        asked = HTTPConnection("127.0.0.1", self.ports.ready, timeout=5)
        asked.request("GET", "/ready")
        return asked.getresponse().status == 200

    def ask(
        self,
        host: str,
        path: str = "/",
        *,
        source: str = CLOUDFLARE,
        certificate: str = "",
        scheme: str = "https",
        **headers: str,
    ) -> Answer:
        """A request for `host` that comes from `source`. Raises OSError where none is answered."""
        port = self.ports.https if scheme == "https" else self.ports.http
        with contextlib.closing(
            socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        ) as plain:
            return _exchange(plain, host, path, certificate, scheme, headers)

    @property
    def log(self) -> list[Json]:
        """Lines of its log and of the access log."""
        text = (self.folder / "log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    @property
    def requests(self) -> list[Json]:
        """The access log."""
        return [line for line in self.log if "RequestHost" in line]


def _exchange(
    plain: socket.socket,
    host: str,
    path: str,
    certificate: str,
    scheme: str,
    headers: Mapping[str, str],
) -> Answer:
    connection, shown = plain, b""
    if scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate)
        secure = context.wrap_socket(plain, server_hostname=host)
        connection, shown = secure, secure.getpeercert(True) or b""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    for name, value in headers.items():
        spelled = name.replace("__", "\0").replace("_", "-").replace("\0", "_")
        lines.append(f"{spelled}: {value}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = HTTPResponse(connection)
    answer.begin()
    body = answer.read().decode()
    seen = json.loads(body) if body.startswith("{") else {}
    return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, seen, body, shown)


@contextlib.contextmanager
def application() -> Iterator[int]:
    """The port of an application on every address of this machine."""
    server = ThreadingHTTPServer(("0.0.0.0", 0), Application)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class ApiServer:
    """An API server with what the component made in it."""

    def __init__(self, kubeconfig: str) -> None:
        self.text, self.api = kubeconfig, client(kubeconfig)

    def define(self, *files: Path) -> None:
        """Definitions of custom kinds, once the API server serves them."""
        defined: list[Json] = []
        for file in files:
            read = yaml.load_all(file.read_text(), yaml.CSafeLoader)
            defined += [d for d in read if d and d["kind"] == "CustomResourceDefinition"]
        for crd in defined:
            self.api.apply(crd, "test")
        for crd in defined:
            until(lambda crd=crd: _served(self.api, crd), crd["metadata"]["name"])
        self.api.forget_kinds()

    def apply(self, manifests: list[Json], ports: Ports) -> None:
        for manifest in manifests:
            if manifest.get("kind") == "DaemonSet":
                continue
            if manifest.get("kind") == "Gateway":
                real = dict(zip(PORTS, (ports.http, ports.https), strict=True))
                for listener in manifest["spec"]["listeners"]:
                    listener["port"] = real[listener["port"]]
            if "kind" in manifest:
                self.api.apply(manifest, "edgefleet")

    def account(self, namespace: str, name: str) -> str:
        """A kubeconfig of a service account: no more rights than the component gave it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self.api.request("POST", path, {}, wanted)
        (cluster,) = json.loads(self.text)["clusters"]
        said = cluster["cluster"]
        return kubeconfig_text(
            said["server"], said["certificate-authority"], answer["status"]["token"]
        )


def _served(api: Cluster, crd: Json) -> bool:
    live = api.get(crd) or {}
    conditions = live.get("status", {}).get("conditions", ())
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
