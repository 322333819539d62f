"""The sandbox's HTTPS proxy: emulated hosts stay here, all others are reached as without it.

Clients find it by HTTPS_PROXY and send CONNECT. A tunnel to an emulated host ends in a TLS
listener with a certificate of the sandbox's CA, behind which is the emulator's plain HTTP port;
a tunnel to a cluster's endpoint goes to its local API server untouched. Names are looked up at
each CONNECT, so ports may change between two starts.
"""

import asyncio
import base64
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # pyright: ignore

HOST = "127.0.0.1"
CLUSTER_DOMAINS = (".vultr-k8s.com", ".servers.internal")
Address = tuple[str, int]
Resolve = Callable[[str], Address | None]

_CHUNK = 64 * 1024
_CONNECT_SECONDS = 20.0


@dataclass(frozen=True)
class Upstream:
    """The proxy that was in use before this one: its URL (http only) and its NO_PROXY list."""

    url: str
    no_proxy: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"upstream proxy {parts.hostname!r}: a URL http://host:port is needed")

    def serves(self, host: str) -> bool:
        """Whether ``host`` is reached through it."""
        return not proxy_bypass_environment(host, {"no": self.no_proxy})


class ConnectFailed(Exception):
    """A tunnel can't be opened; the text goes into the answer."""


class ProxyServer:
    """A running proxy on 127.0.0.1, in a thread of its own."""

    def __init__(
        self,
        emulated: Mapping[str, Address],
        certificate: Path,
        resolve: Resolve,
        upstream: Upstream | None,
        port: int,
        zones: Sequence[str],
    ) -> None:
        self._zones = zones
        self._emulated = dict(emulated)
        self._resolve = resolve
        self._upstream = upstream
        self._tls_ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            self.port: int = self._run(self._start(certificate, port)).result()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The value for HTTPS_PROXY."""
        return f"http://{HOST}:{self.port}"

    def close(self) -> None:
        """Stop listening, close every tunnel, and wait for the thread to end."""
        self._run(self._stop()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _start(self, certificate: Path, port: int) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Without this, clients offer h2, which the emulators don't speak.
        context.set_alpn_protocols(["http/1.1"])
        for host, address in self._emulated.items():
            listener = await asyncio.start_server(_forwarder(address), HOST, 0, ssl=context)
            self._servers.append(listener)
            self._tls_ports[host] = listener.sockets[0].getsockname()[1]
        try:
            server = await asyncio.start_server(self._serve, HOST, port)
        except OSError:
            if port == 0:
                raise
            server = await asyncio.start_server(self._serve, HOST, 0)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            host, port = _target(await _head(reader))
            there = await self._open(host, port)
        except ConnectFailed as error:
            await _answer(writer, "502 Bad Gateway", f"edgefleet sandbox: {error}\n")
            return
        except ValueError as error:
            await _answer(writer, "405 Method Not Allowed", f"edgefleet sandbox: {error}\n")
            return
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _relay((reader, writer), there)

    async def _open(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if host in self._tls_ports and port == 443:
            return await _connect(HOST, self._tls_ports[host])
        if host.endswith(CLUSTER_DOMAINS):
            address = self._resolve(host)
            if address is None:
                raise ConnectFailed(f"{host}: no such cluster runs; see `fleet sandbox status`")
            return await _connect(*address)
        if any(host == zone or host.endswith(f".{zone}") for zone in self._zones):
            raise ConnectFailed(f"{host}: is of an emulated zone, and no container runs behind it")
        if self._upstream and self._upstream.serves(host):
            return await _connect_through(self._upstream, host, port)
        return await _connect(host, port)


def serve_proxy(
    emulated: Mapping[str, Address],
    certificate: Path,
    resolve: Resolve,
    upstream: Upstream | None = None,
    port: int = 0,
    zones: Sequence[str] = (),
) -> ProxyServer:
    """Start the proxy; on any free port where ``port`` is taken.

    ``emulated`` maps host names (at port 443) to the plain HTTP ports of their emulators, and
    ``certificate`` is a PEM file with key and chain for all of them
    (``CertificateAuthority.write_server_certificate``). ``resolve`` gives the local address of a
    ``<id>.vultr-k8s.com``, or None; it is called on the proxy's thread and must not wait.
    ``zones`` are emulated, too: who has such a host in the real world isn't asked.
    """
    return ProxyServer(emulated, certificate, resolve, upstream, port, zones)


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise ValueError("the request's headers are too long") from None


def _target(head: str) -> Address:
    method, _, rest = head.split("\r\n", 1)[0].partition(" ")
    host, _, port = rest.split(" ")[0].rpartition(":")
    if method != "CONNECT" or not host or not port.isdigit():
        raise ValueError("only CONNECT host:port is served; is HTTP_PROXY set, not HTTPS_PROXY?")
    return host.strip("[]").lower(), int(port)


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise ConnectFailed(f"{host}:{port}: {error or 'no answer'}") from error


async def _connect_through(
    upstream: Upstream, host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(upstream.url)
    reader, writer = await _connect(parts.hostname or "", parts.port or 80)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request += f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"
    writer.write(f"{request}\r\n".encode())
    try:
        status = (await _head(reader)).split("\r\n", 1)[0]
    except (OSError, ValueError, asyncio.IncompleteReadError):
        status = "no answer"
    if " 200" not in status:
        writer.close()
        raise ConnectFailed(f"{target} through the proxy {parts.hostname}: {status}")
    return reader, writer


def _forwarder(
    address: Address,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await _connect(*address)
        except ConnectFailed as error:
            await _answer(writer, "502 Bad Gateway", f"edgefleet sandbox: {error}\n")
            return
        await _relay((reader, writer), there)

    return forward


async def _relay(
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    try:
        await asyncio.gather(_copy(here[0], there[1]), _copy(there[0], here[1]))
    finally:
        here[1].close()
        there[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
    except OSError:
        writer.close()


async def _answer(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        writer.write(head.encode() + body)
        await writer.drain()
    except OSError:
        return
    finally:
        writer.close()
