"""What `fleet sandbox env` prints."""

import subprocess
import sys
from pathlib import Path

from sandbox.engine.environment import Running, exports, inside, outside, variables
from sandbox.vendors.cloudflare import api as cloudflare_api

PORTS = {"vultr": 1, "cloudflare": 2, "proxy": 3, "secrets": 4}
RUNNING = Running(1, "now", PORTS, {"vultr": 11, "tls": 12}, ["kubernetes"], "/cache/pulumi")


def test_values(tmp_path: Path) -> None:
    values = variables(tmp_path, RUNNING, "/usr/bin:/bin")
    assert values["PATH"] == "/cache/pulumi:/usr/bin:/bin"
    assert values["PULUMI_DEBUG_PROVIDERS"] == "tls:12,vultr:11"
    assert values["HTTPS_PROXY"] == "http://127.0.0.1:3"
    assert values["CLOUDFLARE_BASE_URL"] == "http://127.0.0.1:2/client/v4"
    assert len(values["CLOUDFLARE_API_TOKEN"]) >= 40
    assert values["CLOUDFLARE_API_TOKEN"] == cloudflare_api.API_TOKEN
    assert values["SSL_CERT_FILE"] == values["REQUESTS_CA_BUNDLE"] == values["CURL_CA_BUNDLE"]
    assert {"127.0.0.1", "localhost"} == set(values["NO_PROXY"].split(","))
    assert list(values) == list(variables(tmp_path, RUNNING, "/usr/bin:/bin"))


def test_a_backend_in_a_folder_with_a_space(tmp_path: Path) -> None:
    values = variables(tmp_path / "my files", RUNNING, "")
    assert values["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/my%20files/state?metadata=skip"


def test_exports_survive_a_shell() -> None:
    value = 'it\'s $HOME `id` "quoted"\nand more'
    script = exports({"A": value}) + 'printf %s "$A"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout == value


def test_no_lower_case_proxy_leads_around_the_sandbox() -> None:
    """Python's requests, as curl does, takes https_proxy and no_proxy before those in capitals."""
    theirs = {"https_proxy": "http://corporate:3128", "no_proxy": "vultr.com", "HOME": "/root"}
    ours = {"HTTPS_PROXY": "http://127.0.0.1:3", "NO_PROXY": "127.0.0.1,localhost"}
    look = (
        "import requests, sys; print(requests.utils.get_environ_proxies('https://api.vultr.com'))"
    )
    asked = subprocess.run(
        ["sh", "-c", f'{exports(ours)}exec "$0" -c "{look}"', sys.executable],
        env={**theirs, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert "'https': 'http://127.0.0.1:3'" in asked.stdout, asked.stderr
    assert inside(theirs, ours) == {"HOME": "/root", **ours}


def test_outside_takes_only_our_own_away(tmp_path: Path) -> None:
    theirs = {"HTTPS_PROXY": "http://corporate:3128", "SSL_CERT_FILE": "/etc/corp.pem"}
    assert outside({**theirs, "PATH": "/bin"}, tmp_path) == {**theirs, "PATH": "/bin"}
    ours = variables(tmp_path, RUNNING, f"{tmp_path}/bin:/bin")
    left = outside({**ours, "HOME": "/root"}, tmp_path)
    assert left["HOME"] == "/root"
    assert left["PATH"] == "/cache/pulumi:/bin"
    assert not [name for name in left if name.endswith(("PROXY", "_FILE", "_BUNDLE"))]


def test_running_is_stored_whole(tmp_path: Path) -> None:
    RUNNING.save(tmp_path)
    assert Running.load(tmp_path) == RUNNING
