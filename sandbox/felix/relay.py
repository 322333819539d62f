"""``relay.py PID PORT WORD``: 127.0.0.1:PORT in the network of the process PID leads to ours.

WORD is printed once it listens.

Standard library only: it is started outside of any virtual environment.
"""

import asyncio
import ctypes
import os
import socket
import sys

_CLONE_NEWNET = 0x40000000


def listener(pid: int, port: int) -> socket.socket:
    """A socket that listens in another network; this process stays in its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    for namespace, then in ((other, True), (own, False)):
        if libc.setns(namespace, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        if then:
            made = socket.create_server(("127.0.0.1", port))
    return made  # pyright: ignore[reportPossiblyUnboundVariable]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(pid: int, port: int, word: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass(reader, back), _pass(there, writer))

    server = await asyncio.start_server(serve, sock=listener(pid, port))
    print(word, flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
