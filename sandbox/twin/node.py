"""A node: ufw as the distribution ships it, and what the cluster's DaemonSets run on it.

Of the pods those whose image is in `RUNNERS` run: the container of the node's firewall is busybox,
with the very command, arguments, files and readiness probe of its pod; NGINX's controller is
emulated, and its nginx real. A dataplane's image belongs into `RUNNERS`, too, as soon as it can be
had: what starts a felix in a namespace gets `node`, and `pod` with its container's environment.
"""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from sandbox.processes import Processes
from sandbox.twin import controller
from sandbox.twin.internet import Internet
from sandbox.twin.namespaces import Namespace, TwinError
from sandbox.twin.published import Machine, Pod

_READY_SECONDS = 120
_POLL_SECONDS = 0.05
_HERE = Path(__file__).parent
# ufw's own copy of its own files, on tmpfs; as new, and off.
_FILES = """
mount -t tmpfs node /mnt
cp -a /etc/ufw /mnt/ufw; cp -a /etc/default /mnt/default
cp /usr/share/ufw/iptables/*.rules /mnt/ufw/
printf 'ENABLED=no\\nLOGLEVEL=low\\n' >/mnt/ufw/ufw.conf
cp /usr/share/ufw/ufw.conf /mnt/ufw/ 2>/dev/null || true
sed -i 's/^IPV6=.*/IPV6=yes/; s/^DEFAULT_INPUT_POLICY=.*/DEFAULT_INPUT_POLICY="DROP"/' \\
    /mnt/default/ufw
mount --bind /mnt/ufw /etc/ufw; mount --bind /mnt/default /etc/default
mkdir -p /mnt/lib /mnt/run /mnt/tmp /mnt/pods; mount --bind /mnt/lib /var/lib
mount --bind /mnt/run /run; mount --bind /mnt/tmp /tmp
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
"""
# A container's file system: busybox' programs, which need the machine's libraries, and mounts.
_CONTAINER = """
set -e; root=/mnt/pods/$1; shift
rm -rf "$root/bin"; mkdir -p "$root/bin" "$root/usr" "$root/proc" "$root/dev"
busybox --install -s "$root/bin"
if [ ! -e "$root/proc/1" ]; then
  for each in usr proc dev; do mount --rbind "/$each" "$root/$each"; done
  for each in lib lib64; do [ ! -e "/$each" ] || ln -sfn "usr/$each" "$root/$each"; done
fi
for each; do mkdir -p "$root$each"; done
"""


class Node:
    """One machine of the fleet. It is off until `boot`."""

    def __init__(
        self,
        machine: Machine,
        processes: Processes,
        internet: Internet,
        folder: Path,
        hosts: Sequence[str],
    ) -> None:
        self.machine = machine
        self.name = machine.name
        self.folder = folder / machine.name
        self.pods: tuple[Pod, ...] = ()
        self._processes = processes
        self._internet = internet
        self.hosts = hosts
        self._namespace: Namespace | None = None
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def here(self) -> Namespace:
        """Its namespaces. Raises TwinError while it is off."""
        if self._namespace is None:
            raise TwinError(f"{self.name} is off")
        return self._namespace

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._namespace is not None

    @property
    def orders(self) -> Path:
        """What its application carried out."""
        return self.folder / "orders"

    @property
    def access_log(self) -> Path:
        """nginx' log."""
        return self.folder / "access.log"

    def boot(self, pods: Sequence[Pod]) -> None:
        """Bring it up with these pods. Its cable is plugged in once its firewall is closed, as the
        distribution's ufw.service comes before the network of a node that boots."""
        namespace = Namespace(self._processes, self.name, _FILES)
        self._namespace = namespace
        self.pods = tuple(pods)
        app = [sys.executable, "-I", "-S", str(_HERE / "app.py")]
        port = controller.APPLICATION.rpartition(":")[2]
        namespace.start("app", [*app, port, str(self.orders)])
        for pod in sorted(pods, key=lambda pod: runner(pod) is not _Container):
            runner(pod)(self, pod).start()
        own = self.machine.addresses
        self._internet.connect(namespace, own, own)

    def kill(self) -> None:
        """Power off, without a word to anybody."""
        self.here.kill()
        self._namespace = None

    def roll(self, pod: Pod) -> None:
        """Replace the pod of this name, or give the one that runs what changed under it."""
        (old,) = (each for each in self.pods if each.name == pod.name)
        self.pods = tuple(pod if each is old else each for each in self.pods)
        running = runner(pod)(self, pod)
        if old.template != pod.template:
            running.replace()
        elif old != pod:
            running.changed()

    def hang(self) -> None:
        """nginx stops where it is, its connections open (SIGSTOP)."""
        self.here.send("nginx", signal.SIGSTOP)

    def resume(self) -> None:
        """nginx goes on."""
        self.here.send("nginx", signal.SIGCONT)

    def crash(self) -> None:
        """nginx is killed with all its connections, and started again by its kubelet."""
        self.here.end("nginx")

    def replace(self) -> None:
        """nginx' pod goes and another comes, as in a rollout."""
        for pod in self.pods:
            if runner(pod) is _Controller:
                _Controller(self, pod).replace()

    def restart(self) -> None:
        """nginx, as it was."""
        for pod in self.pods:
            if runner(pod) is _Controller:
                _Controller(self, pod).start()


class _Container:
    """A container of the node's firewall: host's network and PIDs, its own file system."""

    def __init__(self, node: Node, pod: Pod) -> None:
        self.node, self.pod = node, pod
        self._root = node.here.root / "mnt" / "pods" / pod.name

    def start(self) -> None:
        here, pod = self.node.here, self.pod
        here.run("sh", "-c", _CONTAINER, "container", pod.name, *pod.folders)
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


class _Controller:
    """NGINX's controller and its nginx."""

    def __init__(self, node: Node, pod: Pod) -> None:
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


Runner = type[_Container] | type[_Controller]
RUNNERS: dict[str, Runner] = {"busybox": _Container, controller.IMAGE: _Controller}
"""Who runs a pod, by its image's repository."""


def runner(pod: Pod) -> Runner:
    repository = pod.image.split("@")[0].rpartition(":")[0]
    return RUNNERS[repository.removeprefix("docker.io/library/")]


def wait(condition: Callable[[], object], what: str, seconds: float = _READY_SECONDS) -> None:
    """Poll until it is true. Raises TwinError, which says `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TwinError(f"{what} after {seconds:g} s")
        time.sleep(_POLL_SECONDS)
