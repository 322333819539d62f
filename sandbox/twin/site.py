"""The whole site: internet, nodes, Cloudflare and the visitors' own network."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from sandbox.felix import node as felix_node
from sandbox.processes import Processes
from sandbox.toolchain import felix
from sandbox.toolchain.install import default_cache
from sandbox.twin.cloudflare import WORKERD, Cloudflare, Place
from sandbox.twin.internet import Internet, families
from sandbox.twin.namespaces import Namespace, TwinError, missing
from sandbox.twin.node import Node
from sandbox.twin.published import Published, read
from sandbox.twin.runners import CALICO, RUNNERS

Say = Callable[[str], None]

# Visitors' addresses are those for documentation (RFC 5737, 3849), two /25 of one of them.
PLACES = (
    Place("Frankfurt", ("198.51.100.0/24", "2001:db8:f::/48"), {
        "country": "DE", "continent": "EU", "colo": "FRA", "city": "Frankfurt am Main",
        "latitude": "50.11", "longitude": "8.68"}),
    Place("Tokyo", ("192.0.2.0/25", "2001:db8:70::/48"), {
        "country": "JP", "continent": "AS", "colo": "NRT", "city": "Tokyo",
        "latitude": "35.68", "longitude": "139.69"}),
    Place("New York", ("192.0.2.128/25", "2001:db8:40::/48"), {
        "country": "US", "continent": "NA", "colo": "EWR", "city": "New York",
        "latitude": "40.71", "longitude": "-74.01"}),
)  # fmt: skip
OUTSIDERS = ("198.18.0.0/24", "2001:db8:bad::/48")
"""Networks of those who come to the nodes by themselves."""
_SETUP = """
sysctl -qw net.ipv6.ip_nonlocal_bind=1 net.ipv6.conf.all.accept_dad=0
sysctl -qw net.ipv4.ip_local_port_range='2048 65000'
"""
_HERE = Path(__file__).parent
_BOOTING_AT_ONCE = 4
_SLOW = {"delay_ms": 40, "loss_percent": 3.0}


class Site:
    """What the sandbox in `directory` has published, run in `folder`, which is emptied.

    `ranges` are Cloudflare's, `seed` decides about lost packets. Leave the context, and all of it
    is gone; so it is when this process is killed. Raises TwinError, ProcessFailed.
    """

    def __init__(
        self, directory: Path, folder: Path, ranges: Sequence[str], seed: int, say: Say
    ) -> None:
        if why := missing():
            raise TwinError(f"no twin on this machine: {why}")
        if not WORKERD.exists():
            raise TwinError(f"{WORKERD} is missing: run `make setup`")
        shutil.rmtree(folder, ignore_errors=True)
        # Keys are in it.
        folder.mkdir(parents=True, mode=0o700)
        self.folder = folder
        self._directory = directory
        self._say = say
        cache = default_cache()
        why = felix_node.lacking(cache)
        self.felix = None if why else felix.BUILD.built(cache)
        """Where the nodes' felix was built, or None: then they run without."""
        runs = f"Calico's felix {felix.VERSION} runs on the nodes"
        say(f"the nodes run without Calico: {why}" if why else runs)
        self.nodes: list[Node] = []
        self.published = self._read()
        self._processes = Processes(folder)
        try:
            self._build(ranges, seed)
        except BaseException:
            self.stop()
            raise

    def _build(self, ranges: Sequence[str], seed: int) -> None:
        processes, published = self._processes, self.published
        self.internet = Internet(processes, seed)
        self.internet.lay_wire(**_SLOW)
        self.cloudflare = Cloudflare(
            processes, self.internet, self.folder / "cloudflare", ranges, PLACES
        )
        self.visitors = Namespace(processes, "visitors", _SETUP)
        theirs = [network for place in PLACES for network in place.networks]
        self._live(self.visitors, theirs)
        self.outsiders = Namespace(processes, "outsiders", _SETUP)
        self._live(self.outsiders, OUTSIDERS)
        self._say(f"booting {len(published.machines)} nodes")
        hosts = sorted(published.zone.routes)
        self.nodes = [
            Node(
                machine, published.clusters[machine.cluster], processes, self.internet,
                self.folder / "nodes", hosts, self.felix,
            )
            for machine in published.machines
        ]  # fmt: skip
        with ThreadPoolExecutor(_BOOTING_AT_ONCE) as pool:
            list(pool.map(self.boot, self.nodes))
        self.cloudflare.start(published)

    def _live(self, people: Namespace, networks: Sequence[str]) -> None:
        """Every address of these networks is theirs."""
        self.internet.connect(people, networks, [])
        for flag, found in families(networks).items():
            lines = "".join(f"route add local {each} dev lo\n" for each in found)
            people.run("ip", flag, "-batch", "-", stdin=lines)

    def boot(self, node: Node) -> None:
        """Bring a node up, with what is published for its cluster."""
        node.boot(self.published.pods[node.machine.cluster])

    def of(self, cluster: str) -> list[Node]:
        """The nodes of a cluster."""
        return [node for node in self.nodes if node.machine.cluster == cluster]

    @property
    def parts(self) -> str:
        """What of it is real on the nodes, for a person."""
        if not self.felix:
            return "ufw, nginx, workerd; no felix"
        return f"ufw, felix {felix.VERSION}, nginx, workerd"

    @property
    def clusters(self) -> list[str]:
        """The clusters' labels."""
        return sorted({node.machine.cluster for node in self.nodes})

    def follow(self, *clusters: str) -> None:
        """Run what is published now, at Cloudflare and in these clusters, as their controllers
        would: a DaemonSet's pods go from node to node. Nodes that came or went since are none of
        the twin's."""
        self.published = self._read()
        self.cloudflare.follow(self.published)
        for cluster in clusters:
            self._follow(cluster)

    def _follow(self, cluster: str) -> None:
        for pod in self.published.pods[cluster]:
            for node in self.of(cluster):
                if node.is_on:
                    node.roll(pod)

    def _read(self) -> Published:
        images = [image for image in RUNNERS if self.felix or image != CALICO]
        return read(self._directory, tuple(images))

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.close()
        self._processes.stop_all()

    def __enter__(self) -> "Site":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def curl(self, source: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`curl` as a visitor with the address `source`, who finds the site's hosts by DNS."""
        command = [*self.curl_command(source), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def curl_command(self, source: str) -> list[str]:
        """What `curl` runs, but for the URL."""
        found = [
            f"{host}:443:{address}"
            for host, addresses in self.published.visited.items()
            for address in [next(a for a in addresses if (":" in a) == (":" in source))]
        ]
        names = [word for each in found for word in ("--resolve", each)]
        trusted = ["--cacert", str(self.cloudflare.trusted)]
        command = ["curl", "-sS", "--max-time", "60", "--interface", source, *trusted, *names]
        return self.visitors.command(*command, files=False)

    def sweep(self, here: Namespace, source: str, target: str, last: int = 65535) -> dict[int, str]:
        """TCP ports of a node up to `last` asked from `source`, who is `here`: which answered, and
        how."""
        program = [sys.executable, "-I", "-S", str(_HERE / "outsiders.py"), "sweep"]
        command = here.command(*program, source, target, "1", str(last), files=False)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {int(port): what for port, what in json.loads(done.stdout).items()}
