"""A node: ufw as the distribution ships it, and what the cluster's DaemonSets run on it.

Of the pods those run whose image somebody in `runners.py` knows.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.felix.node import FelixNode
from sandbox.processes import Processes
from sandbox.twin import controller
from sandbox.twin.internet import Internet
from sandbox.twin.namespaces import Namespace, TwinError, wait
from sandbox.twin.published import Cluster, Machine, Pod
from sandbox.twin.runners import Container, Controller, in_order, runner

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


class Node:
    """One machine of the fleet. It is off until `boot`.

    `felix` is where it was built, or None: then no pod of calico-node may be among its pods.
    """

    def __init__(
        self,
        machine: Machine,
        cluster: Cluster,
        processes: Processes,
        internet: Internet,
        folder: Path,
        hosts: Sequence[str],
        felix: Path | None,
    ) -> None:
        self.machine, self.cluster = machine, cluster
        self.name = machine.name
        self.folder = folder / machine.name
        self.pods: tuple[Pod, ...] = ()
        self.processes = processes
        self._internet = internet
        self.hosts = hosts
        self.felix = felix
        self.dataplane: FelixNode | None = None
        self._cables: list[str] = []
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
        """Bring it up with these pods. Its cables are plugged in once its firewall is closed, as
        the distribution's ufw.service comes before the network of a node that boots."""
        namespace = Namespace(self.processes, self.name, _FILES)
        self._namespace = namespace
        self.pods = tuple(pods)
        app = [sys.executable, "-I", "-S", str(_HERE / "app.py")]
        port = controller.APPLICATION.rpartition(":")[2]
        namespace.start("app", [*app, port, str(self.orders)])
        ordered = in_order(pods)
        for pod in ordered:
            if runner(pod) is Container:
                Container(self, pod).start()
        own = self.machine.addresses
        self._cables = [
            self._internet.connect(namespace, own, own),
            self._internet.join(namespace, self.machine.cluster, self.machine.private),
        ]
        for pod in ordered:
            if runner(pod) is not Container:
                runner(pod)(self, pod).start()

    def kill(self) -> None:
        """Power off, without a word to anybody."""
        # felix' room would keep its network, which then would refuse what comes.
        self._internet.unplug(self._cables)
        self.here.kill()
        self._namespace = None
        self.close()

    def close(self) -> None:
        """End what runs outside of its namespaces."""
        if self.dataplane:
            self.dataplane.close()
            self.dataplane = None

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
            if runner(pod) is Controller:
                Controller(self, pod).replace()

    def restart(self) -> None:
        """nginx, as it was."""
        for pod in self.pods:
            if runner(pod) is Controller:
                Controller(self, pod).start()

    def crash_felix(self) -> None:
        """felix is killed, and started again by its container; until it is ready."""
        if self.dataplane is None:
            raise TwinError(f"{self.name} has no felix")
        before = len(self.dataplane.endings)
        self.dataplane.kill()
        felix = self.dataplane
        wait(lambda: len(felix.endings) > before, f"{self.name}: felix wasn't killed")
        felix.wait()
