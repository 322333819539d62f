"""What runs inside the namespaces: packets as anybody sends them, and ears behind the firewalls.

    python wire.py send INTERFACE          (a JSON request a line on standard input)
    python wire.py hear                    (the same)

Raw sockets get a packet after the firewalls have let it in and before anybody looks for a server on
its port. So every port can be asked, and no verdict rests on time: packets stay in order between
two namespaces, and once the last of a batch is heard (the sentinel, which everybody admits), what
isn't there was dropped.
"""

import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any

_NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipip": 4}
_MARK = b"edgefleet"
_PATIENCE_SECONDS = 30
_SO_RCVBUFFORCE = 33


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packet(said: dict[str, Any], token: int) -> bytes:
    """An IP packet with the token in it: the start of a connection for tcp."""
    protocol, to, port = said["protocol"], said["to"], said.get("port", 0)
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    source, target = (socket.inet_pton(family, address) for address in (said["source"], to))
    mine = said.get("source_port", 50000)
    tail = _MARK + struct.pack("!I", token)
    number = _NUMBERS[protocol]
    if protocol == "tcp":
        body = struct.pack("!HHIIBBHHH", mine, port, token, 0, 5 << 4, 2, 8192, 0, 0)
        at = 16
    elif protocol == "udp":
        body = struct.pack("!HHHH", mine, port, 8 + len(tail), 0) + tail
        at = 6
    elif protocol in ("icmp", "icmpv6"):
        body = struct.pack("!BBHHH", 8 if protocol == "icmp" else 128, 0, 0, 1, 1) + tail
        at = 2
    else:
        body, at = tail, None
    if at is not None:
        pseudo = source + target + struct.pack("!II", len(body), number)
        check = _sum(body if protocol == "icmp" else pseudo + body)
        body = body[:at] + struct.pack("!H", check or 0xFFFF) + body[at + 2 :]
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(body), number, 64) + source + target + body
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), token & 0xFFFF, 0, 64, number, 0)
    header += source + target
    return header[:10] + struct.pack("!H", _sum(header)) + header[12:] + body


def send(interface: str) -> None:
    # One CPU: the order of packets is the order of sending.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    own = out.getsockname()[4]
    for line in sys.stdin:
        request = json.loads(line)
        target = bytes.fromhex(request["mac"].replace(":", ""))
        for token, said in enumerate(request["packets"], request["first"]):
            kind = b"\x86\xdd" if ":" in said["to"] else b"\x08\x00"
            out.send(target + own + kind + _packet(said, token))
        print(len(request["packets"]), flush=True)  # noqa: T201


class _Ears:
    """Raw sockets, one a protocol and family."""

    def __init__(self) -> None:
        self.sockets: list[tuple[socket.socket, bool]] = []
        for name, number in _NUMBERS.items():
            for family in (socket.AF_INET, socket.AF_INET6):
                if (name == "icmpv6" and family == socket.AF_INET) or (
                    name in ("icmp", "ipip") and family == socket.AF_INET6
                ):
                    continue
                ear = socket.socket(family, socket.SOCK_RAW, number)
                ear.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
                ear.setblocking(False)
                self.sockets.append((ear, name == "tcp"))

    def heard(self) -> set[int]:
        found: set[int] = set()
        for ear, tcp in self.sockets:
            while True:
                try:
                    data = ear.recv(2048)
                except BlockingIOError:
                    break
                if tcp:
                    segment = data[(data[0] & 15) * 4 :] if ear.family == socket.AF_INET else data
                    if segment[13] == 2:
                        found.add(struct.unpack("!I", segment[4:8])[0])
                elif (at := data.find(_MARK)) >= 0:
                    found.add(struct.unpack_from("!I", data, at + len(_MARK))[0])
        return found


def hear() -> None:
    ears = _Ears()
    found: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "listen":
            ears.heard()
            found = set()
            answer: Any = True
        else:
            wanted, deadline = set(request["until"]), time.monotonic() + _PATIENCE_SECONDS
            while not wanted <= found and time.monotonic() < deadline:
                select.select([ear for ear, _ in ears.sockets], [], [], 0.05)
                found |= ears.heard()
            found |= ears.heard()
            low, high = request["tokens"]
            answer = sorted(token for token in found if low <= token < high)
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2])
    else:
        hear()
