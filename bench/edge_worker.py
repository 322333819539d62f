"""What the edge Worker costs, as ratios from one run on workerd.

`python bench/edge_worker.py` prints them. One process generates load, one is the origin, and
workerd, which is single-threaded, is the bottleneck between them.
"""

import gzip
import multiprocessing
import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from tests.components.edge.worker.edge_rig import (
    DENVER,
    HERE,
    HOST,
    MADRID,
    REGIONS,
    WORKER,
    Edge,
    literal,
)

CONNECTIONS = 32
# Many short rounds, in turn: what else the machine does then hits both alike. And several starts:
# one and the same Worker differs by a tenth from one process to the next.
STARTS = 6
ROUNDS = 8
ROUND_SECONDS = 0.2
FREE_PLAN_CPU_MS = 10
FREE_PLAN_SCRIPT_BYTES = 1_000_000

# One healthy request: of the order of a region on the same continent.
HEALTHY_SECONDS = 0.03
HEDGE_SECONDS = 1
SAMPLES = 40

# As from our ingress, which names its region.
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-edge-region: us\r\n"
    b"content-length: 6\r\n\r\nhello\n"
)
REQUEST = (
    f"GET /index.html?page=1 HTTP/1.1\r\nhost: {HOST}\r\n"
    f"cf-test-blob: {literal(DENVER)}\r\n"
    "cf-connecting-ip: 203.0.113.7\r\nx-real-ip: 203.0.113.7\r\n"
    "cf-ipcountry: US\r\ncf-ray: 8c1f0a2b3c4d5e6f-DEN\r\n"
    'cf-visitor: {"scheme":"https"}\r\nx-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n'
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "accept-language: en-US,en;q=0.5\r\naccept-encoding: gzip, br\r\ncookie: session=0123456789\r\n"
    "\r\n"
).encode()


def serve_fixed_answer(listener: socket.socket, delay: float) -> None:
    """An origin in one thread that answers every request with ANSWER, after `delay` seconds."""
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for number, _ in poller.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poller.register(connection, select.EPOLLIN)
                continue
            data = connections[number].recv(65536)
            if not data:
                poller.unregister(number)
                connections.pop(number).close()
            elif data.endswith(b"\r\n\r\n"):
                time.sleep(delay)
                connections[number].send(ANSWER)


@contextmanager
def origin(delay: float = 0.0) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    process = multiprocessing.get_context("fork").Process(
        target=serve_fixed_answer, args=(listener, delay), daemon=True
    )
    process.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.kill()
        process.join()
        listener.close()


class Load:
    """Connections that each send the next request when the last is answered."""

    def __init__(self, port: int, connections: int) -> None:
        self._poller = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[connection.fileno()] = connection
            self._poller.register(connection, select.EPOLLIN)

    def run(self, seconds: float) -> tuple[float, list[float]]:
        """Requests per second, and the seconds that each took."""
        took: list[float] = []
        begin = now = time.perf_counter()
        sent = {}
        for number, connection in self._sockets.items():
            connection.send(REQUEST)
            sent[number] = now
        waiting = len(sent)
        while waiting:
            for number, _ in self._poller.poll():
                data = self._sockets[number].recv(65536)
                if not data.startswith((b"HTTP/1.1 200", b"hello\n")):
                    raise AssertionError(f"not the origin's answer: {data!r}")
                if not data.endswith(b"hello\n"):
                    continue  # the head came alone
                now = time.perf_counter()
                took.append(now - sent[number])
                if now - begin < seconds:
                    self._sockets[number].send(REQUEST)
                    sent[number] = now
                else:
                    waiting -= 1
        return len(took) / (now - begin), took

    def close(self) -> None:
        for connection in self._sockets.values():
            connection.close()
        self._poller.close()


def throughput_and_latency() -> list[dict[str, Any]]:
    """The Worker beside a Worker of three lines that passes everything on, on one origin."""
    config = {"regions": REGIONS}
    names = ("plain", "router")
    rates: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    single: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(STARTS):
        with origin() as address, ExitStack() as stack:
            # No resolving: what both Workers fetch goes straight to the origin.
            options: dict[str, Any] = {"origins": {"origin": address}, "outbound": "origin"}
            edges = {
                "plain": Edge(config, main=HERE / "pass_through.js", **options),
                "router": Edge(config, main=WORKER, **options),
            }
            crowds, singles = {}, {}
            for name, edge in edges.items():
                stack.callback(edge.close)
                crowds[name], singles[name] = Load(edge.port, CONNECTIONS), Load(edge.port, 1)
                crowds[name].run(1)
            for turn in range(ROUNDS):
                # Alternating, so that neither always runs on the warmer machine.
                for name in sorted(edges, reverse=bool(turn % 2)):
                    before = edges[name].cpu_seconds()
                    rate, took = crowds[name].run(ROUND_SECONDS)
                    cpu[name].append((edges[name].cpu_seconds() - before) / len(took) * 1000)
                    rates[name].append(rate)
                    single[name] += singles[name].run(ROUND_SECONDS / 2)[1]

    ratio = statistics.median(r / p for r, p in zip(rates["router"], rates["plain"], strict=True))
    router, plain = (statistics.median(rates[name]) for name in ("router", "plain"))
    entries = [entry("requests a second beside a pass-through Worker", router, plain, "1/s", ratio)]
    for percent in (50, 99):
        router, plain = (
            statistics.quantiles(single[name], n=100)[percent - 1] * 1000
            for name in ("router", "plain")
        )
        entries.append(entry(f"p{percent} of one connection beside it", router, plain, "ms"))
    ratio = statistics.median(r / p for r, p in zip(cpu["router"], cpu["plain"], strict=True))
    router, plain = (statistics.median(cpu[name]) for name in ("router", "plain"))
    entries.append(entry("CPU a request beside it", router, plain, "ms", ratio))
    entries.append(entry("CPU a request of the free plan's limit", router, FREE_PLAN_CPU_MS, "ms"))
    return entries


def waits() -> list[dict[str, Any]]:
    """How long a visitor waits when the nearest region is dead, beside a healthy region."""
    with ExitStack() as stack:
        healthy = stack.enter_context(origin(HEALTHY_SECONDS))
        # Bound and not listening: refuses. Listening and never accepting: silent.
        refusing = stack.enter_context(closing(socket.socket()))
        refusing.bind(("127.0.0.1", 0))
        silent = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=512)))
        entries = []
        for what, dead in (("refuses", refusing), ("is silent", silent)):
            hosts = {region["host"]: healthy for region in REGIONS}
            hosts[REGIONS[0]["host"]] = f"127.0.0.1:{dead.getsockname()[1]}"
            table = {"regions": REGIONS, "hedgeAfterMs": HEDGE_SECONDS * 1000, "downMs": 600_000}
            edge = Edge(table, hosts)
            stack.callback(edge.close)

            def wait(visitor: dict[str, str], edge: Edge = edge) -> tuple[float, bool]:
                begin = time.perf_counter()
                response = edge.request("/", visitor)
                took = time.perf_counter() - begin
                assert response.status_code == 200, response.text
                return took * 1000, "x-edge-attempts" in response.headers

            wait(MADRID)
            usual = statistics.median(wait(MADRID)[0] for _ in range(SAMPLES))
            first, _ = wait(DENVER)
            allowed = HEDGE_SECONDS * 1000 + usual
            name = f"first wait of timer + healthy, nearest region {what}"
            entries.append(entry(name, first, allowed, "ms"))
            deadline = time.monotonic() + 10
            while wait(DENVER)[1] and time.monotonic() < deadline:
                pass
            later = statistics.median(wait(DENVER)[0] for _ in range(SAMPLES))
            entries.append(
                entry(f"later waits beside healthy, nearest region {what}", later, usual, "ms")
            )
    return entries


def script_size() -> list[dict[str, Any]]:
    size = len(gzip.compress(WORKER.read_bytes()))
    name = "script, compressed, of the free plan's limit"
    return [entry(name, size, FREE_PLAN_SCRIPT_BYTES, "B")]


def entry(
    name: str, figure: float, baseline: float, unit: str, ratio: float | None = None
) -> dict[str, Any]:
    ratio = figure / baseline if ratio is None else ratio
    return {"name": name, "ratio": ratio, "baseline": baseline, "figure": figure, "unit": unit}


def run() -> list[dict[str, Any]]:
    """Takes about 35 s."""
    return [*throughput_and_latency(), *waits(), *script_size()]


def main() -> None:
    for e in run():
        print(
            f"{e['ratio']:7.3f}  {e['name']}: {e['figure']:.4g} {e['unit']}"
            f" (beside {e['baseline']:.4g})"
        )


if __name__ == "__main__":
    main()
