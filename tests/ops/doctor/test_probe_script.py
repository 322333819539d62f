"""What a probe runs, by the real busybox, in a network namespace of its own: felix' report is on
the node's own network, and the API's service takes connections and says nothing."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ops.doctor.probe as probe
from components.dataplane.felix_words import fell_back

SCRIPT = Path(probe.__file__).with_name("probe.sh")
TABLE = """\
+---------------------------+---------+-------------+-------------+--------+
|         COMPONENT         | TIMEOUT |  LIVENESS   |  READINESS  | DETAIL |
+---------------------------+---------+-------------+-------------+--------+
| BPFEndpointManager        | -       | reporting   | reporting   |        |
| FelixStartup              | -       | reporting   | reporting   |        |
| InternalDataplaneMainLoop | 1m30s   | reporting   | reporting   |        |
+---------------------------+---------+-------------+-------------+--------+
"""
SERVE = """
import http.server, socket, sys, threading
class Felix(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open(sys.argv[1], "rb").read())
    def log_message(self, *_): ...
server = http.server.ThreadingHTTPServer(("127.0.0.1", 9099), Felix)
threading.Thread(target=server.serve_forever, daemon=True).start()
silent = socket.create_server(("127.0.0.1", 6443))
print("up", flush=True)
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What the script told, beside each other: it waits for who says nothing."""
    busybox = shutil.which("busybox")
    if not busybox or os.geteuid() != 0:
        pytest.skip("needs root, for a network namespace, and busybox")
    fallen = "\n".join(line for line in TABLE.splitlines() if "BPF" not in line)
    on_node = {"ON_NODE": "yes"}
    asked = {"eBPF": (TABLE, on_node), "fell back": (fallen, on_node), "pod": (TABLE, {})}
    with ThreadPoolExecutor() as pool:
        made = {
            name: pool.submit(told, busybox, tmp_path_factory.mktemp("probe"), table, **env)
            for name, (table, env) in asked.items()
        }
        return {name: each.result() for name, each in made.items()}


def told(busybox: str, folder: Path, table: str, **env: str) -> dict[str, str]:
    """What the script told in a namespace where this is felix' report."""
    (folder / "table").write_text(table)
    (folder / "serve.py").write_text(SERVE)
    out = folder / "told"
    tools = folder / "bin"
    tools.mkdir()
    subprocess.run([busybox, "--install", "-s", str(tools)], check=True)
    script = f"""
        ip link set lo up
        mkfifo {folder}/up
        {sys.executable} {folder}/serve.py {folder}/table >{folder}/up &
        read -r _ <{folder}/up
        PATH={tools} {tools}/sh {SCRIPT}
        kill $!
    """
    kept = {"PATH": os.environ["PATH"], "PROBE_OUT": str(out), **env}
    kept |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    subprocess.run(
        ["unshare", "--net", "bash", "-c", script],
        env=kept,
        check=True,
        timeout=40,
    )
    return probe.read(out.read_text())


def test_a_node_whose_felix_runs_ebpf_and_whose_service_takes_connections_and_says_nothing(
    found: dict[str, dict[str, str]],
):
    assert found["eBPF"]["reached"] == "no"
    assert "BPFEndpointManager" in found["eBPF"]["felix"]
    assert fell_back(readiness=found["eBPF"]["felix"]) is False


def test_a_node_whose_felix_fell_back(found: dict[str, dict[str, str]]):
    assert fell_back(readiness=found["fell back"]["felix"]) is True


def test_a_pod_asks_no_felix(found: dict[str, dict[str, str]]):
    assert "felix" not in found["pod"]
    assert found["pod"]["reached"] == "no"
