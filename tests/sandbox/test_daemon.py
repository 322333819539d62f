"""The daemon in the foreground: the test of `python -m sandbox.daemon` itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from sandbox.engine.environment import Running
from sandbox.vendors.vultr import api as vultr_api

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("daemon")
    with (folder / "output").open("wb") as out:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "sandbox.daemon", f"--dir={folder}"],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 60
    while not (folder / "sandbox.json").exists():
        assert daemon.poll() is None, (folder / "output").read_text()
        assert time.monotonic() < deadline, (folder / "output").read_text()
        time.sleep(0.05)
    yield folder
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGINT)
    assert daemon.wait(30) == 0
    assert not (folder / "sandbox.json").exists()
    assert (folder / "output").read_text().endswith("stopped\n")


def test_a_cluster_made_over_http_gets_a_real_api_server(directory: Path) -> None:
    running = Running.load(directory)
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {vultr_api.API_KEY}"
    session.proxies = {"https": f"http://127.0.0.1:{running.ports['proxy']}"}
    session.verify = str(directory / "ca-bundle.pem")
    body = {
        "label": "edgefleet-us",
        "region": "ewr",
        "version": "v1.35.5+1",
        "node_pools": [
            {"label": "edge", "plan": "vc2-2c-4gb", "node_quantity": 1, "tag": "tf-vke-default"}
        ],
    }
    url = "https://api.vultr.com/v2/kubernetes/clusters"
    made = session.post(url, json=body)
    assert made.status_code == 201, made.text
    cluster_id = made.json()["vke_cluster"]["id"]
    deadline = time.monotonic() + 90
    while session.get(f"{url}/{cluster_id}").json()["vke_cluster"]["status"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # The vendor's host name leads through the proxy to the cluster's own API server.
    pki = directory / "clusters" / cluster_id / "pki"
    api = requests.Session()
    api.trust_env = False
    api.proxies = session.proxies
    answer = api.get(
        f"https://{cluster_id}.vultr-k8s.com:6443/version",
        verify=str(pki / "ca.crt"),
        cert=(str(pki / "admin.crt"), str(pki / "admin.key")),
    )
    assert answer.json()["gitVersion"].startswith("v1.35.")
    assert session.delete(f"{url}/{cluster_id}").status_code == 204
    while json.loads((directory / "clusters.json").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_files_are_the_owners_alone(directory: Path) -> None:
    assert directory.stat().st_mode & 0o077 == 0
    for folder, _, files in os.walk(directory / "clusters"):
        for name in files:
            if name.endswith((".key", ".kubeconfig")):
                assert Path(folder, name).stat().st_mode & 0o077 == 0, name


def test_everything_listens_on_loopback_only(directory: Path) -> None:
    daemon = psutil.Process(Running.load(directory).pid)
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in (daemon, *daemon.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
