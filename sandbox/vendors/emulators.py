"""Serving a WSGI app on a local port, in a thread."""

import logging
import socket
import threading
from dataclasses import dataclass
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

HOST = "127.0.0.1"
_STOP_SECONDS = 0.1


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@dataclass
class Served:
    """A running server: where it listens, and how to stop it."""

    server: BaseWSGIServer
    thread: threading.Thread

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def close(self) -> None:
        """Stop listening and wait for the thread to end."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def serve(app: Any, port: int = 0) -> Served:
    """Serve ``app`` on 127.0.0.1 in a thread; on any free port where ``port`` is taken."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = _make(app, port)
    thread = threading.Thread(
        target=server.serve_forever, args=(_STOP_SECONDS,), name="emulator", daemon=True
    )
    thread.start()
    return Served(server, thread)


def _make(app: Any, port: int) -> BaseWSGIServer:
    listener = _listen(port)
    server = make_server(
        HOST,
        listener.getsockname()[1],
        app,
        threaded=True,
        request_handler=_QuietHandler,
        fd=listener.fileno(),
    )
    listener.close()
    return server


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OSError:
        if port == 0:
            raise
        return socket.create_server((HOST, 0), backlog=128)
