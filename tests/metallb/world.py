"""Nodes with MetalLB's real speaker, the real controller, and a router with FRR: namespaces.

The router has a bridge, `lan`, on which all nodes are. The API server is real; what kubelets and
its controllers would say of nodes and endpoints is said here.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import yaml

from components.ingress.contract import LoadBalancerService
from components.ingress.service import service_spec
from components.load_balancer.metallb_objects import NAMESPACE, annotations, objects
from components.load_balancer.metallb_options import BgpMode, Peer, Pool, refuse
from sandbox.clusters import commands
from sandbox.felix.node import RELAY
from sandbox.processes import Child, Processes, free_port
from tests.bare_api_server import MANAGER, BareApiServer
from tests.packets.netns import Namespace

ROUTER, ROUTER6 = "10.77.0.1", "fd77::1"
ROUTER_ASN, OUR_ASN = 64512, 64513
FRR = Path("/usr/lib/frr")
# A tentative link-local address keeps an interface from the speaker for ten seconds, and one that
# it finds later never joins the groups of addresses announced before (docs/load-balancers.md).
_NO_DAD = "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0"
_PATIENCE = 180.0
"""Seconds after which what should happen is taken for not happening. Nothing is timed."""


def until(what: str, met: Callable[[], object]) -> float:
    """Poll; the seconds it took. Fails with `what` when time runs out."""
    start = time.monotonic()
    while not met():
        assert time.monotonic() - start < _PATIENCE, f"{what}: not within {_PATIENCE:g} s"
        time.sleep(0.05)
    return time.monotonic() - start


class ControlPlane(BareApiServer):
    """For both families, with MetalLB's own definitions."""

    def __init__(self, folder: Path, processes: Processes, crds: Path, mode: BgpMode) -> None:
        self._mode: BgpMode = mode
        services = f"{commands.SERVICE_RANGE},fd00:96::/112"
        definitions = [yaml.safe_load(file.read_text()) for file in sorted(crds.glob("*.yaml"))]
        for definition in definitions:
            # The conversion of old objects is its controller's, and here are none.
            definition["spec"].pop("conversion", None)
        ranges = f"--service-cluster-ip-range={services}"
        super().__init__(folder, processes, "metallb", definitions, ranges)
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    def configure(self, pools: Sequence[Pool], peers: Sequence[Peer]) -> None:
        """What `MetalLb` makes after its chart."""
        refuse(pools, peers, self._mode)
        for peer in peers:
            if (password := peer.get("password")) is not None:
                self.apply(
                    {
                        "apiVersion": "v1",
                        "kind": "Secret",
                        "metadata": {"namespace": NAMESPACE, "name": f"bgp-{peer['name']}"},
                        "type": "kubernetes.io/basic-auth",
                        "stringData": {"password": password},
                    }
                )
        for _, manifest in objects(pools, peers):
            self.apply(manifest)

    def node(self, name: str, address: str, labels: Mapping[str, str]) -> None:
        """A Node that is ready."""
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}
        self.apply({"apiVersion": "v1", "kind": "Node", "metadata": meta})
        status = {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self.api.merge(f"api/v1/nodes/{name}/status", {"status": status}, MANAGER)

    def pod(self, name: str, node: str) -> str:
        """The Pod that one of MetalLB's programs looks for: it owns what the program makes."""
        container = {"name": "metallb", "image": "quay.io/metallb/controller:v0.16.2"}
        spec = {"nodeName": node, "containers": [container]}
        meta = {"namespace": NAMESPACE, "name": name}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        return name

    def service(self, name: str, addresses: Sequence[str]) -> None:
        """A Service as an ingress has it."""
        wanted: LoadBalancerService = {
            "addresses": addresses,
            "annotations": annotations(addresses),
            "sources": ["0.0.0.0/0", "::/0"],
        }
        meta = {"namespace": "default", "name": name, "annotations": wanted["annotations"]}
        spec = service_spec(wanted, {"app": name})
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})

    def pods_on(self, service: str, nodes: Sequence[str]) -> None:
        """The Service's pods that are ready are on these nodes, for both families."""
        for family, prefix in (("IPv4", "10.244.0."), ("IPv6", "fd00:244::")):
            endpoints = [
                {
                    "addresses": [f"{prefix}{number + 1}"],
                    "nodeName": node,
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                }
                for number, node in enumerate(nodes)
            ]
            name = f"{service}-{family.lower()}"
            labels = {"kubernetes.io/service-name": service}
            self.apply(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {"namespace": "default", "name": name, "labels": labels},
                    "addressType": family,
                    "endpoints": endpoints,
                    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
                }
            )

    def given(self, service: str) -> list[str]:
        """The addresses that the Service was given."""
        live = self.api.get(f"api/v1/namespaces/default/services/{service}")
        found = live.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        return [entry["ip"] for entry in found]


class Router(Namespace):
    """FRR with a bridge on which the nodes are; BGP with whoever dials from there.

    `more` are lines about these neighbours, and then others; `daemons` speak beside zebra.
    """

    daemons: ClassVar[Mapping[str, tuple[str, ...]]] = {"bgpd": ()}
    more: ClassVar[str] = ""

    def __init__(self, processes: Processes, password: str) -> None:
        super().__init__(_NO_DAD)
        for line in (
            "link add lan type bridge",
            f"addr add {ROUTER}/24 dev lan",
            f"addr add {ROUTER6}/64 dev lan nodad",
            "link set lan up",
        ):
            self.run("ip", *line.split())
        # FRR gives its privileges up, and pytest's folders are its owner's alone.
        self._sockets = Path(tempfile.mkdtemp(prefix="edgefleet-frr-"))
        shutil.chown(self._sockets, "frr", "frr")
        self._sockets.chmod(0o755)
        config = self._sockets / "frr.conf"
        config.write_text(
            f"""\
hostname router
router bgp {ROUTER_ASN}
 bgp router-id {ROUTER}
 no bgp ebgp-requires-policy
 neighbor nodes peer-group
 neighbor nodes remote-as {OUR_ASN}
 neighbor nodes password {password}
 bgp listen range 10.77.0.0/24 peer-group nodes
{self.more}"""
        )
        zebra = self._sockets / "zserv.api"
        for name, options in {"zebra": (), **self.daemons}.items():
            command = [
                str(FRR / name), "-f", str(config), "-i", str(self._sockets / f"{name}.pid"),
                "-z", str(zebra), "--vty_socket", str(self._sockets), "-A", "127.0.0.1",
                "-u", "frr", "-g", "frr", *(option.format(self._sockets) for option in options),
            ]  # fmt: skip
            child = processes.start(f"router-{name}", self.inside(*command))
            socket = self._sockets / f"{name}.vty"
            child.wait_until(socket.exists, 30, what="its socket")

    def inside(self, *command: str) -> list[str]:
        """A command in this network, with the machine's own files."""
        return ["nsenter", "-t", str(self.pid), "-n", "--", *command]

    def show(self, what: str) -> Any:
        """An answer of FRR's."""
        done = subprocess.run(
            ["vtysh", "--vty_socket", str(self._sockets), "-c", f"show {what} json"],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def next_hops(self, address: str) -> set[str]:
        """Where the kernel of the router sends packets for an address."""
        said = json.loads(self.run("ip", "-j", "route", "show", address))
        hops = [hop for route in said for hop in route.get("nexthops", [route])]
        return {hop["gateway"] for hop in hops if "gateway" in hop}

    def owner(self, address: str, seconds: float = 1.5) -> str:
        """The hardware address that answers for an address, "" where nobody does for so long."""
        self.run("ip", "neigh", "flush", "dev", "lan")
        # A packet to anywhere has the kernel ask its neighbours, for three seconds.
        self.run("bash", "-c", f"echo >/dev/udp/{address}/9", check=False)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for entry in json.loads(self.run("ip", "-j", "neigh", "show", "dev", "lan")):
                if entry["dst"] == address and "lladdr" in entry:
                    return entry["lladdr"]
            time.sleep(0.05)
        return ""


class MetalNode(Namespace):
    """A node on the router's bridge; `speaker` starts MetalLB's there."""

    setup: ClassVar[str] = _NO_DAD

    def __init__(self, number: int, world: "World", labels: Mapping[str, str]) -> None:
        super().__init__(self.setup)
        self.name, self.world = f"n{number}", world
        self.address, self.address6 = f"10.77.0.1{number}", f"fd77::1{number}"
        router, inner = world.router, str(self.pid)
        router.run("ip", "link", "add", self.name, "type", "veth", "peer", "eth0", "netns", inner)
        router.run("ip", "link", "set", self.name, "master", "lan", "up")
        for line in (
            f"addr add {self.address}/24 dev eth0",
            f"addr add {self.address6}/64 dev eth0 nodad",
            "link set eth0 up",
        ):
            self.run("ip", *line.split())
        (link,) = json.loads(self.run("ip", "-j", "link", "show", "eth0"))
        self.mac = link["address"]
        relay = ["python3", "-I", str(RELAY), inner, str(world.plane.port), "listening"]
        child = world.processes.start(f"{self.name}-relay", relay)
        child.wait_until(lambda: "listening" in child.log.read_text(), 20, what="a relay")
        world.plane.node(self.name, self.address, labels)

    def speaker(self) -> Child:
        """MetalLB's speaker, as its chart starts it."""
        command = [str(self.world.built / "speaker"), "--port=0", "--log-level=info"]
        env = {
            **commands.GO_ENVIRONMENT,
            "KUBECONFIG": str(self.world.plane.kubeconfig),
            "METALLB_NODE_NAME": self.name,
            "METALLB_NAMESPACE": NAMESPACE,
            "METALLB_POD_NAME": self.world.plane.pod(f"speaker-{self.name}", self.name),
            "METALLB_BGP_TYPE": self.world.mode,
        }
        inside = ["nsenter", "-t", str(self.pid), "-n", "--", *command]
        return self.world.processes.start(f"{self.name}-speaker", inside, env)

    def cut_off(self) -> None:
        """From now on nothing gets from it or to it. Neither end sees its link go."""
        self.world.router.run("ip", "link", "set", self.name, "nomaster")


class World:
    """The control plane, the router, two nodes and MetalLB's controller."""

    mode: ClassVar[BgpMode] = "native"
    router_made: ClassVar[type[Router]] = Router
    node_made: ClassVar[type[MetalNode]] = MetalNode

    def __init__(self, folder: Path, built: Path, stack: ExitStack, password: str) -> None:
        self.built = built
        self.processes = Processes(folder / "processes")
        stack.callback(self.processes.stop_all)
        self.plane = ControlPlane(folder, self.processes, built / "crds", self.mode)
        self.router = self.router_made(self.processes, password)
        stack.enter_context(self.router)
        self.nodes: list[MetalNode] = []
        for number, labels in ((1, dict[str, str]()), (2, {"edge": "yes"})):
            node = self.node_made(number, self, labels)
            stack.enter_context(node)
            self.nodes.append(node)
        env = {
            **commands.GO_ENVIRONMENT,
            "KUBECONFIG": str(self.plane.kubeconfig),
            "METALLB_NAMESPACE": NAMESPACE,
            "METALLB_POD_NAME": self.plane.pod("controller", self.nodes[0].name),
            "METALLB_BGP_TYPE": self.mode,
        }
        self.processes.start(
            "controller",
            [
                str(built / "controller"), "--port=0", "--webhook-mode=disabled",
                f"--health-probe-port={free_port()}",
            ],
            env,
        )  # fmt: skip
