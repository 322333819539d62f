"""The edge Worker on a real workerd, with a stand-in for Cloudflare's network behind it."""

import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
WORKER = ROOT / "components" / "edge" / "worker" / "worker.js"
WORKERD = ROOT / "node_modules" / ".bin" / "workerd"

# The date that the deployed Worker is pinned to: docs/edge.md, "Deploying".
COMPATIBILITY_DATE = "2026-11-01"

HOST = "www.example.com"

# Visitors, as request.cf describes them.
DENVER = {"country": "US", "continent": "NA", "latitude": "39.74", "longitude": "-104.98"}
MADRID = {"country": "ES", "continent": "EU", "latitude": "40.42", "longitude": "-3.70"}
TOKYO = {"country": "JP", "continent": "AS", "latitude": "35.68", "longitude": "139.69"}


def region(name: str, lat: float, lon: float, **options: Any) -> dict[str, Any]:
    """A row of the region table."""
    return {"name": name, "host": f"{name}.example.com", "lat": lat, "lon": lon, **options}


US = region("us", 40.73, -74.17)
EU = region("eu", 50.11, 8.68)
APAC = region("apac", 1.35, 103.82)
REGIONS = [US, EU, APAC]


def poll(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """The first true value of a condition; fails naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain until {what}")


def literal(value: Any) -> str:
    """JSON of a value; a string's JSON is its literal in Cap'n Proto's text format as well."""
    return json.dumps(value)


class Edge:
    """A workerd process that serves the Worker, or another `main` module."""

    def __init__(
        self,
        config: Any,
        origins: Mapping[str, str],
        *,
        main: Path = WORKER,
        kv: bool = False,
        kv_dir: Path | None = None,
        metrics: bool = False,
        outbound: str = "network",
        **text_bindings: str,
    ) -> None:
        """config: value of the binding CONFIG. origins: address of each host name. outbound: the
        service that fetch goes to; the name of an origin leads straight to it. kv_dir: storage of
        another Edge's KV."""
        if not WORKERD.exists():
            raise FileNotFoundError(f"{WORKERD} is missing: run make setup")
        self._dir = Path(tempfile.mkdtemp(prefix="edge-worker-"))
        self.kv_dir = kv_dir or self._dir / "kv"
        self.kv_dir.mkdir(exist_ok=True)
        for module in {*HERE.glob("*.js"), WORKER, main}:
            shutil.copy(module, self._dir)
        bindings = [
            f'(name = "CONFIG", json = {literal(json.dumps(config))})',
            *(f"(name = {literal(k)}, text = {literal(v)})" for k, v in text_bindings.items()),
        ]
        if metrics:
            bindings.append('(name = "METRICS", analyticsEngine = "points")')
        if kv:
            bindings.append('(name = "HEALTH", kvNamespace = "counted-kv")')
        modules = [main.name] if main == WORKER else [main.name, WORKER.name]
        config_text = _workerd_config(modules, bindings, origins, outbound, self.kv_dir)
        (self._dir / "config.capnp").write_text(config_text)
        self._log = (self._dir / "log").open("w")
        self._ports = self._start(sockets=3)
        self.url = f"http://127.0.0.1:{self._ports['http']}"
        self.port: int = self._ports["http"]

    def _start(self, sockets: int) -> dict[str, int]:
        """The port of each socket, as workerd reports them."""
        read, write = os.pipe()
        self._process = subprocess.Popen(
            [WORKERD, "serve", "--experimental", f"--control-fd={write}", "config.capnp"],
            cwd=self._dir,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[write],
            start_new_session=True,
        )
        os.close(write)
        ports: dict[str, int] = {}
        received = b""
        while len(ports) < sockets:
            ready, _, _ = select.select([read], [], [], 30)
            data = os.read(read, 65536) if ready else b""
            if not data:
                log = self.log()
                self.close()
                raise AssertionError(f"workerd did not start:\n{log}")
            received += data
            *lines, received = received.split(b"\n")
            for event in map(json.loads, lines):
                if event["event"] == "listen":
                    ports[event["socket"]] = event["port"]
        os.close(read)
        return ports

    def request(
        self,
        path: str = "/",
        cf: Mapping[str, Any] | None = None,
        *,
        method: str = "GET",
        visitor: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """One visitor's request. cf: what Cloudflare found out; None: nothing."""
        given = {"host": HOST, **(headers or {})}
        if cf is not None:
            given["cf-test-blob"] = json.dumps(cf)
        if visitor is not None:
            given["cf-connecting-ip"] = visitor
        return requests.request(
            method, self.url + path, headers=given, allow_redirects=False, timeout=60, **options
        )

    def fire_cron(self) -> dict[str, Any]:
        return requests.get(f"http://127.0.0.1:{self._ports['cron']}/", timeout=60).json()

    def kv_counts(self, **query: str) -> dict[str, int]:
        """How many operations reached KV."""
        url = f"http://127.0.0.1:{self._ports['kv']}/"
        return requests.get(url, params=query, headers={"host": "counts"}, timeout=10).json()

    def points(self) -> list[dict[str, Any]]:
        """What was written to Analytics Engine, in workerd's words: index1, blob1, double1, …"""
        return [json.loads(line[7:]) for line in self.log().splitlines() if line[:7] == "point: "]

    def log(self) -> str:
        return (self._dir / "log").read_text()

    def _pids(self) -> list[int]:
        # Where npm did not run the package's install script, .bin/workerd is a Node program that
        # starts the binary.
        pids = [self._process.pid]
        for pid in pids:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            pids += map(int, children.split())
        return pids

    def memory(self) -> int:
        """Resident bytes."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self._pids()]
        return sum(int(n) * 1024 for s in statuses for n in re.findall(r"VmRSS:\s+(\d+)", s))

    def cpu_seconds(self) -> float:
        """Time on a CPU of the threads that are alive."""
        tasks = [task for pid in self._pids() for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._dir)


def _workerd_config(
    modules: list[str],
    bindings: list[str],
    origins: Mapping[str, str],
    outbound: str,
    kv_dir: Path,
) -> str:
    def worker(modules: list[str], bindings: list[str], *extra: str) -> str:
        embedded = [f"(name = {literal(m)}, esModule = embed {literal(m)})" for m in modules]
        fields = [
            f"compatibilityDate = {literal(COMPATIBILITY_DATE)}",
            f"modules = [{', '.join(embedded)}]",
            f"bindings = [{', '.join(bindings)}]",
            *extra,
        ]
        return f"({', '.join(fields)})"

    def socket(name: str, service: str, http: str = "()") -> str:
        return (
            f'(name = {literal(name)}, address = "127.0.0.1:0", '
            f"service = {literal(service)}, http = {http})"
        )

    externals = [
        f"(name = {literal(host)}, external = (address = {literal(address)}, http = ()))"
        for host, address in origins.items()
    ]
    hosts = [f"(name = {literal(host)}, service = {literal(host)})" for host in origins]
    namespace = '(name = "kv", props = (json = "{\\"namespace\\": \\"health\\"}"))'
    newline = ",\n    "
    return f"""using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "network", worker = .network),
    (name = "cron", worker = .cron),
    (name = "points", worker = .points),
    (name = "counted-kv", worker = .countedKv),
    (name = "kv", worker = .kv),
    (name = "disk", disk = (path = {literal(str(kv_dir))}, writable = true)),
    {newline.join(externals)}
  ],
  sockets = [
    {socket("http", "edge", '(cfBlobHeader = "cf-test-blob")')},
    {socket("cron", "cron")},
    {socket("kv", "counted-kv")}
  ]
);
const edge :Workerd.Worker = {worker(modules, bindings, f"globalOutbound = {literal(outbound)}")};
const network :Workerd.Worker = {worker(["network.js"], hosts)};
const cron :Workerd.Worker = {
        worker(
            ["cron.js"],
            ['(name = "EDGE", service = "edge")'],
            'compatibilityFlags = ["service_binding_extra_handlers"]',
        )
    };
const points :Workerd.Worker = {worker(["points.js"], [])};
const countedKv :Workerd.Worker = {
        worker(["counted_kv.js"], [f'(name = "KV", service = {namespace})'])
    };
const kv :Workerd.Worker = (
  compatibilityDate = {literal(COMPATIBILITY_DATE)},
  modules = [(name = "kv.js", bundled = "/workerd/kv.js")],
  durableObjectNamespaces =
    [(className = "KVNamespace", uniqueKey = "kv", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "SHARD", durableObjectNamespace = "KVNamespace"),
    (name = "BLOBS", service = "disk")
  ]
);
"""
