"""The internet between nodes, Cloudflare and everybody else: one router that sends packets on.

Routes are exact, so that a packet from a made-up address goes where that address lives. Faults of
the network happen here: a machine is cut off, or its packets go by a slow wire (`wire.py`).
"""

import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from sandbox.processes import Processes
from sandbox.twin.namespaces import Namespace

GATEWAY, GATEWAY6 = "169.254.0.1", "fe80::1"
_MACHINE6 = "fe80::2"
_WIRE_TABLE = "100"
PREFIX = 20
"""Of the clusters' private networks, as VKE makes them."""
_FIRST_INDEX = 1000
"""felix takes the index of a veth's other end for one of its node's own interfaces."""
_HERE = Path(__file__).parent
_SETUP = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
"""


def families(addresses: Iterable[str]) -> dict[str, list[str]]:
    """Addresses or networks by the flag that `ip` wants for them."""
    found: dict[str, list[str]] = {"-4": [], "-6": []}
    for address in addresses:
        found["-6" if ":" in address else "-4"].append(address)
    return found


class Internet(Namespace):
    """A router. `seed` decides which packets a slow wire loses."""

    def __init__(self, processes: Processes, seed: int) -> None:
        super().__init__(processes, "internet", _SETUP)
        self._seed = seed
        self._ports = 0
        self._networks: dict[str, str] = {}
        self._lock = threading.Lock()
        self._faults: dict[str, list[tuple[str, str]]] = {}

    def connect(self, machine: Namespace, addresses: Sequence[str], own: Sequence[str]) -> str:
        """Give `machine` an interface eth0, up, with the addresses `own` (single ones), and route
        `addresses` (networks too) to it. The interface's name at this end."""
        port = self._port()
        self._cable(port, machine, "eth0")
        self._batch(
            self,
            [f"link set {port} up", f"addr add {GATEWAY}/32 dev {port}"],
            [f"addr add {GATEWAY6}/64 dev {port} nodad"],
        )
        by = families(own)
        self._batch(
            machine,
            [
                "link set eth0 up",
                *(f"addr add {each}/32 dev eth0" for each in by["-4"]),
                f"route add {GATEWAY} dev eth0 scope link",
                f"route add default via {GATEWAY} dev eth0",
            ],
            [
                f"addr add {_MACHINE6}/64 dev eth0 nodad",
                *(f"addr add {each}/128 dev eth0 nodad" for each in by["-6"]),
                f"route add default via {GATEWAY6} dev eth0",
            ],
        )
        to = families(addresses)
        self._batch(
            self,
            [f"route replace {each} dev {port}" for each in to["-4"]],
            # By the machine's own address: a whole network has no neighbour that would answer.
            [f"route replace {each} via {_MACHINE6} dev {port}" for each in to["-6"]],
        )
        # Of a machine that is dead nobody hears: its packets vanish, and no router says so.
        self._batch(
            self,
            [f"route replace blackhole {each} metric 9000" for each in to["-4"]],
            [f"route replace blackhole {each} metric 9000" for each in to["-6"]],
        )
        return port

    def join(self, machine: Namespace, network: str, address: str) -> str:
        """Give `machine` an interface eth1 with this address in the private network that is called
        so, where nobody else is. The interface's name at this end."""
        with self._lock:
            if network not in self._networks:
                bridge = self._networks[network] = f"vpc{len(self._networks)}"
                self.run("ip", "link", "add", bridge, "type", "bridge")
                self.run("ip", "link", "set", bridge, "up")
        port = self._port()
        self._cable(port, machine, "eth1")
        self.run("ip", "link", "set", port, "master", self._networks[network], "up")
        lines = [f"addr add {address}/{PREFIX} dev eth1", "link set eth1 up"]
        self._batch(machine, lines, [])
        return port

    def unplug(self, ports: Iterable[str]) -> None:
        """Take away what `connect` and `join` made."""
        for port in ports:
            self.run("ip", "link", "del", port)

    def _port(self) -> str:
        with self._lock:
            self._ports += 1
            return f"p{self._ports}"

    def _cable(self, port: str, machine: Namespace, name: str) -> None:
        # From outside of both PID namespaces, where the other's number means something.
        index = _FIRST_INDEX + int(port[1:])
        ends = f"ip link add {port} index {index} type veth peer name {name} netns {machine.pid}"
        entered = ["nsenter", "-t", str(self.pid), "-n", "--", *ends.split()]
        subprocess.run(entered, check=True, capture_output=True)

    def cut(self, name: str, addresses: Sequence[str]) -> None:
        """Drop all that comes from these addresses or goes to them, until `mend(name)`."""
        ways = ("to", "from")
        rules = [f"{way} {each} priority 10 blackhole" for each in addresses for way in ways]
        self._fault(name, rules)

    def slow(self, name: str, addresses: Sequence[str]) -> None:
        """Send what comes from these addresses or goes to them by the slow wire."""
        ways = ("to", "from")
        to_wire = f"priority 30 lookup {_WIRE_TABLE}"
        rules = [f"{way} {each} {to_wire}" for each in addresses for way in ways]
        self._fault(name, rules)

    def mend(self, name: str) -> None:
        """End a fault."""
        for flag, rule in self._faults.pop(name, []):
            self.run("ip", flag, "rule", "del", *rule.split())

    def _fault(self, name: str, rules: Iterable[str]) -> None:
        made = self._faults.setdefault(name, [])
        for rule in rules:
            flag = "-6" if ":" in rule.split()[1] else "-4"
            self.run("ip", flag, "rule", "add", *rule.split())
            made.append((flag, rule))

    def lay_wire(self, delay_ms: int, loss_percent: float) -> None:
        """Make the slow wire, of this delay each way and this loss."""
        options = [str(delay_ms), str(loss_percent), str(self._seed)]
        wire = self.start("wire", [sys.executable, "-I", str(_HERE / "wire.py"), *options])
        wire.wait_until(lambda: "ready" in wire.log.read_text(), 20, what="its interface")
        for flag in ("-4", "-6"):
            self.run("ip", flag, "route", "replace", "default", "dev", "wire", "table", _WIRE_TABLE)
            # What comes out of it goes on.
            self.run("ip", flag, "rule", "add", "iif", "wire", "priority", "20", "lookup", "main")

    @staticmethod
    def _batch(machine: Namespace, v4: Sequence[str], v6: Sequence[str]) -> None:
        for flag, lines in (("-4", v4), ("-6", v6)):
            if lines:
                machine.run("ip", flag, "-batch", "-", stdin="\n".join(lines) + "\n")
