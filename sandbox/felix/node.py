"""A real felix for a node that is a network namespace."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from sandbox.processes import Child, Processes, ProcessFailed
from sandbox.toolchain import felix as build

_HERE = Path(__file__).parent
_ROOM = _HERE / "room.sh"
RELAY = _HERE / "relay.py"
_PREFIX = "edgefleet-felix"
_PROGRAM = "calico-felix"
_HEALTH_PORT, _METRICS_PORT = 9099, 9091
_READY_SECONDS = 300
TOOLS = {
    # felix, where eBPF is switched off: without it, its programs stay at the interfaces.
    "bpftool": "bpftool",
    "conntrack": "conntrack", "curl": "curl", "ip": "iproute2", "iptables": "iptables",
    "ip6tables": "iptables", "ipset": "ipset", "nft": "nftables", "nsenter": "util-linux",
    "setpriv": "util-linux", "unshare": "util-linux",
}  # fmt: skip
"""What felix and its room need on PATH, and Debian's packages that have it."""

_TRIAL = (
    "mount --make-rprivate / && mount -t bpf bpffs /mnt && ip link set lo up && "
    "ip link add trial type vxlan id 1 dev lo dstport 4789"
)

# What is the same for every felix here, as in Calico's manifest unless said otherwise.
_ENVIRONMENT = {
    "FELIX_DATASTORETYPE": "kubernetes",
    "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
    "FELIX_IPV6SUPPORT": "false",
    "FELIX_HEALTHENABLED": "true",
    "FELIX_HEALTHPORT": str(_HEALTH_PORT),
    "FELIX_PROMETHEUSMETRICSENABLED": "true",
    "FELIX_PROMETHEUSMETRICSPORT": str(_METRICS_PORT),
    "FELIX_LOGFILEPATH": "none",
    "FELIX_TYPHAK8SSERVICENAME": "none",
    "FELIX_USAGEREPORTINGENABLED": "false",
    # calico-node's IPAM would say so in the pods' network objects: here a node's podCIDR does.
    "USE_POD_CIDR": "true",
    # Else it sets a sysctl of the whole machine, for good.
    "FELIX_BPFDISABLEUNPRIVILEGED": "false",
    # With v3.31.0's own default interfaces never get configured on newer kernels
    # (projectcalico/calico#11302).
    "FELIX_BPFATTACHTYPE": "TC",
    # "Auto" takes iptables-legacy in a namespace that has no rules yet.
    "FELIX_IPTABLESBACKEND": "NFT",
}


def lacking(cache: Path) -> str | None:
    """Why no felix can be started here, or None: what this machine lacks, or that none is built."""
    if reason := missing():
        return reason
    if build.BUILD.built(cache):
        return None
    return f"felix {build.VERSION} isn't built: `make felix` makes it, in ten minutes, once"


def missing() -> str | None:
    """Why felix can't be run on this machine, or None."""
    if sys.platform != "linux":
        return "felix runs on Linux alone"
    if os.geteuid() != 0:
        return "needs root"
    if absent := sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)}):
        return f"needs the Debian packages {' '.join(absent)}"
    if not Path("/sys/kernel/btf/vmlinux").exists():
        return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF), which eBPF needs"
    if cgroups() is None:
        return "no cgroup v2 is mounted"
    trial = subprocess.run(
        ["unshare", "--net", "--mount", "--cgroup", "sh", "-c", _TRIAL],
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode:
        return f"no namespaces with BPF and VXLAN here: {trial.stderr.strip()}"
    return None


class FelixNode:
    """felix on the node `name`, whose network is that of the process `network`.

    `felix` is its folder in the cache, `kubeconfig` a file that leads to the API server from there
    (127.0.0.1 will do: see `relay`). It has a mount namespace and a cgroup (the folder `cgroup`) of
    its own; those of the node's processes that are to be balanced at connect time are started by
    `command`. All of it goes when this process dies.

    Where the node's cards are veths, their other ends need indexes that no interface of the node
    has (``ip link add … index 1001``): felix takes them for its own, and then leaves what it thinks
    a bond's out of eBPF.
    """

    def __init__(
        self, felix: Path, processes: Processes, name: str, network: int, kubeconfig: Path
    ) -> None:
        self.name = name
        self._felix = felix
        self._processes = processes
        self._network = network
        self._kubeconfig = kubeconfig
        self._children: list[Child] = []
        self._child: Child | None = None
        self.cgroup = _new_cgroup(name)
        self._room = subprocess.Popen(
            ["sh", str(_ROOM), str(self.cgroup), str(felix), str(network)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._room.stdout
        assert self._room.stderr
        self._holder = self._room.stdout.readline().strip()
        if self._room.stdout.readline() != "up\n":
            self.close()
            raise ProcessFailed(f"no room for felix on {name}: {self._room.stderr.read().strip()}")

    def command(self, *command: str) -> list[str]:
        """A command as a process of this node: its cgroup, its network, felix's files."""
        enter = 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"'
        inside = ["nsenter", "-t", self._holder, "-n", "-m", "-C", "--", *command]
        return ["sh", "-c", enter, "enter", str(self.cgroup), *inside]

    def run(self, *command: str, stdin: str = "") -> str:
        """What it prints. Raises ProcessFailed."""
        done = subprocess.run(
            self.command(*command), input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ProcessFailed(f"{self.name}: {' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def relay(self, port: int) -> None:
        """Let this port of the node's 127.0.0.1 lead to the same port of ours, where an API server
        listens: whatever the node's firewalls say, felix hears from it."""
        name = f"{self.name}-relay"
        # The log may have an earlier relay's word.
        word = f"listening for {self.cgroup.name}"
        relay = [sys.executable, "-I", str(RELAY), str(self._network), str(port), word]
        child = self._processes.start(name, relay)
        self._children.append(child)
        child.wait_until(lambda: word in child.log.read_text(), 20, what="a relay")

    def start(self, environment: Mapping[str, str]) -> None:
        """Start felix with these variables, and again whenever it ends, as its container would.

        Where it still runs it is stopped before.
        """
        self.stop()
        if self._child:
            self._child.log.unlink(missing_ok=True)
        own = {
            **_ENVIRONMENT,
            "FELIX_FELIXHOSTNAME": self.name,
            "KUBECONFIG": str(self._kubeconfig),
            **environment,
        }
        variables = [f"{name}={value}" for name, value in own.items()]
        forever = (
            'while :; do setpriv --pdeathsig KILL "$@"; echo "felix ended with $?"; sleep 0.2; done'
        )
        felix = [
            "env",
            "-i",
            f"PATH={os.environ['PATH']}",
            *variables,
            str(self._felix / _PROGRAM),
        ]
        self._child = self._processes.start(
            f"{self.name}-felix", self.command("sh", "-c", forever, "forever", *felix)
        )

    def stop(self) -> None:
        """Kill felix; what it has put into the kernel stays, as on a real node."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """Kill felix alone; its container starts it again."""
        assert self._child
        for each in psutil.Process(self._child.pid).children(recursive=True):
            if each.name() == _PROGRAM:
                each.kill()

    @property
    def log(self) -> str:
        """What felix has said since it was started."""
        return self._child.log.read_text(errors="replace") if self._child else ""

    @property
    def endings(self) -> list[int]:
        """With which codes it has ended, since it was started."""
        return [
            int(code) for code in re.findall(r"^felix ended with (\d+)$", self.log, re.MULTILINE)
        ]

    def readiness(self) -> str:
        """The text of felix's /readiness, a row for each part; empty where it doesn't answer."""
        return self._asked(_HEALTH_PORT, "readiness", fail=False)

    def metrics(self) -> str:
        """felix's metrics, as Prometheus reads them."""
        return self._asked(_METRICS_PORT, "metrics", fail=False)

    def ready(self) -> bool:
        """Whether felix says that it is."""
        return bool(self._asked(_HEALTH_PORT, "readiness", fail=True))

    def wait(self, ready: Callable[[], bool] | None = None, what: str = "readiness") -> None:
        """Until felix is ready, or `ready` says so. Raises ProcessFailed."""
        assert self._child
        self._child.wait_until(ready or self.ready, _READY_SECONDS, what=what)

    def close(self) -> None:
        """End felix and everything that runs in its room, and the room."""
        self.stop()
        for child in self._children:
            child.stop()
        assert self._room.stdin
        self._room.stdin.close()
        self._room.wait()

    def _asked(self, port: int, path: str, *, fail: bool) -> str:
        ask = ["curl", "-s", "-m", "5", "--noproxy", "*", *(["-f", "-w", " "] if fail else [])]
        with contextlib.suppress(ProcessFailed):
            return self.run(*ask, f"http://127.0.0.1:{port}/{path}")
        return ""


def cgroups() -> Path | None:
    """Where cgroup v2 is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


def _new_cgroup(name: str) -> Path:
    """Path for a node's cgroup; those that a killed process has left are removed."""
    top = cgroups()
    assert top, "missing() says so"
    for left in top.glob(f"{_PREFIX}-*"):
        pid = left.name.split("-")[2]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                (left / "cgroup.kill").write_text("1")
                _remove(left)
    return top / f"{_PREFIX}-{os.getpid()}-{name}-{time.monotonic_ns()}"


def _remove(cgroup: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):
            cgroup.rmdir()
            return
        time.sleep(0.02)
