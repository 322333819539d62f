"""Cloudflare, as far as the twin's visitors and origins meet it: one data centre of it.

The Worker runs on the real workerd. In front of it nginx ends visitors' TLS and says who they are;
behind it `egress.mjs` is the network to the origins. Its addresses are all of those that the list
of Cloudflare's ranges names, and it connects from every one of the ranges.
"""

import json
import shutil
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from sandbox.processes import Processes
from sandbox.twin import workers
from sandbox.twin.internet import Internet, families
from sandbox.twin.namespaces import Namespace, wait
from sandbox.twin.published import Published, Worker
from sandbox.vendors.ca import CertificateAuthority

WORKERD = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "workerd"
_HERE = Path(__file__).parent
_FIRST_PORT = 8800
_SETUP = "sysctl -qw net.ipv6.ip_nonlocal_bind=1 net.ipv6.conf.all.accept_dad=0"
_OLD_SECONDS = 30  # a Worker that was replaced may finish its requests


@dataclass(frozen=True)
class Place:
    """Where visitors are: their networks, and what Cloudflare says of them (`request.cf`)."""

    name: str
    networks: tuple[str, str]
    cf: Mapping[str, Any]


class Cloudflare:
    """A data centre with the addresses `ranges`, for visitors from `places`."""

    def __init__(
        self, processes: Processes, internet: Internet, folder: Path,
        ranges: Sequence[str], places: Sequence[Place],
    ) -> None:  # fmt: skip
        self._folder = folder
        self._ranges = list(ranges)
        self._places = list(places)
        self._port = _FIRST_PORT
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True)
        self.here = Namespace(processes, "cloudflare", _SETUP)
        # Of each range the ninth address connects; all are its own.
        self._sources = [str(ip_network(cidr)[9]) for cidr in ranges]
        internet.connect(self.here, self._ranges, [])
        for flag, networks in families(self._ranges).items():
            lines = "".join(f"route add local {each} dev lo\n" for each in networks)
            self.here.run("ip", flag, "-batch", "-", stdin=lines)
        self._front = [
            shutil.which("nginx") or "nginx", "-p", str(folder), "-e", str(folder / "front.log"),
            "-c", str(folder / "front.conf"),
        ]  # fmt: skip
        self.authority = CertificateAuthority(folder / "ca", "edgefleet twin: visitors' trust")

    @property
    def trusted(self) -> Path:
        """The CA that visitors trust."""
        return self.authority.certificate_file

    @property
    def sources(self) -> list[str]:
        """The addresses from which it connects to origins, one of each range."""
        return self._sources

    def start(self, published: Published) -> None:
        """Serve what is published."""
        zone = published.zone
        self.authority.write_server_certificate(
            self._folder / "visited.pem", [zone.name, f"*.{zone.name}"]
        )
        self._write_zone(published)
        egress = [shutil.which("node") or "node", str(_HERE / "egress.mjs"), str(self._folder)]
        child = self.here.start("egress", egress)
        child.wait_until(lambda: "ready" in child.log.read_text(), 30, what="its port")
        self._serve(published)
        (self._folder / "front.conf").write_text(self._front_configuration(published))
        self.here.start("front", self._front)
        wait((self._folder / "front.pid").exists, "Cloudflare's front didn't start")

    def follow(self, published: Published) -> None:
        """Serve what is published now."""
        self._write_zone(published)
        self.here.send_first("egress", signal.SIGHUP)
        if next(iter(published.zone.workers.values())) != self._worker:
            before = self._program
            self._serve(published)
            threading.Timer(_OLD_SECONDS, self._retire, [before]).start()

    def probe(self) -> Any:
        """Fire the Worker's cron trigger; what came of it."""
        return json.loads(self.here.run("curl", "-s", f"http://127.0.0.1:{self._port}/"))

    def cpu_seconds(self) -> float:
        """What workerd has used of a CPU."""
        return sum(sum(p.cpu_times()[:2]) for p in self.here.processes_of(self._program))

    @property
    def _program(self) -> str:
        return f"worker-{self._port}"

    def _retire(self, program: str) -> None:
        with self._lock:
            self.here.end(program)

    def _serve(self, published: Published) -> None:
        zone = published.zone
        (name,) = set(zone.routes.values())
        self._worker = zone.workers[name]
        self._port += 1
        file = workers.write(self._folder / self._program, self._worker, self._port, self._folder)
        command = [str(WORKERD), "serve", "--experimental", str(file)]
        self.here.start(self._program, command)
        socket = self._folder / f"{self._program}.sock"
        wait(socket.exists, f"{self._program} didn't start", 30)
        # What is under way goes on in the one before; each new connection comes to this one.
        link = self._folder / "next.sock"
        link.symlink_to(socket.name)
        link.replace(self._folder / "worker.sock")

    def _write_zone(self, published: Published) -> None:
        zone = published.zone
        by = families(self._sources)
        text = json.dumps(
            {
                "name": zone.name,
                "addresses": zone.addresses,
                "aliases": zone.aliases,
                # Full looks at no certificate, strict at the Origin CA's.
                "strict": zone.ssl == "strict",
                "ca": zone.origin_ca,
                "client": zone.client,
                "sources4": by["-4"],
                "sources6": by["-6"],
            }
        )
        partial = self._folder / "zone.json.new"
        partial.write_text(text)
        partial.replace(self._folder / "zone.json")

    def _front_configuration(self, published: Published) -> str:
        """nginx as the place where visitors' TLS ends."""
        folder = self._folder
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        geo = "".join(
            f"{network} {json.dumps(json.dumps(place.cf))};\n"
            for place in self._places
            for network in place.networks
        )
        routed = "".join(f"{host} worker;\n" for host in published.zone.routes)
        return f"""\
daemon off; user root; worker_processes 1; pid {folder}/front.pid;
worker_rlimit_nofile 8192; worker_shutdown_timeout 60s;
events {{ worker_connections 4096; }}
http {{
  access_log off; error_log {folder}/front.log; {temporary}
  geo $cf {{ default "{{}}"; {geo} }}
  map $host $backend {{ default egress; {routed} }}
  upstream worker {{ server unix:{folder}/worker.sock; keepalive 128; keepalive_time 10s; }}
  upstream egress {{ server {workers.EGRESS}; keepalive 16; }}
  server {{
    listen 443 ssl; listen [::]:443 ssl;
    ssl_certificate {folder}/visited.pem; ssl_certificate_key {folder}/visited.pem;
    keepalive_requests 1000000; client_max_body_size 100m;
    location / {{
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Real-IP $remote_addr; proxy_set_header CF-Connecting-IP $remote_addr;
      proxy_set_header CF-Ray $request_id; proxy_set_header X-CF-Blob $cf;
      proxy_request_buffering off; proxy_buffering off; proxy_read_timeout 120s;
      proxy_next_upstream off; proxy_pass http://$backend;
    }}
  }}
}}
"""
