"""A wire that is slow and loses packets: ``wire.py DELAY_MS LOSS_PERCENT SEED``

What is routed into the interface ``wire`` comes out of it again, later or not at all. In user space
(TUN), because not every kernel has netem. Standard library only.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

_TUNSETIFF = 0x400454CA
_TUN_NO_PACKET_INFORMATION = 0x0001 | 0x1000
_NAME = b"wire"


def main(delay: float, loss: float, seed: int) -> None:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", _NAME, _TUN_NO_PACKET_INFORMATION))
    subprocess.run(["ip", "link", "set", _NAME.decode(), "up", "txqueuelen", "5000"], check=True)
    print("ready", flush=True)  # noqa: T201
    chance = random.Random(seed)  # noqa: S311
    late: list[tuple[float, int, bytes]] = []
    count = 0
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        if select.select([device], [], [], wait)[0]:
            now = time.monotonic()
            for packet in _packets(device):
                count += 1
                if chance.random() >= loss:
                    heapq.heappush(late, (now + delay, count, packet))
        now = time.monotonic()
        while late and late[0][0] <= now:
            try:
                os.write(device, heapq.heappop(late)[2])
            except OSError:
                continue  # a full queue loses packets, as wires do


def _packets(device: int):
    for _ in range(256):
        try:
            yield os.read(device, 65536)
        except BlockingIOError:
            return


if __name__ == "__main__":
    main(float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100, int(sys.argv[3]))
