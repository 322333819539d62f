"""Two nodes with felix, the world around them, and pods: all of it network namespaces.

A node has a public interface (eth0) and one in the VPC (eth1), where VXLAN goes. `Outside` is the
rest of the world: it sends packets from any address.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from sandbox.felix import pods
from sandbox.felix.node import FelixNode
from sandbox.processes import Processes
from tests.felix.control_plane import ControlPlane
from tests.packets.netns import Namespace, Node

WIRE = Path(__file__).with_name("wire.py")
PODS, PODS6 = "10.244.0.0/16", "fd00:10:244::/48"
VPC = "10.20.0.0/20"
GATEWAY, GATEWAY6, VPC_GATEWAY = "203.0.113.1", "2001:db8:1::1", "10.20.15.254"
_ROOT = "02:00:00:00:00:01"


@dataclass(frozen=True)
class Sent:
    """A packet that comes in by a node's wire."""

    source: str
    to: str
    protocol: str
    port: int = 0
    source_port: int = 50000


class Talker:
    """wire.py in a namespace: a request, an answer."""

    def __init__(self, namespace: Namespace, *arguments: str) -> None:
        self._child = namespace.start(sys.executable, str(WIRE), *arguments)

    def ask(self, **request: Any) -> Any:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        assert answer, "wire.py has ended"
        return json.loads(answer)


class Pod(Namespace):
    """A pod on a node, with a server of HTTP on port 80 and ears."""

    def __init__(self, namespace: str, name: str, addresses: list[str]) -> None:
        super().__init__("sysctl -qw net.ipv6.conf.all.accept_dad=0")
        self.namespace, self.name, self.addresses = namespace, name, addresses
        self.ears = Talker(self, "hear")


class FelixHost:
    """A node: its network with the distribution's ufw (`inside`), and felix (`felix`)."""

    def __init__(self, number: int, stack: ExitStack, world: "World") -> None:
        self.name = f"n{number}"
        self.public, self.public6 = f"203.0.113.1{number}", f"2001:db8:1::1{number}"
        self.private = f"10.20.0.1{number}"
        self.pods, self.tunnel = f"10.244.{number}.0/24", f"10.244.{number}.0"
        self.inside = Node()
        stack.enter_context(self.inside)
        self.mac = world.outside.link(self)
        self.felix = FelixNode(
            world.felix, world.processes, self.name, self.inside.pid, world.plane.kubeconfig
        )
        stack.callback(self.felix.close)
        self.felix.relay(world.plane.port)
        self.ears = Talker(self.inside, "hear")
        world.plane.node(
            self.name, f"{self.private}/20", self.pods, self.tunnel, f"{self.public6}/64"
        )

    def curl(self, url: str, seconds: float = 3) -> tuple[int, str]:
        """Exit code and output of a process of the node's own network; 28 when time ran out."""
        command = self.felix.command("curl", "-sS", "-m", str(seconds), "--noproxy", "*", url)
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout


class Outside(Namespace):
    """Two bridges, the internet and the VPC, and whoever is there."""

    def __init__(self) -> None:
        bridges = [
            f"link add public address {_ROOT} type bridge",
            "link add vpc type bridge",
            f"addr add {GATEWAY}/24 dev public",
            f"addr add {GATEWAY6}/64 dev public nodad",
            f"addr add {VPC_GATEWAY}/20 dev vpc",
            "link set public up",
            "link set vpc up",
        ]
        super().__init__("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv4.ip_forward=0")
        self.ip(*bridges)
        self._senders: dict[str, Talker] = {}

    def ip(self, *lines: str) -> None:
        self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def link(self, host: FelixHost) -> dict[str, str]:
        """Wires to a node; the addresses of its interfaces' cards, by bridge.

        What isn't next to the node goes by a gateway that is known beforehand: replies to made up
        addresses fill no table of neighbours, which all namespaces of a machine share.
        """
        node = host.inside
        for bridge, card, index in (("public", "eth0", 1000), ("vpc", "eth1", 2000)):
            port = f"{bridge}-{host.name}"
            # felix takes the index of a veth's other end for one of its own interfaces.
            index += int(host.name[1:])
            self.ip(
                f"link add {port} index {index} type veth peer name {card} netns {node.pid}",
                f"link set {port} master {bridge} up",
            )
        vpc = json.loads(self.run("ip", "-j", "link", "show", "vpc"))[0]["address"]
        lines = [
            "link set eth0 up",
            "link set eth1 up",
            f"addr add {host.public}/32 dev eth0",
            f"addr add {host.public6}/128 dev eth0 nodad",
            f"addr add {host.private}/32 dev eth1",
        ]
        for gateway, card, mac, networks in (
            (GATEWAY, "eth0", _ROOT, ("0.0.0.0/0",)),
            (GATEWAY6, "eth0", _ROOT, ("::/0",)),
            (VPC_GATEWAY, "eth1", vpc, (VPC,)),
        ):
            lines += [f"route add {gateway} dev {card}"]
            lines += [f"route add {net} via {gateway} dev {card}" for net in networks]
            lines += [f"neigh replace {gateway} lladdr {mac} dev {card}"]
        # The nodes know each other.
        lines += [
            f"route add 10.20.0.{n} dev eth1" for n in (11, 12) if n != int(host.private[-2:])
        ]
        node.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")
        cards = json.loads(node.run("ip", "-j", "link"))
        found = {card["ifname"]: card["address"] for card in cards}
        return {"public": found["eth0"], "vpc": found["eth1"]}

    def send(self, bridge: str, mac: str, packets: Sequence[Sent], first: int) -> None:
        if bridge not in self._senders:
            self._senders[bridge] = Talker(self, "send", bridge)
        said = [asdict(packet) for packet in packets]
        self._senders[bridge].ask(mac=mac, packets=said, first=first)


class World:
    """The control plane, and what stands in it. Leave the stack, and it is gone."""

    def __init__(self, folder: Path, felix: Path, stack: ExitStack) -> None:
        self.felix = felix
        self._stack = stack
        self.processes = Processes(folder)
        stack.callback(self.processes.stop_all)
        self.plane = ControlPlane(folder, self.processes, felix / "crds")
        stack.callback(self.plane.api.close)
        self.plane.defaults(PODS, PODS6)
        self.outside = Outside()
        stack.enter_context(self.outside)
        self.nodes = [FelixHost(number, stack, self) for number in (1, 2)]
        self._token = 1

    def pod(
        self, name: str, host: FelixHost, number: int, namespace: str = "default", **labels: str
    ) -> Pod:
        """A pod that answers on port 80 with its name."""
        index = host.name[1:]
        addresses = [f"10.244.{index}.{number}", f"fd00:10:244:{index}::{number}"]
        pod = Pod(namespace, name, addresses)
        self._stack.enter_context(pod)
        self.plane.namespace(namespace)
        self.plane.pod(namespace, name, host.name, addresses, labels)
        pods.wire(host.inside.pid, pod.pid, pods.interface(namespace, name), addresses)
        serve(pod, name)
        return pod

    def start(self, environment: Mapping[str, str]) -> None:
        """felix on every node, with these variables; until it is ready."""
        for host in self.nodes:
            host.felix.start(environment)
        for host in self.nodes:
            host.felix.wait()

    def end(self) -> None:
        """felix's end on every node, and that of what it left in the kernel."""
        for host in self.nodes:
            host.felix.stop()
            host.inside.run("sh", "-c", "nft flush ruleset; ipset destroy || true")

    def heard(
        self, host: FelixHost, ears: Talker, packets: Sequence[Sent], last: Mapping[str, Sent]
    ) -> dict[Sent, bool]:
        """Which packets got through to `ears`. `last` are packets that surely do, by bridge."""
        first, batches = self._token, dict[str, list[Sent]]()
        for packet in packets:
            batches.setdefault(bridge_of(packet), []).append(packet)
        ears.ask(do="listen")
        order: list[Sent] = []
        sentinels: list[int] = []
        for bridge, batch in batches.items():
            sent = [*batch, last[bridge]]
            self.outside.send(bridge, host.mac[bridge], sent, first + len(order))
            order += sent
            sentinels.append(first + len(order) - 1)
        self._token = first + len(order)
        got = set(ears.ask(do="tell", tokens=[first, self._token], until=sentinels))
        assert set(sentinels) <= got, "not even the last packet, which everybody admits, got in"
        return {
            packet: token in got
            for token, packet in enumerate(order, first)
            if token not in sentinels
        }


def bridge_of(packet: Sent) -> str:
    """By which of a node's interfaces it comes."""
    return "vpc" if ip_address(packet.source) in ip_network(VPC) else "public"


def serve(namespace: Namespace, answer: str, port: int = 80) -> None:
    """HTTP on every address there, which answers with one word."""
    script = (
        "import http.server, socket, sys\n"
        "class S(http.server.ThreadingHTTPServer):\n"
        "    address_family = socket.AF_INET6\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "        said = sys.argv[2] + ' ' + self.client_address[0].removeprefix('::ffff:')\n"
        "        self.wfile.write(said.encode())\n"
        "    def log_message(self, *_): pass\n"
        "server = S(('::', int(sys.argv[1])), H)\n"
        "print('ready', flush=True); server.serve_forever()\n"
    )
    child = namespace.start(sys.executable, "-c", script, str(port), answer)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def every(conditions: Iterable[bool]) -> bool:
    return all(conditions)
