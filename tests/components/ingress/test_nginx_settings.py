"""Settings with a meaning to nginx, in the distribution's nginx, where the controller puts them.

The surroundings are the controller's templates in short (nginx/kubernetes-ingress,
internal/configs/version1/nginx.tmpl and nginx.ingress.tmpl).
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from components.ingress.contract import HEALTH_PATH
from components.ingress.nginx.options import nginx_config

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx on this machine")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder: Path) -> None:
        self.port, self.log = free_port(), folder / "access.log"
        config = nginx_config(["127.0.0.1/32"], {"worker_processes": 1}, region="us")
        real_ip = "".join(
            f"set_real_ip_from {network};\n" for network in config["set-real-ip-from"].split(",")
        )
        real_ip += f"real_ip_header {config['real-ip-header']};\n"
        lines = " ".join(f"'{line}'" for line in config["log-format"].splitlines())
        tokens = "on" if config["server-tokens"] == "True" else "off"
        (folder / "nginx.conf").write_text(
            f"""
worker_processes {config["worker-processes"]};
worker_rlimit_nofile {config["worker-rlimit-nofile"]};
worker_shutdown_timeout {config["worker-shutdown-timeout"]};
daemon off;
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ worker_connections {config["worker-connections"]}; }}
http {{
    {config["http-snippets"]}
    log_format main escape={config["log-format-escaping"]} {lines};
    access_log {self.log} main;
    keepalive_timeout {config["keepalive-timeout"]};
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream web {{ server 127.0.0.1:1; keepalive {config["keepalive"]}; }}
    server {{
        listen 127.0.0.1:{self.port} default_server;
        server_name _;
        server_tokens "{tokens}";
        {real_ip}
        location {HEALTH_PATH} {{ default_type text/plain; return 200 "healthy\\n"; }}
        location / {{ return 404; }}
    }}
    server {{
        listen 127.0.0.1:{self.port};
        server_name www.example.com;
        server_tokens {tokens};
        auth_basic "members"; auth_basic_user_file {folder}/users;
        {real_ip}
        {config["server-snippets"]}
        location / {{ proxy_http_version 1.1; proxy_pass http://web; }}
    }}
}}
"""
        )
        (folder / "users").touch()
        assert NGINX
        command = [NGINX, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, (folder / "error.log").read_text()
                time.sleep(0.02)
        raise AssertionError("nginx doesn't answer")

    def get(self, host: str, path: str = HEALTH_PATH, **headers: str) -> requests.Response:
        return requests.get(
            f"http://127.0.0.1:{self.port}{path}", headers={"Host": host, **headers}, timeout=10
        )

    def logged(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("nginx"))
    yield server
    server.process.terminate()
    server.process.wait(20)


@pytest.mark.parametrize("host", ["www.example.com", "unknown.example.net", "192.0.2.1"])
def test_the_health_url_answers_on_any_host(nginx: Server, host: str):
    answer = nginx.get(host)
    assert (answer.status_code, answer.text) == (200, "healthy\n")


@pytest.mark.parametrize("path", ["/", HEALTH_PATH])
@pytest.mark.parametrize("host", ["www.example.com", "unknown.example.net"])
def test_answers_name_their_region(nginx: Server, host: str, path: str):
    # Errors too: nobody may be here, the host may be unknown.
    assert nginx.get(host, path).headers["x-edge-region"] == "us"


def test_the_rest_of_a_host_is_its_own(nginx: Server):
    assert nginx.get("www.example.com", "/").status_code == 401
    assert nginx.get("www.example.com", f"{HEALTH_PATH}/x").status_code == 401


def test_nginx_does_not_tell_its_version(nginx: Server):
    assert nginx.get("www.example.com").headers["Server"] == "nginx"


def test_the_log_names_the_visitor(nginx: Server):
    nginx.get("www.example.com", '/a"b', **{"CF-Connecting-IP": "203.0.113.9", "CF-Ray": "r1"})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := [line for line in nginx.logged() if line["ray"] == "r1"]:
            break
        time.sleep(0.02)
    (line,) = found
    assert (line["client"], line["peer"]) == ("203.0.113.9", "127.0.0.1")
    assert (line["host"], line["status"]) == ("www.example.com", 401)


def test_probes_do_not_fill_the_log(nginx: Server):
    nginx.get("www.example.com", **{"CF-Ray": "probe"})
    nginx.get("www.example.com", "/", **{"CF-Ray": "after"})
    deadline = time.monotonic() + 10
    rays: list[object] = []
    while "after" not in rays and time.monotonic() < deadline:
        rays = [line["ray"] for line in nginx.logged()]
    assert "after" in rays
    assert "probe" not in rays
