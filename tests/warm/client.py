"""Stands where a project's `python` would, and has a process that is warm do the work.

Run by a Python without site-packages (`starts.py` writes the script that calls `main`): hands
arguments, environment, folder and standard streams over, passes signals on, and ends as the work
ended. Who kills it kills the work. What isn't a script's or a module's run starts the real Python.
"""

import array
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence

SWITCH = "EDGEFLEET_WARM"
"""With "0" a process of its own, as ever."""
HOST = "start_language_host.py"
_POLL_SECONDS = 0.25


def main(sockets: Sequence[str], python: str) -> None:
    """Do what `python` would, given the arguments of this process."""
    arguments = sys.argv[1:]
    connection = None if os.environ.get(SWITCH) == "0" else _connected(sockets)
    if connection is None or not _known(arguments):
        os.execv(python, [python, *arguments])
    _hand_over(connection, arguments)
    _end(_follow(connection, bound=any(a.endswith(HOST) for a in arguments)))


def _known(arguments: Sequence[str]) -> bool:
    """`[-u] [-P] SCRIPT …` and `[-u] [-P] -m MODULE …`."""
    rest = [a for a in arguments[:3] if a not in ("-u", "-P")]
    return bool(rest) and (rest[0] == "-m" or not rest[0].startswith("-"))


def _connected(sockets: Sequence[str]) -> socket.socket | None:
    """One of them, by chance: each has another order of sets."""
    first = os.urandom(1)[0] % len(sockets)
    for path in (*sockets[first:], *sockets[:first]):
        connection = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            connection.connect(path)
            return connection
        connection.close()
    return None


def _hand_over(connection: socket.socket, arguments: Sequence[str]) -> None:
    work = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    data = json.dumps({**work, "executable": sys.argv[0]}).encode()
    streams = array.array("i", [0, 1, 2]).tobytes()
    head = struct.pack("!I", len(data))
    connection.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    connection.sendall(data)


def _follow(connection: socket.socket, bound: bool) -> int:
    """Pass signals on until the work has ended; its wait status.

    Args:
        bound: whether the work ends with the parent of this process (which it can't see).
    """

    def pass_on(number: int, _: object) -> None:
        # Work that has ended already hears nothing.
        with contextlib.suppress(OSError):
            connection.send(bytes([number]))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    parent, told = os.getppid(), b""
    while len(told) < 4:
        ready, _, _ = select.select([connection], [], [], _POLL_SECONDS)
        if ready:
            told += (part := connection.recv(4 - len(told)))
            if not part:
                return signal.SIGKILL
        elif bound and os.getppid() != parent:
            pass_on(signal.SIGTERM, None)
            bound = False
    return struct.unpack("!I", told)[0]


def _end(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))
