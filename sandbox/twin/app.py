"""A small application: ``app.py PORT ORDERS``. Standard library only, one process a node.

GET answers at once. POST carries an order out: its id, the path's last part, is one more line of
the file ORDERS before anything is answered, as in a database that keeps what it was told.
"""

import asyncio
import os
import sys

_WORK_SECONDS = 0.01  # between carrying out and answering: where a connection can break


async def main(port: int, orders: str) -> None:
    file = os.open(orders, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, _, rest = head.partition(b"\r\n")
                method, path, _ = first.split(b" ", 2)
                length = 0
                for line in rest.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line[15:])
                if length:
                    await reader.readexactly(length)
                status = b"200 OK"
                if method == b"POST":
                    os.write(file, path.rpartition(b"/")[2] + b"\n")
                    await asyncio.sleep(_WORK_SECONDS)
                    status = b"201 Created"
                body = b"hello\n"
                writer.write(
                    b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s"
                    % (status, len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print("ready", flush=True)  # noqa: T201
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
