"""`fleet ca`. What Pulumi makes of the key, and a whole rotation: tests/sandbox."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

from infra.fleet.inventory import CA_FILE
from infra.stacks.origin_trust import certificates, fingerprint
from ops.ca import sign
from ops.cli import application
from tests.projects import copy_project, write_stack

PULUMI = """#!/bin/sh
echo "$*" >>"$0.calls"
printf '%s\\n' "$@" >"$0.arguments"
if [ "$1" = stack ]; then exec cat "$0.output"; fi
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


def run(*command: str) -> tuple[int, str]:
    done = CliRunner().invoke(application(), ["ca", *command])
    return done.exit_code, done.output


def init(*options: str) -> tuple[int, str]:
    return run("init", *options)


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
    assert code == 2
    assert "exists already" in output
    assert (project / CA_FILE).read_text() == before


def test_no_certificate_without_its_key(project: Path, pulumi: Path):
    pulumi.with_name("pulumi.fails").touch()
    code, output = init()
    assert code == 2
    assert "passphrase must be set" in output
    assert not (project / CA_FILE).exists()
    pulumi.with_name("pulumi.fails").unlink()
    assert init()[0] == 0


def test_without_pulumi(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    code, output = init()
    assert (code, output) == (2, "error: there is no pulumi on PATH\n")


def test_json_says_what_was_made(project: Path, pulumi: Path):
    code, output = init("--json")
    assert code == 0, output
    made = {"certificate": CA_FILE, "key": "originPullsKey", "stack": "edge"}
    assert json.loads(output) == made


def test_which_edge_stack_must_be_clear(project: Path, pulumi: Path):
    write_stack(project, "other", {"edge": {}, "domain": "example.org", "hosts": ["example.org"]})
    code, output = init()
    assert code == 2
    assert "edge stacks here: edge, other; name one with --stack" in output
    assert "'us' is not one" in init("--stack", "us")[1]
    assert init("--stack", "other")[0] == 0
    assert "other" in pulumi.with_name("pulumi.arguments").read_text().split()


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code, output = init()
    assert code == 2
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


@pytest.fixture
def made(project: Path, pulumi: Path) -> Path:
    """The project with a CA, its key in the edge stack's file."""
    assert init()[0] == 0
    write_stack(project, "edge", {"edge": {}, "originPullsKey": {"secure": "v1:abc"}})
    return project


def committed(project: Path) -> list[str]:
    return certificates((project / CA_FILE).read_text())


def calls(pulumi: Path) -> list[str]:
    return pulumi.with_name("pulumi.calls").read_text().splitlines()


def shown(pulumi: Path, certificate: str) -> None:
    """The CA that the edge stack's last `up` signed by."""
    pulumi.with_name("pulumi.output").write_text(f"{fingerprint(certificate)}\n")


def test_the_next_ca_stands_before_the_old_one_and_its_key_is_stored(made: Path, pulumi: Path):
    (old,) = committed(made)
    code, output = run("rotate")
    assert code == 0, output
    new, kept = committed(made)
    assert kept == old
    sent = pulumi.with_name("pulumi.input").read_bytes()
    key = serialization.load_pem_private_key(sent, None)
    first, second = (x509.load_pem_x509_certificate(each.encode()) for each in (new, old))
    assert key.public_key() == first.public_key() != second.public_key()
    assert first.subject != second.subject, "nginx would try one alone"
    written = [path for path in made.rglob("*") if path.is_file()]
    assert not [path for path in written if "PRIVATE KEY" in path.read_text()]
    assert "PRIVATE KEY" not in output + "".join(calls(pulumi))
    steps = ("every region", "`pulumi up` of edge", "`fleet ca retire`")
    assert sorted(steps, key=output.index) == list(steps)


def test_one_rotation_at_a_time(made: Path, pulumi: Path):
    assert run("rotate")[0] == 0
    before = committed(made)
    code, output = run("rotate")
    assert code == 2
    assert "holds 2 CAs: another rotation isn't finished" in output
    assert committed(made) == before
    assert len(calls(pulumi)) == 2


def test_nothing_to_rotate_or_to_retire(project: Path, pulumi: Path):
    code, output = run("rotate")
    assert code == 2
    assert "there is no CA in origin-pulls-ca.pem yet: `fleet ca init`" in output
    assert init()[0] == 0
    code, output = run("rotate")
    assert code == 2
    assert "no edge stack here has the CA's key (edgefleet:originPullsKey)" in output
    code, output = run("retire")
    assert code == 2
    assert "holds no old CA" in output


def test_a_rotation_that_was_cut_off_is_begun_anew(made: Path, pulumi: Path):
    """Cut off after the key was stored: the file is the old one."""
    before = committed(made)
    pulumi.with_name("pulumi.fails").touch()
    code, output = run("rotate")
    assert code == 2
    assert "passphrase must be set" in output
    assert committed(made) == before
    pulumi.with_name("pulumi.fails").unlink()
    assert run("rotate")[0] == 0
    assert committed(made)[1:] == before


def test_the_old_ca_stays_until_cloudflare_shows_the_new_one(made: Path, pulumi: Path):
    assert run("rotate")[0] == 0
    new, old = committed(made)
    shown(pulumi, old)
    code, output = run("retire")
    assert code == 2
    assert "Cloudflare shows no certificate of the new CA yet: `pulumi up --stack edge`" in output
    assert committed(made) == [new, old]
    shown(pulumi, new)
    code, output = run("retire")
    assert code == 0, output
    assert committed(made) == [new]
    assert calls(pulumi)[-1] == "stack output --stack edge originPullsCa --non-interactive"


def test_without_an_output_nothing_is_retired(made: Path, pulumi: Path):
    assert run("rotate")[0] == 0
    assert run("retire")[0] == 2
    assert len(committed(made)) == 2


def test_every_edge_stack_that_signs_gets_the_key(made: Path, pulumi: Path):
    other = {"edge": {}, "domain": "example.org", "hosts": ["example.org"]}
    write_stack(made, "other", {**other, "originPullsKey": {"secure": "v1:abc"}})
    code, output = run("rotate", "--json")
    assert code == 0, output
    assert json.loads(output)["stacks"] == ["edge", "other"]
    stored = [call.split(" --stack ")[1].split()[0] for call in calls(pulumi)[-2:]]
    assert stored == ["edge", "other"]
    new, _ = committed(made)
    shown(pulumi, new)
    code, output = run("retire", "--json")
    assert json.loads(output) == {"certificate": CA_FILE}
    assert len([call for call in calls(pulumi) if call.startswith("stack output")]) == 2
