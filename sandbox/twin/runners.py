"""Who runs a pod of a DaemonSet's on a twin's node, by its image.

The container of the node's firewall is busybox, with the very command, arguments, files and
readiness probe of its pod. NGINX's controller is emulated, and its nginx real. Of calico-node
felix is real, with its container's environment; what calico-node notes on its Node is emulated.
"""

import shutil
import signal
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import psutil
from kubernetes.client import CoreV1Api

from sandbox.felix.node import FelixNode
from sandbox.felix.pods import node_annotations
from sandbox.twin import controller
from sandbox.twin.internet import PREFIX
from sandbox.twin.namespaces import TwinError, wait
from sandbox.twin.published import Pod

if TYPE_CHECKING:
    from sandbox.twin.node import Node

# A container's file system: busybox' programs, which need the machine's libraries, and mounts.
_FILES = """
set -e; root=/mnt/pods/$1; shift
rm -rf "$root/bin"; mkdir -p "$root/bin" "$root/usr" "$root/proc" "$root/dev"
busybox --install -s "$root/bin"
if [ ! -e "$root/proc/1" ]; then
  for each in usr proc dev; do mount --rbind "/$each" "$root/$each"; done
  for each in lib lib64; do [ ! -e "/$each" ] || ln -sfn "usr/$each" "$root/$each"; done
fi
for each; do mkdir -p "$root$each"; done
"""


class Container:
    """A container of the node's firewall: host's network and PIDs, its own file system."""

    def __init__(self, node: "Node", pod: Pod) -> None:
        self.node, self.pod = node, pod
        self._root = node.here.root / "mnt" / "pods" / pod.name

    def start(self) -> None:
        here, pod = self.node.here, self.pod
        here.run("sh", "-c", _FILES, "container", pod.name, *pod.folders)
        for path, text in pod.files.items():
            (self._root / path.lstrip("/")).write_text(text)
        for path in pod.folders:
            if not any(file.startswith(f"{path}/") for file in pod.files):
                for left in (self._root / path.lstrip("/")).iterdir():
                    left.unlink()
        command = [*self._inside(), *pod.command, *pod.arguments]
        here.start(pod.name, command, {"PATH": "/bin:/usr/sbin:/usr/bin"}, files=True)
        wait(self._ready, f"{self.node.name}: {pod.name} isn't ready")

    def replace(self) -> None:
        # The loop ends once a run that is under way has.
        self.node.here.end(self.pod.name, grace=60)
        self.start()

    def changed(self) -> None:
        self.replace()

    def _ready(self) -> bool:
        try:
            self.node.here.run(*self._inside(), *self.pod.ready)
        except TwinError:
            return False
        return True

    def _inside(self) -> list[str]:
        return ["chroot", f"/mnt/pods/{self.pod.name}"]


class Controller:
    """NGINX's controller and its nginx."""

    def __init__(self, node: "Node", pod: Pod) -> None:
        self.node, self.pod = node, pod
        self._program = [shutil.which("nginx") or "nginx", "-p", str(node.folder)]
        self._program += [
            "-e",
            str(node.folder / "error.log"),
            "-c",
            str(node.folder / "nginx.conf"),
        ]

    def start(self) -> None:
        self._write()
        pid = self.node.folder / "nginx.pid"
        pid.unlink(missing_ok=True)
        self.node.here.start("nginx", self._program)
        wait(pid.exists, f"{self.node.name}: nginx didn't start, see {self.node.folder}/error.log")

    def replace(self) -> None:
        # The pod's farewell (preStop), then the controller has nginx finish (`nginx -s quit`).
        time.sleep(self.pod.drain_seconds)
        masters = self.node.here.processes_of("nginx")
        self.node.here.send_first("nginx", signal.SIGQUIT)
        psutil.wait_procs(masters, 60)
        self.node.here.end("nginx")
        self.start()

    def changed(self) -> None:
        self._write()
        self.node.here.send_first("nginx", signal.SIGHUP)

    def _write(self) -> None:
        for name, text in controller.files(self.pod, self.node.folder).items():
            (self.node.folder / name).write_text(text)
        text = controller.configuration(self.pod, self.node.folder, self.node.hosts)
        (self.node.folder / "nginx.conf").write_text(text)


class Calico:
    """calico-node: felix, and what its other programs tell of the node."""

    def __init__(self, node: "Node", pod: Pod) -> None:
        self.node, self.pod = node, pod

    def start(self) -> None:
        node = self.node
        assert node.felix, "pods of calico-node are read where felix is built"
        kubeconfig = node.folder / "kubeconfig"
        kubeconfig.write_text(node.cluster.kubeconfig)
        self._tell_of_the_node()
        made = FelixNode(node.felix, node.processes, node.name, node.here.pid, kubeconfig)
        node.dataplane = made
        # By the sandbox's proxy, which knows the API server by its published name.
        made.relay(node.cluster.proxy_port)
        self._run(made)

    def replace(self) -> None:
        assert self.node.dataplane
        self._run(self.node.dataplane)

    def changed(self) -> None:
        """Whatever else felix has to know it hears from its API server."""

    def _run(self, felix: FelixNode) -> None:
        variables = {k: v for k, v in self.pod.environment.items() if k.startswith("FELIX_")}
        proxy = f"http://127.0.0.1:{self.node.cluster.proxy_port}"
        felix.start({**variables, "HTTPS_PROXY": proxy})
        felix.wait()

    def _tell_of_the_node(self) -> None:
        """As calico-node does at its start: the addresses that it finds, and its tunnel's."""
        machine = self.node.machine
        policed = self.pod.environment.get("IP6") == "autodetect"
        sixes = [f"{each}/64" for each in machine.addresses if ":" in each and policed]
        notes = node_annotations(f"{machine.private}/{PREFIX}", machine.tunnel, *sixes)
        api = CoreV1Api(self.node.cluster.client())
        api.patch_node(machine.name, {"metadata": {"annotations": notes}})


Runner = type[Container] | type[Controller] | type[Calico]
CALICO = "docker.io/calico/node"
RUNNERS: dict[str, Runner] = {"busybox": Container, CALICO: Calico, controller.IMAGE: Controller}
"""Who runs a pod, by its image's repository; in the order in which a node starts them."""


def runner(pod: Pod) -> Runner:
    """Who runs it."""
    repository = pod.image.split("@")[0].rpartition(":")[0]
    return RUNNERS[repository.removeprefix("docker.io/library/")]


def in_order(pods: Iterable[Pod]) -> list[Pod]:
    """As a node starts them: its firewall, its dataplane, what listens."""
    order = list(RUNNERS.values())
    return sorted(pods, key=lambda pod: order.index(runner(pod)))
