"""Network namespaces as nodes: the distribution's own ufw on its own copy of its own files.

A node has a mount namespace too, so that nothing here touches the machine's /etc or firewall. All
of it goes with the process that holds the namespaces.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.firewall.node import sync_script

HERE = Path(__file__).parent
FIREWALL = HERE.parents[1] / "components" / "firewall"
TOOLS = {
    "ufw": "ufw", "iptables": "iptables", "ip6tables": "iptables", "ip": "iproute2",
    "nsenter": "util-linux", "unshare": "util-linux", "flock": "util-linux",
    "setpriv": "util-linux", "busybox": "busybox", "nginx": "nginx", "shellcheck": "shellcheck",
}  # fmt: skip

# What the nodes of the tests are called, and who lives around them.
NODE, NODE6 = "203.0.113.10", "2001:db8:1::10"
NODE_IN_VPC = "10.20.0.10"
GATEWAY, GATEWAY6 = "203.0.113.1", "2001:db8:1::1"
POD = "10.244.1.2"
TCP_PORTS = (7, 22, 53, 80, 179, 443, 2222, 5473, 9100, 10250, 30080)
UDP_PORTS = (53, 68, 443, 4789, 8472, 31000)


def missing() -> str | None:
    """Why nodes can't be made on this machine, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if absent := sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)}):
        return f"needs the Debian packages {' '.join(absent)}"
    trial = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", "iptables -S && ip6tables -S"],
        capture_output=True,
        text=True,
    )
    return f"no namespaces with iptables here: {trial.stderr.strip()}" if trial.returncode else None


class Namespace:
    """A network and mount namespace. Leave the context, and it's gone."""

    def __init__(self, setup: str = "") -> None:
        script = f"set -e\nmount --make-rprivate /\nip link set lo up\n{setup}\necho up\nexec cat"
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children: list[subprocess.Popen[str]] = []
        assert self.holder.stdout
        assert self.holder.stderr
        if self.holder.stdout.readline() != "up\n":
            raise RuntimeError(self.holder.stderr.read())

    @property
    def pid(self) -> int:
        return self.holder.pid

    @property
    def root(self) -> Path:
        """Its file system, seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    def command(self, *command: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "--", *command]

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(self.command(*command), input=stdin, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Runs on in this network, but with the machine's own files."""
        child = subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "-n", "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        return child

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *_: object) -> None:
        for child in [*self.children, self.holder]:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()


@dataclass(frozen=True)
class Outcome:
    """What one run of the script came to."""

    state: str
    changes: int
    output: str
    returncode: int


_NODE_FILES = """
files=$(mktemp -d); cp -a /etc/ufw "$files/ufw"; cp -a /etc/default "$files/default"
cp /usr/share/ufw/iptables/*.rules "$files/ufw/"
printf 'ENABLED=no\\nLOGLEVEL=low\\n' >"$files/ufw/ufw.conf"
cp /usr/share/ufw/ufw.conf "$files/ufw/" 2>/dev/null || true
sed -i 's/^IPV6=.*/IPV6=yes/; s/^DEFAULT_INPUT_POLICY=.*/DEFAULT_INPUT_POLICY="DROP"/' \\
    "$files/default/ufw"
mount -t tmpfs node /mnt; cp -a "$files/." /mnt/; rm -r "$files"
mount --bind /mnt/ufw /etc/ufw; mount --bind /mnt/default /etc/default
mkdir -p /mnt/lib /mnt/run /mnt/tmp; mount --bind /mnt/lib /var/lib
mount --bind /mnt/run /run; mount --bind /mnt/tmp /tmp
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
"""


_KEEP = """
rm -rf /mnt/kept; mkdir /mnt/kept; cp -a /mnt/ufw /mnt/default /mnt/lib /mnt/kept
iptables-save >/mnt/kept/4; ip6tables-save >/mnt/kept/6
"""
_PUT_BACK = """
for d in ufw default lib; do find /mnt/$d -mindepth 1 -delete; cp -a /mnt/kept/$d/. /mnt/$d/; done
iptables-restore </mnt/kept/4; ip6tables-restore </mnt/kept/6
"""


class Node(Namespace):
    """A node with ufw as the distribution ships it (disabled), and a server on every port."""

    def __init__(self) -> None:
        super().__init__(_NODE_FILES)

    def sync(self, table: str, mode: str = "enforce") -> Outcome:
        done = subprocess.run(
            self.command(*script(mode)), input=table, capture_output=True, text=True
        )
        return outcome(done.stdout + done.stderr, done.returncode)

    def ufw(self, *arguments: str) -> str:
        return self.run("ufw", *arguments)

    def comments(self) -> set[str]:
        """The comments of all rules that ufw has."""
        files = [self.root / "etc/ufw" / name for name in ("user.rules", "user6.rules")]
        found = re.findall(r" comment=(\w+)$", "".join(f.read_text() for f in files), re.MULTILINE)
        return {bytes.fromhex(comment).decode() for comment in found}

    def firewall(self) -> tuple[str, ...]:
        """All that decides about packets: the rules in the kernel, and ufw's files."""
        saved = [self.run(f"{family}-save") for family in ("iptables", "ip6tables")]
        rules = [re.sub(r"^#.*\n|\[\d+:\d+\]", "", text, flags=re.MULTILINE) for text in saved]
        files = sorted((self.root / "etc/ufw").glob("*.rules"))
        return (*rules, *(file.read_text() for file in files))

    def keep(self) -> None:
        """Remembers the firewall, for `put_back()`."""
        self.run("sh", "-c", _KEEP)

    def put_back(self) -> None:
        self.run("sh", "-c", _PUT_BACK)


def script(mode: str) -> tuple[str, ...]:
    """The DaemonSet's script as a command: the repository may be out of a node's sight."""
    return ("sh", "-c", sync_script(), "sync", mode)


def outcome(output: str, returncode: int) -> Outcome:
    found = re.search(r"^state=(\w+) mode=\w+ changes=(\d+)", output, re.MULTILINE)
    state, changes = found.groups() if found else ("none", "0")
    return Outcome(state, int(changes), output, returncode)


@dataclass(frozen=True)
class Packet:
    """A packet that somebody sends to a node (or through it): the start of a connection for tcp."""

    source: str
    port: int = 0
    protocol: str = "tcp"
    to: str = ""

    @property
    def destination(self) -> str:
        return self.to or (NODE6 if ":" in self.source else NODE)


class Outside(Namespace):
    """The internet and the VPC: may send from any address it is given."""

    def __init__(self) -> None:
        super().__init__("sysctl -qw net.ipv6.ip_nonlocal_bind=1")
        self._known: set[str] = set()

    def link(self, node: Node) -> None:
        """A wire to the node, which sends everything it doesn't know to us."""
        ends = "ip link add eth0 netns {a} type veth peer name eth0 netns {b}"
        run(*ends.format(a=self.pid, b=node.pid).split())
        mac: dict[int, str] = {}
        for ns, v4, v6 in ((self, GATEWAY, GATEWAY6), (node, NODE, NODE6)):
            ns.run("ip", "link", "set", "eth0", "up")
            ns.run("ip", "addr", "add", f"{v4}/24", "dev", "eth0")
            ns.run("ip", "addr", "add", f"{v6}/64", "dev", "eth0", "nodad")
            mac[ns.pid] = json.loads(ns.run("ip", "-j", "link", "show", "eth0"))[0]["address"]
        node.run("ip", "addr", "add", f"{NODE_IN_VPC}/32", "dev", "eth0")
        for ns, other, v4, v6 in ((self, node, NODE, NODE6), (node, self, GATEWAY, GATEWAY6)):
            for address in (v4, v6):
                ns.run(*f"ip neigh replace {address} lladdr {mac[other.pid]} dev eth0".split())
        node.run(*f"ip route add default via {GATEWAY}".split())
        node.run(*f"ip -6 route add default via {GATEWAY6}".split())
        self.run(*f"ip route add 10.20.0.10/32 via {NODE}".split())
        self.run(*f"ip route add 10.244.0.0/16 via {NODE}".split())
        self.be([GATEWAY, GATEWAY6])
        self._prober = self.start(sys.executable, str(HERE / "endpoints.py"), "probe")

    def be(self, addresses: Iterable[str]) -> None:
        """Takes addresses as its own, so that it can send from them."""
        new = [address for address in dict.fromkeys(addresses) if address not in self._known]
        self._known.update(new)
        batch = [
            f"route replace local {address} dev lo table local"
            for address in new
            if address not in (GATEWAY, GATEWAY6)
        ]
        for flag, family in (("-4", "."), ("-6", ":")):
            lines = [line for line in batch if (":" in line) == (family == ":")]
            self.run("ip", flag, "-batch", "-", stdin="\n".join(lines) + "\n")

    def ask(self, **request: Any) -> Any:
        assert self._prober.stdin
        assert self._prober.stdout
        self._prober.stdin.write(json.dumps(request) + "\n")
        self._prober.stdin.flush()
        answer = self._prober.stdout.readline()
        if not answer:
            raise RuntimeError("the client ended: the node lets not even the sentinel in")
        return json.loads(answer)

    def passes(
        self, packets: Sequence[Packet], sentinels: dict[str, str] | None = None
    ) -> dict[Packet, bool]:
        """Which get through. `sentinels`: whom to ask afterwards, by the address to ask from."""
        targets = sentinels or {GATEWAY: NODE, GATEWAY6: NODE6}
        self.be([*(packet.source for packet in packets), *targets])
        probes = [
            {"source": p.source, "to": p.destination, "port": p.port, "protocol": p.protocol}
            for p in packets
        ]
        verdicts = self.ask(do="probe", probes=probes, targets=targets)
        return dict(zip(packets, verdicts, strict=True))


@contextmanager
def knocking(outside: Outside, *sources: str, port: int = 443) -> Iterator[dict[str, list[int]]]:
    """Clients that knock all the while. Afterwards: how often each did, and was let in."""
    outside.be(sources)
    pairs = [f"{source}={NODE6 if ':' in source else NODE}" for source in sources]
    child = outside.start(sys.executable, str(HERE / "endpoints.py"), "knock", str(port), *pairs)
    assert child.stdin
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    counted: dict[str, list[int]] = {}
    yield counted
    child.stdin.write("enough\n")
    child.stdin.flush()
    knocks, opened = json.loads(child.stdout.readline())
    counted.update({source: [knocks[source], opened[source]] for source in sources})


def kill_group(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(*command: str) -> None:
    run_with("", *command)


def run_with(stdin: str, *command: str) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")


def serve(
    namespace: Namespace,
    ports: tuple[str, str] = (",".join(map(str, TCP_PORTS)), ",".join(map(str, UDP_PORTS))),
) -> None:
    """A server on these TCP and UDP ports of every address there."""
    server = namespace.start(sys.executable, str(HERE / "endpoints.py"), "serve", *ports)
    assert server.stdout
    assert server.stdout.readline() == "ready\n"


def connects(namespace: Namespace, source: str, to: str, port: int) -> bool:
    """Whether a connection stands within the kernel's patience: for those that should."""
    script = "import socket,sys; socket.create_connection((sys.argv[2], int(sys.argv[3])), 20,"
    script += " (sys.argv[1], 0))"
    child = namespace.start(sys.executable, "-c", script, source, to, str(port))
    return child.wait() == 0
