"""The checks as they run: in the shells of nodes and of pods, with the real tools."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import application
from ops.live.asking import Unasked
from ops.node_health import pods, scripts
from ops.node_health.verdict import CHECKS, Check, Context, judge

METRICS = """\
# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 90
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.032"} 100
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 100
etcd_disk_wal_fsync_duration_seconds_sum 1.5
"""
BUSYBOX = shutil.which("busybox")
SHELLS = [["/bin/sh"], *([[BUSYBOX, "sh"]] if BUSYBOX else [])]


def run(check: Check, shell: Sequence[str] = ("/bin/sh",), **variables: str) -> dict[str, Any]:
    """What a check printed, by this shell; it is one line of JSON."""
    ran = subprocess.run(
        [*shell, "-s"],
        input=scripts.script(check, variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    (line,) = ran.stdout.splitlines()
    return json.loads(line)


@pytest.mark.parametrize("check", CHECKS)
def test_a_shell_checker_has_nothing_to_say(check: Check):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    text = scripts.script(check)
    subprocess.run(["shellcheck", "--shell=sh", "-"], input=text, text=True, check=True)


def test_steal_is_measured_between_two_looks(tmp_path: Path):
    before, after = "cpu 100 0 100 800 0 0 0 0 0 0", "cpu 110 0 110 870 0 0 0 10 0 0"
    (tmp_path / "stat").write_text(f"{before}\n")
    # Its sleep is the moment in between.
    sleep = tmp_path / "sleep"
    sleep.write_text(f"#!/bin/sh\necho '{after}' >{tmp_path}/stat\n")
    sleep.chmod(0o755)
    line = run("steal", PROC=str(tmp_path), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert line == {"check": "steal", "seconds": 10, "percent": 10.0}
    for shell in SHELLS:
        assert 0 <= run("steal", shell, SECONDS_MEASURED="1")["percent"] <= 100


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_limits_are_read(tmp_path: Path, shell: list[str]):
    files = {
        "sys/class/net/eth9/statistics/rx_missed_errors": "7",
        "sys/class/net/eth9/statistics/rx_packets": "1000",
        "proc/sys/net/netfilter/nf_conntrack_count": "5",
        "proc/sys/net/netfilter/nf_conntrack_max": "100",
        # The kernel's own columns, hexadecimal, a row a CPU.
        "proc/net/stat/nf_conntrack": "entries drop early_drop\n000000ff 0000000a 00000001\n"
        "000000ff 00000010 00000000",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    line = run("limits", shell, PROC=f"{tmp_path}/proc", SYS=f"{tmp_path}/sys", DEVICE="eth9")
    assert line == {
        "check": "limits", "device": "eth9", "ring": None, "ring_most": None, "missed": 7,
        "fifo": None, "packets": 1000, "conntrack": 5, "conntrack_most": 100,
        "conntrack_dropped": 27,
    }  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_modules_are_loaded_built_in_or_to_be_had(tmp_path: Path, shell: list[str]):
    (tmp_path / "modules").write_text("nf_conntrack 1 0 - Live 0x0\n")
    (tmp_path / "modules.builtin").write_text("kernel/net/netfilter/ipvs/ip_vs.ko\n")
    (tmp_path / "modules.dep").write_text("kernel/net/netfilter/ipvs/ip_vs_lc.ko.xz: x\n")
    where = {"PROC": str(tmp_path), "MODULES": str(tmp_path)}
    assert run("ipvs", shell, SCHEDULER="lc", **where)["missing"] == []
    assert run("ipvs", shell, SCHEDULER="sed", **where)["missing"] == ["ip_vs_sed"]
    told = run("ipvs", shell, PROC=str(tmp_path), MODULES=f"{tmp_path}/none")
    assert "no list of its modules" in told["skipped"]


@pytest.fixture
def etcd() -> Iterator[str]:
    """An etcd's metrics, as it serves them."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()


def test_etcds_own_metrics_are_judged(etcd: str):
    line = run("etcd", ETCD_METRICS=etcd, no_proxy="*")
    assert line["fsync"] == {"0.001": 90, "0.032": 100, "+Inf": 100}
    (found,) = judge(Context("us"), {"n1": [line]})
    assert "28.9 ms" in str(found)
    assert run("etcd", ETCD_METRICS="http://127.0.0.1:9/metrics", no_proxy="*")["fsync"] == {}


def test_fio_measures_and_leaves_nothing(tmp_path: Path):
    if not shutil.which("fio"):
        pytest.skip("fio is not installed")
    left = tmp_path / ".edgefleet-fio.killed"
    left.mkdir()
    line = run("disk", DIRECTORY=str(tmp_path), BESIDE_ETCD="yes", SIZE="1m")
    assert 0 < line["p99_ms"] < 60000
    assert list(tmp_path.iterdir()) == []


def test_fio_is_not_run_beside_an_etcd(tmp_path: Path):
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "fio").write_text("#!/bin/sh\nexit 3\n")
    (bin_ / "fio").chmod(0o755)
    shutil.copy("/bin/sleep", tmp_path / "etcd")
    where = {"DIRECTORY": str(tmp_path), "PATH": f"{bin_}:{os.environ['PATH']}"}
    running = subprocess.Popen([tmp_path / "etcd", "600"])
    try:
        told = run("disk", **where)
        assert told["skipped"] == "etcd runs there, and would be slower meanwhile: --beside-etcd"
        assert "failed" in run("disk", BESIDE_ETCD="yes", **where)
    finally:
        running.kill()
        running.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "etcd"]
    missing = run("disk", DIRECTORY=f"{tmp_path}/none", PATH=os.environ["PATH"])
    assert missing["skipped"] == "there is no such folder"


def test_what_a_pod_runs_enters_the_node(tmp_path: Path):
    """In the namespaces of another process, by what the pod's own shell is told."""
    if os.geteuid() != 0 or not BUSYBOX:
        pytest.skip("needs root, to enter namespaces, and busybox")
    script = scripts.together(["limits", "mtu"], {"PEERS": ""})
    (container,) = pods.manifest("n1", script, 60, "busybox")["spec"]["containers"]
    message, node = tmp_path / "message", tmp_path / "node"
    # The node: its first process has hidden a file of the pod's behind a file system of its own.
    inside = f"mount -t tmpfs none {node} && echo up && exec sleep 600"
    node.mkdir()
    (node / "of-the-pod").touch()
    first = subprocess.Popen(
        ["unshare", "-m", "-n", "sh", "-c", inside], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout
        assert first.stdout.readline() == "up\n"
        command = container["command"][2].replace("/dev/termination-log", str(message))
        where = f'(ls {node} | sed \'s/.*/{{"check":"&"}}/\')\n'
        subprocess.run(
            [BUSYBOX, "sh", "-c", command.replace("-t 1 ", f"-t {first.pid} ")],
            env={**os.environ, "SCRIPT": f"{where}{script}"},
            check=True,
            start_new_session=True,
        )
    finally:
        first.kill()
        first.wait()
    ended = {"state": {"terminated": {"message": message.read_text()}}}
    told = pods.printed({"status": {"containerStatuses": [ended]}})
    assert not isinstance(told, Unasked), told
    # Without a card, and nothing of the pod's own files.
    assert [line["check"] for line in told or []] == ["limits", "mtu"]
    assert "there is no default route" in str(told)
    assert pods.printed({"status": {"containerStatuses": [{"state": {"running": {}}}]}}) is None


def test_the_command_says_what_it_would_do():
    fleet = CliRunner()

    def say(*arguments: str) -> tuple[int, str]:
        ran = fleet.invoke(application("node-health"), ["node-health", *arguments])
        return ran.exit_code, ran.output

    assert say("--print", "steal") == (0, scripts.script("steal"))
    assert "these are: etcd, disk, steal, mtu, limits, ipvs" in say("--only", "disc")[1]
    code, told = say("--here", "--only", "disk")
    assert code == 2
    assert "fio writes 22 MB with 10,000 syncs" in told
    assert "say one" in say("--here", "us")[1]
    assert "name a stack" in say()[1]
    code, told = say("--here", "--only", "limits", "--json")
    assert json.loads(told)["measured"]["here"][0]["check"] == "limits"
