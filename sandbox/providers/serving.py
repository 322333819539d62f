"""The process that serves the emulated provider plugins.

``python -m sandbox.providers.serving --only vultr,tls --ports-file F [--prefer vultr=PORT]…``

Binds a port for each, writes ``{"vultr": PORT, …}`` to the file in one step, and serves until
SIGTERM, or until the process that started it is gone. API keys, proxies and addresses come from
its environment, as a real plugin's do. Relative file names in inputs (``content_file``) are
relative to its working directory: start it in the project's.
"""

import argparse
import gc
import importlib
import inspect
import json
import logging
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.providers.base.server import Server

NAMES = ("vultr", "cloudflare", "kubernetes", "tls")
SPEED_VARIABLE = "EDGEFLEET_SANDBOX_SPEED"
DEFAULT_SPEED = 20.0
_PARENT_POLL_SECONDS = 0.5


def start(names: Sequence[str], preferred: Mapping[str, int], speed: float) -> "dict[str, Server]":
    """Serve the plugins of these names, each on its preferred port where that is free."""
    return {name: _serve(name, preferred.get(name, 0), speed) for name in names}


def _serve(name: str, port: int, speed: float) -> "Server":
    module = importlib.import_module(f"sandbox.providers.{name}.plugin")
    options = {"speed": speed} if "speed" in inspect.signature(module.serve).parameters else {}
    return module.serve(port, **options)


def write_ports(path: Path, servers: "Mapping[str, Server]") -> None:
    """Write the ports as JSON; a reader sees the whole file or none."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps({name: server.port for name, server in servers.items()}))
    partial.replace(path)


def wait_for_end(parent: int, stop: threading.Event) -> None:
    """Return when ``stop`` is set or this process has another parent than ``parent``."""
    while not stop.wait(_PARENT_POLL_SECONDS):
        if os.getppid() != parent:
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    # Before anything slow is imported: a parent that dies meanwhile must be noticed too.
    parent = os.getppid()
    # Loading the SDKs makes a million objects that stay: looking for garbage among them every 700
    # took a third of it.
    gc.set_threshold(100_000, 50, 50)
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    servers = start(options.only, dict(options.prefer), options.speed)
    write_ports(options.ports_file, servers)
    wait_for_end(parent, stop)
    for server in servers.values():
        server.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox.providers.serving", description="serve provider plugins"
    )
    parser.add_argument("--only", type=_names, default=list(NAMES), metavar="NAME,…")
    parser.add_argument("--ports-file", type=Path, required=True, metavar="FILE")
    parser.add_argument("--prefer", type=_preference, action="append", default=[], metavar="N=PORT")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=os.environ.get(SPEED_VARIABLE, str(DEFAULT_SPEED)),
        help="what the providers' waits are divided by",
    )
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        allowed = ", ".join(NAMES)
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; allowed: {allowed}")
    return names


def _preference(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    if name not in NAMES or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}; expected NAME=PORT, for example vultr=40001")
    return name, int(port)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if speed <= 0:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a number above 0 (also in {SPEED_VARIABLE})"
        )
    return speed


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Taking a million objects apart one by one costs more than a second.
    os._exit(code)
