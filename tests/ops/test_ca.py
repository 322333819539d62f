"""`fleet ca init`. What Pulumi makes of the key: tests/sandbox/test_origin_tls.py."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

from infra.inventory import CA_FILE
from ops.ca import sign
from ops.cli import app
from tests.projects import copy_project, write_stack

PULUMI = """#!/bin/sh
printf '%s\\n' "$@" >"$0.arguments"
cat >"$0.input"
test -e "$0.fails" || exit 0
echo "error: passphrase must be set" >&2
exit 255
"""


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pulumi that writes down how it was called."""
    path = tmp_path / "bin" / "pulumi"
    path.parent.mkdir()
    path.write_text(PULUMI)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = copy_project(tmp_path / "project")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    return folder


def init(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["ca", "init", *options])
    return done.exit_code, done.output


def test_the_certificate_is_written_and_the_key_goes_through_a_pipe(project: Path, pulumi: Path):
    code, output = init()
    assert code == 0, output
    file = project / CA_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    sent = pulumi.with_name("pulumi.input").read_bytes()
    key = serialization.load_pem_private_key(sent, None)
    assert key.public_key() == certificate.public_key()
    arguments = pulumi.with_name("pulumi.arguments").read_text().split()
    assert arguments == [
        "config", "set", "--secret", "originPullsKey", "--stack", "edge", "--non-interactive",
    ]  # fmt: skip
    written = [path for path in project.rglob("*") if path.is_file()]
    assert not [path for path in written if "PRIVATE KEY" in path.read_text()]
    assert "PRIVATE KEY" not in output


def test_a_ca_that_is_there_stays(project: Path, pulumi: Path):
    init()
    before = (project / CA_FILE).read_text()
    code, output = init()
    assert code == 1
    assert "exists already" in output
    assert (project / CA_FILE).read_text() == before


def test_no_certificate_without_its_key(project: Path, pulumi: Path):
    pulumi.with_name("pulumi.fails").touch()
    code, output = init()
    assert code == 1
    assert "passphrase must be set" in output
    assert not (project / CA_FILE).exists()
    pulumi.with_name("pulumi.fails").unlink()
    assert init()[0] == 0


def test_without_pulumi(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    code, output = init()
    assert (code, output) == (1, "error: there is no pulumi on PATH\n")


def test_which_edge_stack_must_be_clear(project: Path, pulumi: Path):
    write_stack(project, "other", {"edge": {}, "domain": "example.org", "hosts": ["example.org"]})
    code, output = init()
    assert code == 1
    assert "edge stacks here: edge, other; name one with --stack" in output
    assert "'us' is not one" in init("--stack", "us")[1]
    assert init("--stack", "other")[0] == 0
    assert "other" in pulumi.with_name("pulumi.arguments").read_text().split()


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code, output = init()
    assert code == 1
    assert "there is no Pulumi.yaml here or above" in output


def test_it_signs_leaves_and_no_further_cas():
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.now(UTC)
    certificate = sign(key, now)
    certificate.verify_directly_issued_by(certificate)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.value.ca, basic.value.path_length, basic.critical) == (True, 0, True)
    assert certificate.not_valid_after_utc.year >= now.year + 19
    # Two CAs of one name confuse nginx.
    assert sign(key, now).subject != certificate.subject
