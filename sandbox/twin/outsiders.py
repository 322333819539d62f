"""Who comes to the nodes by himself, with packets of his own making. Standard library only.

    outsiders.py sweep SOURCE TARGET FIRST LAST     SYN to each port; a JSON object port: answer
    outsiders.py knock SEED OUT SOURCES TARGETS     until killed; counts in OUT, a JSON object

Answers are what comes back, whatever it is: SYN-ACK is "open", RST "closed". Silence is none.
"""

import json
import os
import random
import select
import socket
import struct
import sys
import time
from pathlib import Path

_BATCH = 400  # as many as a node's queue takes
_LISTEN_SECONDS = 1.5
_LIKELY = (22, 53, 80, 443, 2222, 5473, 6443, 8080, 8081, 9099, 9113, 10250, 10256, 30080)
_KNOCKS_A_SECOND = 200


class Raw:
    """TCP packets to and from one address family."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self.family = family
        self.socket = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    def bound(self, source: str) -> socket.socket:
        """For sending from `source`."""
        made = socket.socket(self.family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        made.bind((source, 0))
        # It would get a copy of every packet.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        return made

    def answers(self):
        """What has come: (from, from port, to port, flags)."""
        while True:
            try:
                data, who = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            at = (data[0] & 15) * 4 if self.family == socket.AF_INET else 0
            port, own = struct.unpack_from("!HH", data, at)
            yield who[0], port, own, data[at + 13]


def syn(source: str, target: str, own: int, port: int) -> bytes:
    """A TCP header that asks for a connection."""
    header = struct.pack("!HHIIBBHHH", own, port, 1, 0, 5 << 4, 2, 64240, 0, 0)
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    total = sum(struct.unpack(f"!{len(ends + header) // 2}H", ends + header)) + 6 + len(header)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _name(flags: int) -> str:
    return "open" if flags & 0x12 == 0x12 else "closed" if flags & 4 else f"flags {flags}"


def sweep(source: str, target: str, first: int, last: int) -> None:
    raw = Raw(_family(source))
    sender = raw.bound(source)
    found: dict[int, str] = {}

    def listen() -> None:
        for who, port, own, flags in raw.answers():
            if who == target and own == 1024:
                found.setdefault(port, _name(flags))

    for port in range(first, last + 1):
        sender.sendto(syn(source, target, 1024, port), (target, 0))
        if port % _BATCH == 0:
            time.sleep(0.002)
            listen()
    until = time.monotonic() + _LISTEN_SECONDS
    while time.monotonic() < until:
        select.select([raw.socket], [], [], 0.1)
        listen()
    print(json.dumps(found))  # noqa: T201


def knock(seed: int, out: Path, sources: list[str], targets: list[str]) -> None:
    chance = random.Random(seed)  # noqa: S311
    raws = {f: Raw(f) for f in (socket.AF_INET, socket.AF_INET6)}
    senders = {source: raws[_family(source)].bound(source) for source in sources}
    knocks = dict.fromkeys(targets, 0)
    answers: list[list[object]] = []
    began, count, written = time.monotonic(), 0, 0.0
    print("ready", flush=True)  # noqa: T201
    while True:
        now = time.monotonic()
        while count < (now - began) * _KNOCKS_A_SECOND:
            count += 1
            target = chance.choice(targets)
            source = chance.choice([each for each in sources if _family(each) == _family(target)])
            port = chance.choice(_LIKELY) if chance.random() < 0.7 else chance.randrange(1, 65536)
            senders[source].sendto(syn(source, target, 1025, port), (target, 0))
            knocks[target] += 1
        for raw in raws.values():
            for who, port, own, flags in raw.answers():
                if who in knocks and own == 1025:
                    answers.append([time.time(), who, port, _name(flags)])
        if now - written > 0.5:
            written = now
            partial = out.with_suffix(".new")
            partial.write_text(json.dumps({"knocks": knocks, "answers": answers[:1000]}))
            os.replace(partial, out)
        time.sleep(0.01)


if __name__ == "__main__":
    if sys.argv[1] == "sweep":
        sweep(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        knock(int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4].split(","), sys.argv[5].split(","))
