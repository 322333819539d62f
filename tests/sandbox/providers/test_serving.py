"""The process that serves the plugins."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc as rpc

from sandbox.providers import serving as plugins

ROOT = Path(__file__).parents[3]


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll for at most a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.02)


def command(ports_file: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "sandbox.providers.serving",
        "--only", "vultr,tls", "--ports-file", str(ports_file), *more,
    ]  # fmt: skip


def answers(port: int) -> str:
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stub = rpc.ResourceProviderStub(channel)
        return stub.GetPluginInfo(empty_pb2.Empty(), timeout=10).version


def test_it_serves_until_terminated(tmp_path: Path) -> None:
    ports_file = tmp_path / "ports.json"
    process = subprocess.Popen(command(ports_file), cwd=ROOT)
    try:
        until(ports_file.exists, "ports file written")
        ports = json.loads(ports_file.read_text())
        assert ports.keys() == {"vultr", "tls"}
        assert answers(ports["vultr"]) == "2.27.1"
        assert answers(ports["tls"]) == "5.6.2"
    finally:
        process.terminate()
    assert process.wait(30) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ports.json"]


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    ports_file = tmp_path / "ports.json"
    starter = (
        "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); "
        "sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, *command(ports_file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin
    assert parent.stdout
    child = int(parent.stdout.readline())
    until(ports_file.exists, "ports file written")
    parent.stdin.close()
    parent.wait(30)
    parent.stdout.close()
    until(lambda: not running(child), "plugins ended")


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_preferred_port_is_taken_where_it_is_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = plugins.start(["tls"], {"tls": port}, 20.0)["tls"]
    second = plugins.start(["tls"], {"tls": port}, 20.0)["tls"]
    try:
        assert first.port == port
        assert second.port not in (0, port)
    finally:
        first.stop()
        second.stop()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "vultr,gcp"], "unknown: gcp; allowed: vultr, cloudflare, kubernetes, tls"),
        (["--prefer", "vultr"], "expected NAME=PORT"),
        (["--speed", "0"], "expected a number above 0"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        plugins.main([*arguments, "--ports-file", os.devnull])
    assert words in capsys.readouterr().err
