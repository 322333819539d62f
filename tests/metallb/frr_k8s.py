"""Nodes where frr-k8s has FRR speak BGP for MetalLB, as in the pod of its chart, and a router with
BFD.

A node's /etc and /run are its own: FRR's files and sockets lie where the pod's containers share
them.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import yaml

from components.load_balancer.metallb_objects import NAMESPACE
from components.load_balancer.metallb_options import BgpMode
from sandbox.clusters import commands
from sandbox.processes import Child
from tests.metallb.world import FRR, MetalNode, Router, World

# `daemons` of the chart's ConfigMap frr-k8s-frr-startup: what runs, and with which options.
_DAEMONS = {
    "zebra": ("-K", "120", "-s", "90000000"),
    "bgpd": ("-p", "0"),
    "staticd": (),
    "bfdd": (),
}
_SHARED = Path("/etc/frr_reloader")
_FILES = f"""
mount -t tmpfs node /mnt; cp -a /etc /mnt/etc; mkdir /mnt/run
mount --bind /mnt/etc /etc; mount --bind /mnt/run /run
mkdir {_SHARED}; install -d -o frr -g frr /run/frr
"""


class BfdRouter(Router):
    """Asks the nodes for BFD, every 100 ms: each side waits for the slower one's packets."""

    daemons: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Router.daemons,
        "bfdd": ("--bfdctl", "{}/bfdd.sock"),
    }
    more: ClassVar[str] = """\
 neighbor nodes bfd
 neighbor nodes bfd profile quick
bfd
 profile quick
  transmit-interval 100
  receive-interval 100
  detect-multiplier 10
"""

    def sees(self) -> set[str]:
        """Nodes with which BFD is up."""
        return {peer["peer"] for peer in self.show("bfd peers") if peer["status"] == "up"}

    def hold_seconds(self) -> list[int]:
        """After which the sessions that stand are given up without BFD."""
        peers = self.show("bgp neighbors").values()
        standing = [peer for peer in peers if peer.get("bgpState") == "Established"]
        return [peer["bgpTimerHoldTimeMsecs"] // 1000 for peer in standing]


class FrrNode(MetalNode):
    """`speaker` starts MetalLB's and what the pod of frr-k8s has."""

    setup: ClassVar[str] = MetalNode.setup + _FILES
    world: "FrrWorld"

    def speaker(self) -> Child:
        for name, options in _DAEMONS.items():
            child = self._start(name, str(FRR / name), "-A", "127.0.0.1", *options)
            child.wait_until((self.root / f"run/frr/{name}.vty").exists, 30, what="its socket")
        frr_k8s, shared = self.world.frr_k8s, self.root / str(_SHARED)[1:]
        child = self._start("reloader", "bash", str(frr_k8s / "frr-reloader.sh"))
        child.wait_until((shared / "lock").exists, 30, what="its lock")
        # As a kubelet does: started again where it ends.
        loop = "trap 'kill $!; exit' TERM; while :; do \"$@\" & wait $!; sleep 1; done"
        again = ("bash", "-c", loop, "again")
        self._start(
            "frr-k8s", *again, str(frr_k8s / "frr-k8s"), f"--node-name={self.name}",
            f"--namespace={NAMESPACE}", "--log-level=info", "--metrics-bind-address=0",
        )  # fmt: skip
        return super().speaker()

    def _start(self, name: str, *command: str) -> Child:
        env = {
            **commands.GO_ENVIRONMENT,
            "KUBECONFIG": str(self.world.plane.kubeconfig),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        inside = self.command(*command)
        return self.world.processes.start(f"{self.name}-{name}", inside, env)


class FrrWorld(World):
    """As `World`, with frr-k8s; `frr_k8s` is where it was built."""

    mode: ClassVar[BgpMode] = "frr-k8s"
    router_made: ClassVar[type[Router]] = BfdRouter
    node_made: ClassVar[type[MetalNode]] = FrrNode
    router: BfdRouter

    def __init__(
        self, folder: Path, built: Path, frr_k8s: Path, stack: ExitStack, password: str
    ) -> None:
        self.frr_k8s = frr_k8s
        super().__init__(folder, built, stack, password)
        for file in sorted((frr_k8s / "crds").glob("*.yaml")):
            self.plane.apply(yaml.safe_load(file.read_text()))

    def logs(self) -> str:
        """The end of what each program said, for whoever asks why a test failed."""
        files = sorted((self.plane.kubeconfig.parent / "processes" / "logs").glob("n*.log"))
        ends = (file.read_text(errors="replace").splitlines()[-12:] for file in files)
        return "\n".join(
            "\n".join([f"--- {file.name}", *end]) for file, end in zip(files, ends, strict=True)
        )
