"""Origins that fail on demand: each stands for the ingress of a region."""

import asyncio
import gzip
import hashlib
import re
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

GZIPPED = gzip.compress(b"text that was compressed by the region\n", mtime=0)


@dataclass
class Seen:
    """A request as an origin got it; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    size: int = 0
    digest: str = ""
    cancelled: bool = False


@dataclass
class Fault:
    """What an origin does instead of answering, for one URL or all, for so many requests or all."""

    # "hang", "reset" before the headers, "reset-body" after them, "slow"; "status": Cloudflare's
    # own page for 52x and 530, the ingress's for others; "relay": the application's answer
    kind: str
    status: int = 0
    seconds: float = 0.0
    path: str | None = None
    times: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


class OriginLoop:
    """An event loop in a thread, in which all origins run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Origin:
    """A region: one HTTP server whose port stays its own while it refuses connections."""

    def __init__(self, name: str, loop: OriginLoop) -> None:
        self.name = name
        self.seen: list[Seen] = []
        self.fault: Fault | None = None
        self._loop = loop
        # Bound, never listening: connections are refused unless the server listens beside it.
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._placeholder.bind(("127.0.0.1", 0))
        self.port: int = self._placeholder.getsockname()[1]
        self._runner: web.AppRunner | None = None
        self.rise()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def count(self, method: str, path: str | None = None) -> int:
        return sum(s.method == method and path in (None, s.path) for s in list(self.seen))

    def reset(self) -> None:
        self.fault = None
        self.rise()
        self.seen.clear()

    def fail(self, kind: str, **details: Any) -> None:
        self.fault = Fault(kind, **details)

    def rise(self) -> None:
        """Accept connections (again)."""
        if self._runner is None:
            self._loop.run(self._start())

    def die(self) -> None:
        """Refuse connections, and reset those that are open."""
        if self._runner is not None:
            self._loop.run(self._stop())

    def close(self) -> None:
        self.die()
        self._placeholder.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_port=True).start()

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        assert runner is not None
        for site in list(runner.sites):
            await site.stop()
        for protocol in runner.server.connections if runner.server else []:
            if protocol.transport is not None:
                protocol.transport.abort()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.path_qs, headers)
        self.seen.append(seen)
        fault = self.fault
        if fault and fault.path in (None, request.path) and fault.times != 0:
            fault.times = None if fault.times is None else fault.times - 1
            if fault.kind in ("status", "relay"):
                await request.read()
                made = fault.kind == "status" and 520 <= fault.status <= 530
                # cloudflare-docs, "Cloudflare error diagnostic headers"
                marks = {"cf-error-type": "52x", "cf-error-origin": "edge"} if made else {}
                text = f"{fault.status} of {self.name}"
                headers = {**marks, **fault.headers}
                return web.Response(status=fault.status, text=text, headers=headers)
            try:
                await asyncio.sleep(3600 if fault.kind == "hang" else fault.seconds)
            except asyncio.CancelledError:
                seen.cancelled = True
                raise
            if fault.kind.startswith("reset"):
                return await self._reset(request, after_headers=fault.kind == "reset-body")
        digest = hashlib.sha256()
        async for chunk in request.content.iter_any():
            seen.size += len(chunk)
            digest.update(chunk)
        seen.digest = digest.hexdigest()
        return await self._answer(request)

    async def _reset(self, request: web.Request, *, after_headers: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        if after_headers:
            await response.prepare(request)
            await response.write(b"half of it")
            await asyncio.sleep(0.2)
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        answers = {
            "/download": self._download,
            "/events": self._events,
            "/socket": self._socket,
            "/trickle": self._trickle,
        }
        if request.path in answers:
            return await answers[request.path](request)
        match request.path:
            case "/redirect":
                return web.Response(status=302, headers={"location": "https://elsewhere.example/"})
            case "/gzip":
                return web.Response(body=GZIPPED, headers={"content-encoding": "gzip"})
            case "/cached":
                headers = {"cache-control": "public, max-age=60", "etag": '"v1"'}
                fresh = request.headers.get("if-none-match") == '"v1"'
                return web.Response(status=304 if fresh else 200, headers=headers)
            case "/range":
                headers = {"content-range": "bytes 2-3/10"}
                return web.Response(status=206, text="23", headers=headers)
            case "/named":
                # A list of names, as nginx answers where what is behind it names one as well.
                names = [*request.query.getall("by", []), self.name]
                return web.Response(headers=[("x-edge-region", name) for name in names])
            case "/empty":
                return web.Response(status=204)
            case "/cookies":
                response = web.Response(text="ok")
                response.headers.add("set-cookie", "a=1")
                response.headers.add("set-cookie", "b=2")
                return response
        if re.fullmatch(r"/status/\d+", request.path):
            return web.Response(status=int(request.path[8:]), text="as asked")
        return web.Response(text=f"{self.name} {request.path}\n")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        size = int(request.query["bytes"])
        response = web.StreamResponse(headers={"content-length": str(size)})
        await response.prepare(request)
        chunk = bytes(100_000)
        while size > 0:
            await response.write(chunk[:size])
            size -= len(chunk)
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(3):
            await response.write(f"data: {number}\n\n".encode())
            # The next comes only once the reader has asked for it beside the stream.
            while self.count("POST", f"/got/{number}") == 0:
                await asyncio.sleep(0.01)
        return response

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while self.count("POST", "/enough") == 0:
            await response.write(b"drop")
            await asyncio.sleep(0.05)
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=("echo",))
        await ws.prepare(request)
        async for message in ws:
            if message.type == WSMsgType.TEXT:
                await ws.send_str(f"{self.name} {message.data}")
            elif message.type == WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        return ws
