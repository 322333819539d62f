"""nginx.conf as the emulated controller writes it of what the components render."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from components.ingress.nginx.daemon_set import nginx_config
from components.ingress.nginx.trust import FOLDER
from components.ingress.nginx.trust import files as trust_files
from components.ingress.trust import EdgeTrust
from sandbox.twin.controller import configuration, files
from sandbox.twin.namespaces import TwinError
from sandbox.twin.published import Pod
from sandbox.vendors.ca import CertificateAuthority

HOSTS = ["api.example.com", "example.com"]


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    authority = CertificateAuthority(tmp_path / "ca", "a CA")
    text = authority.write_server_certificate(tmp_path / "server.pem", HOSTS).read_text()
    key, _, rest = text.partition("-----BEGIN CERTIFICATE")
    trust = EdgeTrust("require", authority.certificate_file.read_text(), "require")
    mounted = trust_files(trust, ("x" * 40,))
    settings = nginx_config(["104.16.0.0/13", "2606:4700::/32"], region="eu", trust=trust)
    return Pod(
        "nginx-ingress", "nginx-ingress", "nginx/nginx-ingress:5.6.1", (),
        ("-health-status", "-health-status-uri=/nginx-health"), (),
        {f"{FOLDER}/{name}": text for name, text in mounted.items()}, (FOLDER,), 5, {}, settings,
        (f"-----BEGIN CERTIFICATE{rest}", key),
    )  # fmt: skip


def test_what_the_components_render_is_taken_by_nginx(pod: Pod, tmp_path: Path) -> None:
    text = configuration(pod, tmp_path, HOSTS)
    for name, content in files(pod, tmp_path).items():
        (tmp_path / name).write_text(content)
    (tmp_path / "nginx.conf").write_text(text)
    assert "server_name api.example.com example.com;" in text
    for said in (
        "ssl_verify_client on;",
        "set_real_ip_from 104.16.0.0/13;",
        "add_header x-edge-region eu always;",
        "if ($edgefleet_edge != known)",
    ):
        assert said in text, said
    assert FOLDER not in text, "the pod's folder isn't this machine's"
    if not shutil.which("nginx"):
        pytest.skip("nginx isn't here to look at it: needs the Debian package nginx-light")
    checked = subprocess.run(
        ["nginx", "-t", "-p", str(tmp_path), "-e", "error.log", "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


def test_a_key_that_nobody_taught_it_is_a_mistake(pod: Pod, tmp_path: Path) -> None:
    strange = replace(pod, settings={**pod.settings, "proxy-read-timeout": "10s"})
    with pytest.raises(TwinError, match=r"nginx-ingress/nginx-ingress: proxy-read-timeout: .*add"):
        configuration(strange, tmp_path, HOSTS)


def test_only_another_template_makes_another_pod(pod: Pod) -> None:
    renewed = replace(pod, certificate=("another", "key"))
    assert renewed.template == pod.template
    assert replace(pod, environment={"FELIX_BPFENABLED": "true"}).template != pod.template
    assert replace(pod, files={}).template != pod.template
    assert replace(pod, arguments=("-another",)).template != pod.template
