"""The sandbox's proxy, with the clients that the project uses: Go's and requests'."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import requests
from werkzeug.wrappers import Request, Response

from sandbox.clusters.backend import ClusterBackend
from sandbox.vendors.ca import CertificateAuthority, write_bundle
from sandbox.vendors.emulators import Served, serve
from sandbox.vendors.proxy import Address, ProxyServer, Upstream, serve_proxy
from sandbox.vendors.vultr.api import create_app

GO_PROGRAM = """
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get("https://api.vultr.com/v2/regions")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body))
}
"""


@dataclass
class Setup:
    proxy: ProxyServer
    vultr: Served
    authority: CertificateAuthority
    bundle: Path
    clusters: dict[str, Address]

    def get(self, url: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            proxies = {"https": self.proxy.url}
            return session.get(url, proxies=proxies, verify=str(self.bundle), timeout=10)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    authority = CertificateAuthority(tmp_path / "ca", "test")
    certificate = authority.write_server_certificate(tmp_path / "vultr.pem", ["api.vultr.com"])
    vultr = serve(create_app(tmp_path, cast(ClusterBackend, None)))
    clusters: dict[str, Address] = {}
    emulated = {"api.vultr.com": ("127.0.0.1", vultr.port)}
    proxy = serve_proxy(emulated, certificate, clusters.get)
    bundle = write_bundle(authority, tmp_path / "bundle.pem")
    yield Setup(proxy, vultr, authority, bundle, clusters)
    proxy.close()
    vultr.close()


def https_server(setup: Setup, tmp_path: Path, hostname: str, text: str) -> Served:
    """A server of its own TLS, as an API server is."""

    @Request.application
    def app(_: Request) -> Response:
        return Response(text)

    path = setup.authority.write_server_certificate(tmp_path / f"{hostname}.pem", [hostname])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    served = serve(app)
    served.server.socket = context.wrap_socket(served.server.socket, server_side=True)
    return served


def test_requests_reaches_the_emulated_vultr(setup: Setup) -> None:
    answer = setup.get("https://api.vultr.com/v2/regions")
    assert answer.status_code == 200
    assert "ewr" in {region["id"] for region in answer.json()["regions"]}


def test_requests_is_told_by_the_environment(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", setup.proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(setup.bundle))
    answer = requests.get("https://api.vultr.com/v2/kubernetes/clusters", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (401, 401)


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH")
def test_a_go_client_reaches_the_emulated_vultr(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO_PROGRAM)
    binary = tmp_path / "client"
    build = ["go", "build", "-o", str(binary), str(tmp_path / "main.go")]
    subprocess.run(build, check=True, capture_output=True, cwd=tmp_path, timeout=300)
    environment = {
        **{k: v for k, v in os.environ.items() if "proxy" not in k.lower()},
        "HTTPS_PROXY": setup.proxy.url,
        "SSL_CERT_FILE": str(setup.bundle),
        "SSL_CERT_DIR": str(tmp_path),
    }
    run = subprocess.run(
        [str(binary)], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert run.stdout.startswith("200 "), run.stdout + run.stderr
    assert '"id": "ewr"' in run.stdout


def test_no_one_who_lacks_the_bundle_trusts_it(setup: Setup) -> None:
    proxies = {"https": setup.proxy.url}
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get("https://api.vultr.com/v2/regions", proxies=proxies, timeout=10)


def test_a_lost_answer_is_lost_for_the_client_too(setup: Setup) -> None:
    fault = {"match": {"path_regex": "regions"}, "action": "lose_answer", "times": 1}
    requests.post(f"{setup.vultr.url}/_sandbox/faults", json=fault, timeout=5)
    with pytest.raises(requests.ConnectionError):
        setup.get("https://api.vultr.com/v2/regions")
    assert setup.get("https://api.vultr.com/v2/regions").status_code == 200


def test_a_cluster_endpoint_is_tunnelled_untouched_to_where_it_is_now(
    setup: Setup, tmp_path: Path
) -> None:
    first = https_server(setup, tmp_path, "abc.vultr-k8s.com", "first")
    second = https_server(setup, tmp_path, "abc.vultr-k8s.com", "second")
    try:
        setup.clusters["abc.vultr-k8s.com"] = ("127.0.0.1", first.port)
        assert setup.get("https://abc.vultr-k8s.com:6443/").text == "first"
        setup.clusters["abc.vultr-k8s.com"] = ("127.0.0.1", second.port)
        assert setup.get("https://abc.vultr-k8s.com:6443/").text == "second"
    finally:
        first.close()
        second.close()


def test_a_cluster_that_does_not_run_is_named(setup: Setup) -> None:
    answer = connect(setup.proxy, b"CONNECT gone.vultr-k8s.com:6443 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"gone.vultr-k8s.com: no such cluster runs" in answer


def test_other_hosts_are_reached_directly(setup: Setup, tmp_path: Path) -> None:
    other = https_server(setup, tmp_path, "127.0.0.1", "other")
    try:
        assert setup.get(f"https://127.0.0.1:{other.port}/").text == "other"
    finally:
        other.close()


def test_a_host_that_cannot_be_reached_is_named(setup: Setup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    answer = connect(setup.proxy, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert f"127.0.0.1:{port}".encode() in answer


def test_the_proxy_that_was_in_use_before_is_used_for_other_hosts(
    setup: Setup, tmp_path: Path
) -> None:
    other = https_server(setup, tmp_path, "127.0.0.1", "other")
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=upstream_proxy, args=(listener, seen), daemon=True).start()
    url = f"http://user:p%40ss@127.0.0.1:{listener.getsockname()[1]}"
    certificate = tmp_path / "vultr.pem"
    chained = serve_proxy({}, certificate, {}.get, Upstream(url, no_proxy="localhost,.internal"))
    try:
        setup.proxy, kept = chained, setup.proxy
        assert setup.get(f"https://127.0.0.1:{other.port}/").text == "other"
        setup.proxy = kept
        assert seen[0].startswith(f"CONNECT 127.0.0.1:{other.port} HTTP/1.1\r\n".encode())
        assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in seen[0]
    finally:
        chained.close()
        listener.close()
        other.close()


def upstream_proxy(listener: socket.socket, seen: list[bytes]) -> None:
    """The simplest proxy: one tunnel, and a record of what was asked."""
    client, _ = listener.accept()
    head = client.recv(65536)
    seen.append(head)
    host, port = head.split(b" ")[1].decode().split(":")
    server = socket.create_connection((host, int(port)))
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_an_upstream_serves_what_its_exceptions_leave() -> None:
    upstream = Upstream("http://proxy:3128", no_proxy="localhost,.internal")
    served = {host: upstream.serves(host) for host in ("pypi.org", "localhost", "a.internal")}
    assert served == {"pypi.org": True, "localhost": False, "a.internal": False}
    with pytest.raises(ValueError, match="http://host:port"):
        Upstream("socks5://proxy:1")


def test_plain_requests_are_refused_with_the_reason(setup: Setup) -> None:
    answer = connect(setup.proxy, b"GET http://example.com/ HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"HTTPS_PROXY" in answer


def test_a_taken_port_is_no_problem_and_close_frees_it(setup: Setup, tmp_path: Path) -> None:
    certificate = tmp_path / "vultr.pem"
    second = serve_proxy({}, certificate, {}.get, port=setup.proxy.port)
    port = second.port
    assert port != setup.proxy.port
    second.close()
    third = serve_proxy({}, certificate, {}.get, port=port)
    assert third.port == port
    third.close()


def connect(proxy: ProxyServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(request)
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


def test_hosts_of_an_emulated_zone_are_not_asked_in_the_real_world(setup: Setup) -> None:
    proxy = serve_proxy({}, setup.bundle.parent / "vultr.pem", lambda _: None, zones=["a.test"])
    try:
        for host in ("a.test", "www.a.test"):
            head = f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode()
            assert b"no container runs behind it" in connect(proxy, head)
    finally:
        proxy.close()
