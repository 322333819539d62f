"""The process that is the sandbox: ``python -m sandbox.daemon --dir DIR [--real NAME]…``

Hosts both emulated APIs, the key service, the proxy and the control planes, and starts the
provider plugins as a child. Runs in the project's folder. Writes ``sandbox.json`` when all of it
is ready, and ends on SIGTERM or SIGINT. ``fleet sandbox start`` runs it in the background.
"""

import argparse
import contextlib
import datetime
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sandbox.clusters.control_plane import BINARIES, ControlPlanes
from sandbox.engine import plugins, secrets_service
from sandbox.engine.environment import (
    BUNDLES,
    PROVIDERS,
    Running,
    backend,
    ca_bundle,
    outside,
    variables,
)
from sandbox.engine.stacks import retarget_stacks
from sandbox.processes import Child, Processes, ProcessFailed, write_pid_file
from sandbox.toolchain import metallb
from sandbox.toolchain.install import Toolchain, ToolchainError, default_cache, install_pulumi
from sandbox.vendors import servers
from sandbox.vendors.ca import CertificateAuthority, write_bundle
from sandbox.vendors.cloudflare import api as cloudflare_api
from sandbox.vendors.cloudflare import resolver, zones
from sandbox.vendors.emulators import serve
from sandbox.vendors.proxy import Upstream, serve_proxy
from sandbox.vendors.store import StoreError
from sandbox.vendors.vultr import api as vultr_api

PID_FILE = "daemon.pid"
_TICK_SECONDS = 0.5
_POLL_SECONDS = 0.05
_PLUGIN_SECONDS = 300


def say(line: str) -> None:
    """A line for whoever waits, and for the log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Daemon:
    """The parts of one sandbox in ``directory``; ``real`` providers aren't served."""

    def __init__(self, directory: Path, real: Sequence[str], stop: threading.Event) -> None:
        self._directory = directory
        self._real = sorted(real)
        self._stop = stop
        self._ports_file = directory / "ports.json"
        self._plugins: Child | None = None

    def run(self) -> None:
        """Start everything, serve until told to stop, and stop everything.

        Raises ProcessFailed, ToolchainError, StoreError or OSError.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        write_pid_file(self._directory / PID_FILE, os.getpid())
        with contextlib.ExitStack() as cleanup:
            cleanup.callback((self._directory / "sandbox.json").unlink, missing_ok=True)
            self._start(cleanup)
        say("stopped")

    def _start(self, cleanup: contextlib.ExitStack) -> None:
        directory = self._directory
        toolchain = Toolchain(default_cache(), ignore=[directory], say=say)
        binaries = {name: toolchain.binary(name) for name in BINARIES}
        pulumi = install_pulumi(toolchain, directory / "bin", Path(sys.executable))

        processes = Processes(directory)
        for name in processes.end_leftovers():
            say(f"ended a leftover of the last run: {name}")
        cleanup.callback(processes.stop_all)

        built = metallb.BUILD.built(default_cache())
        controller = built / "controller" if built else None
        planes = ControlPlanes(directory / "clusters", processes, binaries, say, controller)
        say("starting etcd")
        planes.start()
        cleanup.callback(planes.stop)

        say("starting the emulated Vultr and Cloudflare")
        preferred = self._preferred_ports()
        vultr = vultr_api.create_app(directory / "vultr", planes)
        apps: dict[str, Any] = {
            "vultr": vultr,
            "cloudflare": cloudflare_api.create_app(directory / "cloudflare"),
            "secrets": secrets_service.create_app(directory),
            "servers": servers.create_app(planes),
        }
        ports: dict[str, int] = {}
        for name, app in apps.items():
            served = serve(app, preferred["ports"].get(name, 0))
            cleanup.callback(served.close)
            ports[name] = served.port
        ports["proxy"] = self._start_proxy(
            cleanup, planes, ports, preferred["ports"].get("proxy", 0)
        )

        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        running = Running(os.getpid(), started, ports, {}, self._real, str(pulumi))
        secrets_service.write_credentials(directory / "pulumi", running.secrets_url)
        retarget_stacks(backend(directory), running.secrets_url)
        plugins.share(directory, os.environ)
        self._start_plugins(processes, running, preferred["plugins"])
        self._ports_file.write_text(json.dumps({"ports": ports, "plugins": running.plugins}))
        while not planes.settled():
            if self._stop.wait(_POLL_SECONDS):
                return
        running.save(directory)
        say("ready")

        clusters = ""
        while not self._stop.wait(_TICK_SECONDS):
            vultr.tick()
            planes.revive()
            if self._plugins and self._plugins.exit_code() is not None:
                say("the provider plugins ended; starting them again")
                self._start_plugins(processes, running, running.plugins)
                running.save(directory)
            if (found := json.dumps(planes.status(), indent=1)) != clusters:
                (directory / "clusters.json").write_text(found)
                clusters = found

    def _start_proxy(
        self,
        cleanup: contextlib.ExitStack,
        planes: ControlPlanes,
        ports: dict[str, int],
        preferred: int,
    ) -> int:
        directory = self._directory
        authority = CertificateAuthority(directory / "ca", "edgefleet sandbox")
        write_bundle(authority, ca_bundle(directory))
        emulated = {
            "api.vultr.com": ("127.0.0.1", ports["vultr"]),
            resolver.HOST: ("127.0.0.1", ports["cloudflare"]),
            zones.LISTS_HOST: ("127.0.0.1", ports["cloudflare"]),
        }
        file = directory / "ca" / "server.pem"
        certificate = authority.write_server_certificate(file, list(emulated))
        proxy = serve_proxy(
            emulated,
            certificate,
            planes.address,
            _upstream(directory),
            preferred,
            cloudflare_api.DEFAULT_ZONES,
        )
        cleanup.callback(proxy.close)
        return proxy.port

    def _start_plugins(
        self, processes: Processes, running: Running, preferred: dict[str, int]
    ) -> None:
        names = [name for name in PROVIDERS if name not in self._real]
        if not names:
            return
        say(f"starting the emulated providers: {', '.join(names)}")
        ports_file = self._directory / "plugins.json"
        ports_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "sandbox.providers.serving", "--only", ",".join(names)]
        command += ["--ports-file", str(ports_file)]
        for name in names:
            if name in preferred:
                command += ["--prefer", f"{name}={preferred[name]}"]
        environment = variables(self._directory, running, os.environ.get("PATH", ""))
        # They call what is emulated and nothing else. Reading the system's hundreds of certificates
        # for each connection took more than all that the plugins do.
        environment |= dict.fromkeys(BUNDLES, str(self._directory / "ca" / "ca.pem"))
        self._plugins = processes.start("plugins", command, environment)
        self._plugins.wait_until(ports_file.exists, _PLUGIN_SECONDS, what="its ports")
        running.plugins = json.loads(ports_file.read_text())

    def _preferred_ports(self) -> dict[str, dict[str, int]]:
        try:
            found = json.loads(self._ports_file.read_text())
            return {kind: dict(found[kind]) for kind in ("ports", "plugins")}
        except (OSError, ValueError, KeyError, TypeError):
            return {"ports": {}, "plugins": {}}


def _upstream(directory: Path) -> Upstream | None:
    environ = outside(os.environ, directory)
    url = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    if not url:
        return None
    no_proxy = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    try:
        return Upstream(url, no_proxy)
    except ValueError as error:
        say(f"not used: {error}")
        return None


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    yield stop


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="sandbox.daemon", description="run the sandbox")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--real", action="append", default=[], choices=PROVIDERS)
    options = parser.parse_args(arguments)
    with _stopped_by_signals() as stop:
        try:
            Daemon(options.dir.resolve(), options.real, stop).run()
        except (ProcessFailed, ToolchainError, StoreError, OSError) as error:
            say(f"error: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
