"""What runs inside the namespaces: a server that is everywhere, a client that is anyone.

    python endpoints.py serve TCP_PORTS UDP_PORTS     (comma-separated)
    python endpoints.py probe                         (a JSON request a line on standard input)
    python endpoints.py knock PORT SOURCE=TO …        (until a line comes; then says who got in)

No verdict rests on time. Packets stay in order between two namespaces, so once a connection that is
surely admitted (the sentinel) stands, every packet sent before it has met the firewall: what isn't
there by then was dropped. Datagrams are counted by the server, drained when the sentinel asks.
"""

import json
import os
import select
import selectors
import socket
import sys
import time
from collections import deque
from typing import Any

SENTINEL = 7  # the echo service's port: what a person opened on the node before edgefleet came
STREAM = 32 * 1024 * 1024  # bytes of the long download
_RAW = {"ipip": socket.IPPROTO_IPIP, "icmp": socket.IPPROTO_ICMP}
_ICMP_ECHO = b"\x08\x00"


def serve(tcp_ports: list[int], udp_ports: list[int]) -> None:
    selector = selectors.DefaultSelector()
    datagrams: dict[str, socket.socket] = {}
    for port in tcp_ports:
        listener = socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512
        )
        selector.register(listener, selectors.EVENT_READ, "listener")
    for port in udp_ports:
        receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        receiver.bind(("::", port))
        datagrams[f"udp {port}"] = receiver
    for name, number in _RAW.items():
        datagrams[name] = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
    for receiver in datagrams.values():
        receiver.setblocking(False)
    selector.register(sys.stdin, selectors.EVENT_READ, "parent")
    print("ready", flush=True)  # noqa: T201
    while True:
        for key, _ in selector.select():
            if key.data == "parent":
                return
            if key.data == "listener":
                connection, _ = key.fileobj.accept()  # pyright: ignore
                selector.register(connection, selectors.EVENT_READ, "connection")
                continue
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            try:
                request = connection.recv(100)
            except ConnectionError:
                request = b""
            if request == b"drain":
                connection.sendall(json.dumps(_drain(datagrams)).encode() + b"\n")
            elif request == b"stream" and os.fork() == 0:
                connection.setblocking(True)
                connection.sendall(bytes(STREAM))
                os._exit(0)
            if request in (b"", b"drain", b"stream"):
                selector.unregister(connection)
                connection.close()
            else:
                connection.sendall(request)


def _drain(datagrams: dict[str, socket.socket]) -> list[str]:
    received = []
    for receiver in datagrams.values():
        while True:
            try:
                received.append(receiver.recv(2048)[-16:].decode(errors="replace"))
            except BlockingIOError:
                break
    return received


def probe() -> None:
    # One CPU: the order of packets is the order of sending.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    held: dict[str, socket.socket] = {}
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "probe":
                answer: Any = _probe(request["probes"], request["targets"])
            case "open":
                connection = _socket(request["source"], socket.SOCK_STREAM)
                connection.settimeout(20)
                connection.connect((request["to"], request["port"]))
                if request["say"]:
                    connection.sendall(request["say"].encode())
                held[request["name"]] = connection
                answer = True
            case "read":
                connection, wanted = held[request["name"]], request["bytes"]
                if request["say"]:
                    connection.sendall(request["say"].encode())
                got = 0
                while got < wanted and (chunk := connection.recv(min(1 << 16, wanted - got))):
                    got += len(chunk)
                answer = got
            case other:
                raise ValueError(other)
        print(json.dumps(answer), flush=True)  # noqa: T201


def knock(port: int, pairs: list[tuple[str, str]]) -> None:
    """Knock without pause from everywhere; how often, and how often somebody opened."""
    knocks, opened = [dict.fromkeys((source for source, _ in pairs), 0) for _ in range(2)]
    waiting: deque[tuple[float, str, socket.socket]] = deque()
    print("ready", flush=True)  # noqa: T201
    while not select.select([sys.stdin], [], [], 0.002)[0] or min(knocks.values()) < 30:
        now = time.monotonic()
        for source, to in pairs:
            connection = _socket(source, socket.SOCK_STREAM)
            connection.setblocking(False)
            connection.connect_ex((to, port))
            waiting.append((now, source, connection))
        # Before the kernel would send a second packet: each knock is one.
        while waiting and now - waiting[0][0] > 0.1:
            _, source, connection = waiting.popleft()
            knocks[source] += 1
            writable = select.select([], [connection], [], 0)[1]
            opened[source] += bool(
                writable and not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            )
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
    print(json.dumps([knocks, opened]), flush=True)  # noqa: T201


def _socket(source: str, kind: int, protocol: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    made = socket.socket(family, kind, protocol)
    made.bind((source, 0))
    return made


def _probe(probes: list[dict[str, Any]], targets: dict[str, str]) -> list[bool]:
    """Which of the probes got through. `targets`: by family, whom and from where to ask after."""
    pending: list[socket.socket | str] = []
    for number, wanted in enumerate(probes):
        protocol, source, to = wanted["protocol"], wanted["source"], wanted["to"]
        if protocol == "tcp":
            connection = _socket(source, socket.SOCK_STREAM)
            connection.setblocking(False)
            connection.connect_ex((to, wanted["port"]))
            pending.append(connection)
            continue
        token = f"{os.getpid() % 10**6:06d}{number:010d}"
        if protocol == "udp":
            sender = _socket(source, socket.SOCK_DGRAM)
        else:
            sender = _socket(source, socket.SOCK_RAW, _RAW[protocol])
        header = _ICMP_ECHO + _checksum(token) + b"\0\0\0\0" if protocol == "icmp" else b""
        sender.sendto(header + token.encode(), (to, wanted.get("port", 0)))
        sender.close()
        pending.append(token)
    received: list[str] = []
    sentinels = []
    for source, to in targets.items():
        sentinel = _socket(source, socket.SOCK_STREAM)
        sentinel.settimeout(20)
        sentinel.connect((to, SENTINEL))
        sentinel.sendall(b"drain")
        received += json.loads(sentinel.makefile().readline())
        sentinels.append(sentinel)
    verdicts = []
    for waiting in pending:
        if isinstance(waiting, str):
            verdicts.append(waiting in received)
            continue
        _, writable, _ = select.select([], [waiting], [], 0)
        verdicts.append(
            bool(writable) and waiting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        )
    for used in [*sentinels, *(waiting for waiting in pending if not isinstance(waiting, str))]:
        used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        used.close()
    return verdicts


def _checksum(token: str) -> bytes:
    body = _ICMP_ECHO + b"\0\0" + b"\0\0\0\0" + token.encode()
    total = sum(int.from_bytes(body[at : at + 2]) for at in range(0, len(body), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*([int(port) for port in ports.split(",")] for ports in sys.argv[2:4]))
    elif sys.argv[1] == "knock":
        knock(int(sys.argv[2]), [tuple(pair.split("=")) for pair in sys.argv[3:]])  # pyright: ignore
    else:
        probe()
