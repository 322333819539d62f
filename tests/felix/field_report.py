"""The field report: requests from a node's own processes to services hang. What decides about it.

Its questions are asked of two nodes with VXLAN between them; the service's pod is on the other one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.dataplane.calico_options import felix_environment
from tests.felix.world import FelixHost, Pod, World

SERVICE, UDP_SERVICE, STALE = "10.96.0.80", "10.96.0.53", "10.96.0.99"
NODE_PORT = 30080
BASELINE = felix_environment()
ALONE = {f"{name} alone": {name: value} for name, value in BASELINE.items()}
LEFT_OUT = {
    f"all but {name}": {n: v for n, v in BASELINE.items() if n != name} for name in BASELINE
}
VARIANTS = {"none": dict[str, str](), "all five": dict(BASELINE), **ALONE, **LEFT_OUT}
OLD_KERNEL = "Linux version 4.4.0 (gcc) #1 SMP"
TIMED_OUT = 28
"""curl's exit code for it."""
_SECONDS = 5
# What a kube-proxy in iptables mode leaves behind where it is stopped: here for a service whose pod
# has gone.
_LEFTOVERS = f"""
iptables -t nat -N KUBE-SERVICES
iptables -t nat -N KUBE-SVC-GONE
iptables -t nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
iptables -t nat -A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
iptables -t nat -A KUBE-SERVICES -d {SERVICE}/32 -p tcp --dport 80 -j KUBE-SVC-GONE
iptables -t nat -A KUBE-SVC-GONE -p tcp -j DNAT --to-destination 10.244.2.99:80
"""
_ASK_UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
for _ in range(3):
    s.sendto(b"?", (sys.argv[1], 53))
    try: print(s.recv(99).decode(), end=""); break
    except TimeoutError: pass
"""
_ANSWER_UDP = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 53)); print("ready", flush=True)
while True:
    _, who = s.recvfrom(99); s.sendto(who[0].encode(), who)
"""


@dataclass(frozen=True)
class Seen:
    """Who reaches the service; the source address that its pod saw, empty where nobody answered."""

    node: str
    node_udp: str
    pod: str
    pod_udp: str
    node_port: str

    def row(self) -> list[bool]:
        return [bool(x) for x in (self.node, self.node_udp, self.pod, self.pod_udp, self.node_port)]


def furnish(world: World) -> tuple[Pod, Pod]:
    """The service's pod on n2, and a client on n1."""
    one, two = world.nodes
    web, client = world.pod("web", two, 10), world.pod("client", one, 10)
    child = web.start("python3", "-c", _ANSWER_UDP)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    world.plane.service("web", SERVICE, 80, {web.addresses[0]: "n2"}, NODE_PORT)
    world.plane.service("dns", UDP_SERVICE, 53, {web.addresses[0]: "n2"}, protocol="UDP")
    return web, client


def seen(world: World, client: Pod) -> Seen:
    """Ask everything once, from n1; a question has five seconds."""
    one = world.nodes[0]
    url, curl = f"http://{SERVICE}/", ["curl", "-s", "-m", str(_SECONDS)]
    ask = ["python3", "-c", _ASK_UDP, UDP_SERVICE]
    outside = [*curl, f"http://{one.public}:{NODE_PORT}/"]
    return Seen(
        node=_source(one.curl(url, _SECONDS)[1]),
        node_udp=one.felix.run(*ask),
        pod=_source(client.run(*curl, url, check=False)),
        pod_udp=client.run(*ask, check=False),
        node_port=_source(world.outside.run(*outside, check=False)),
    )


def leave_rules(host: FelixHost) -> None:
    """A stopped kube-proxy's rules on a node."""
    host.inside.run("sh", "-ec", _LEFTOVERS)


def rules_left(host: FelixHost) -> bool:
    return "KUBE-" in host.inside.run("iptables-save", "-t", "nat")


def take_rules(host: FelixHost) -> None:
    host.inside.run("iptables", "-t", "nat", "-F")
    for chain in ("KUBE-SERVICES", "KUBE-SVC-GONE"):
        host.inside.run("iptables", "-t", "nat", "-X", chain, check=False)


def start_fallen_back(world: World, environment: Mapping[str, str], folder: Path) -> None:
    """felix on nodes whose kernel says that it is too old for eBPF."""
    version = folder / "version"
    version.write_text(OLD_KERNEL + "\n")
    for host in world.nodes:
        host.felix.run("mount", "--bind", str(version), "/proc/version")
    world.start(environment)


def give_kernel_back(world: World) -> None:
    for host in world.nodes:
        host.felix.stop()
        host.felix.run("umount", "--lazy", "/proc/version")


def _source(answer: str) -> str:
    return answer.rpartition(" ")[2]
