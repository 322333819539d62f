"""Forks a process for each Python that is asked for, with the third-party modules loaded already.

`python -P server.py SOCKET…`, one process a socket; ends, with all that it forked, when its input
does. See `starts.py` for why, and for what is as it would be in a process of its own.
"""

import array
import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

LOADED = (
    "difflib", "dill", "ediri_vultr", "grpc", "kubernetes.client", "kubernetes.config", "pulumi",
    "pulumi.dynamic", "pulumi_kubernetes", "pulumi_tls", "pydantic.alias_generators", "requests",
    "yaml",
)  # fmt: skip
"""What the programs and the dynamic providers load. What lacks here is loaded in the fork."""


@dataclass
class Work:
    """What a client wants run; `streams` are its standard ones."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    executable: str
    streams: list[int]


class Forked(Exception):
    """Raised in a fork, out of the server's loop, with what it is to do."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work


def serve(path: str) -> None:
    """Fork for whoever connects, until the input ends. Raises Forked in the forks."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    clients: dict[int, socket.socket] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        for each in (sys.stdin.fileno(), listener, woken):
            selector.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    work = _received(connection)
                    if work is None:
                        connection.close()
                        continue
                    pid = _fork(work, [*clients.values(), connection, listener], (woken, wake))
                    clients[pid] = connection
                    selector.register(connection, selectors.EVENT_READ, pid)
                elif key.fileobj == woken:
                    os.read(woken, 1024)
                elif key.data is None:
                    _kill_all(clients)
                    return
                elif not _passed_on(clients[key.data], key.data):
                    selector.unregister(key.fileobj)
            _tell_who_ended(clients, selector)


def _fork(work: Work, sockets: list[socket.socket], pipe: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        for stream in work.streams:
            os.close(stream)
        return pid
    os.setsid()
    signal.set_wakeup_fd(-1)
    for each in sockets:
        each.close()
    for fd in pipe:
        os.close(fd)
    raise Forked(work)


def _received(connection: socket.socket) -> Work | None:
    head, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i")
    for _level, _kind, data in ancillary:
        streams.frombytes(data)
    if len(head) < 4:
        return None
    (left,) = struct.unpack("!I", head)
    parts: list[bytes] = []
    while left and (part := connection.recv(left)):
        parts.append(part)
        left -= len(part)
    if left:
        return None
    return Work(**json.loads(b"".join(parts)), streams=list(streams))


def _passed_on(connection: socket.socket, pid: int) -> bool:
    """A signal to the work; without a client it is killed, with what it started."""
    try:
        numbers = connection.recv(16)
    except OSError:
        numbers = b""
    for number in numbers:
        os.kill(pid, number)
    if not numbers:
        _kill(pid)
    return bool(numbers)


def _kill(pid: int) -> None:
    # Between fork and setsid there is no group of that number yet.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _kill_all(clients: Mapping[int, socket.socket]) -> None:
    for pid in clients:
        _kill(pid)
        os.waitpid(pid, 0)


def _tell_who_ended(clients: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    for pid in list(clients):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            connection = clients.pop(pid)
            if connection in [key.fileobj for key in selector.get_map().values()]:
                selector.unregister(connection)
            with contextlib.suppress(OSError):
                connection.sendall(struct.pack("!I", status))
            connection.close()


def become(work: Work, path: list[str]) -> None:
    """Take the client's place: streams, environment, folder, signals, and how Python begins."""
    for target, stream in enumerate(work.streams):
        os.dup2(stream, target)
    for stream in set(work.streams) - {0, 1, 2}:
        os.close(stream)
    sys.stdin = os.fdopen(0, closefd=False)
    # As with -u, which all that comes here has.
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(fd, "wb", 0, closefd=False), write_through=True) for fd in (1, 2)
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    os.environ.clear()
    os.environ.update(work.environment)
    os.chdir(work.folder)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.executable = work.executable
    added = [p for p in work.environment.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:] = [*added, *path]


def run(work: Work) -> None:
    """The script or module; returns or raises as it does."""
    rest = [a for a in work.arguments if a != "-u"]
    safe = rest[0] == "-P" or bool(work.environment.get("PYTHONSAFEPATH"))
    rest = rest[1:] if rest[0] == "-P" else rest
    if rest[0] == "-m":
        if not safe:
            sys.path.insert(0, work.folder)
        sys.argv = rest[1:]
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
        return
    if not safe:
        sys.path.insert(0, os.path.dirname(os.path.realpath(rest[0])))
    sys.argv = rest
    module: Any = ModuleType("__main__")
    module.__file__, module.__builtins__ = rest[0], __builtins__
    sys.modules["__main__"] = module
    with open(rest[0], "rb") as file:
        code = compile(file.read(), rest[0], "exec")
    exec(code, module.__dict__)


def finished(work: Work) -> int:
    """Run the work as an interpreter would, up to its end; the exit code."""
    code = 0
    try:
        run(work)
    except SystemExit as error:
        if error.code is not None and not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\n")
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 (as an interpreter does)
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main() -> None:
    for name in LOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a fork would lack the other threads"
    path = [p for p in sys.path if p]
    gc.collect()
    gc.freeze()
    try:
        serve(sys.argv[1])
    except Forked as forked:
        work = forked.work
    else:
        return
    become(work, path)
    os._exit(finished(work))


if __name__ == "__main__":
    main()
