"""Installed plugins in place of the emulated ones: `start --real`, and `make test REAL=`."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sandbox.engine import plugins
from sandbox.engine.environment import PROVIDERS
from tests.projects import ROOT

VULTR = plugins.Plugin("vultr", "2.27.1", "github://api.github.com/dirien/pulumi-vultr")
TLS = plugins.Plugin("tls", "5.6.2", "")


@pytest.mark.parametrize("text", ["vultr tls", " tls,vultr", "tls\tvultr,vultr "])
def test_names_are_separated_by_blanks_or_commas(text: str) -> None:
    assert plugins.parse(text) == ["tls", "vultr"]


def test_no_names() -> None:
    assert plugins.parse(" ") == []


def test_versions_are_those_of_the_pinned_sdks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(line.split("==") for line in project["dependencies"])
    distributions = {"vultr": "ediri-vultr"}
    found = {plugin.name: plugin.version for plugin in plugins.wanted(PROVIDERS)}
    assert found == {n: pinned[distributions.get(n, f"pulumi-{n}")] for n in PROVIDERS}


def test_the_command_that_installs_one() -> None:
    assert TLS.install == "pulumi plugin install resource tls 5.6.2"
    assert VULTR.install == (
        "pulumi plugin install resource vultr 2.27.1"
        " --server github://api.github.com/dirien/pulumi-vultr"
    )


def test_what_the_engine_would_not_find(tmp_path: Path) -> None:
    def lacks(path: str = "") -> bool:
        return plugins.missing([VULTR], tmp_path, path) == [VULTR]

    assert lacks()
    (tmp_path / "resource-vultr-v2.27.0").mkdir()
    assert lacks()
    (tmp_path / "resource-vultr-v2.27.1").mkdir()
    assert not lacks()
    (tmp_path / "resource-vultr-v2.27.1.partial").touch()
    assert lacks()
    on_path = tmp_path / "bin" / "pulumi-resource-vultr"
    on_path.parent.mkdir()
    on_path.touch(0o755)
    assert not lacks(str(on_path.parent))


class TestFolders:
    def test_the_users(self, tmp_path: Path) -> None:
        environ = {"HOME": "/home/me", "PULUMI_HOME": ""}
        assert plugins.folder_in(tmp_path, environ) == Path("/home/me/.pulumi/plugins")
        environ = {"HOME": "/home/me", "PULUMI_HOME": "/opt/pulumi"}
        assert plugins.folder_in(tmp_path, environ) == Path("/opt/pulumi/plugins")

    def test_in_a_shell_of_the_sandbox(self, tmp_path: Path) -> None:
        environ = {"HOME": "/home/me", "PULUMI_HOME": str(tmp_path / "pulumi")}
        assert plugins.folder_in(tmp_path, environ) == Path("/home/me/.pulumi/plugins")

    def test_the_sandboxs_own_where_some_were_installed_into_it(self, tmp_path: Path) -> None:
        own = tmp_path / "pulumi" / "plugins"
        own.mkdir(parents=True)
        assert plugins.folder_in(tmp_path, {"HOME": "/home/me"}) == own
        plugins.share(tmp_path, {"HOME": "/home/me"})
        assert not own.is_symlink()

    def test_the_engine_is_led_to_the_users(self, tmp_path: Path) -> None:
        sandbox, one, other = (tmp_path / name for name in ("sandbox", "one", "other"))
        (sandbox / "pulumi").mkdir(parents=True)
        own = sandbox / "pulumi" / "plugins"
        plugins.share(sandbox, {"HOME": str(one)})
        assert not own.is_symlink(), "it would lead nowhere, and `plugin install` fail"
        for home in (one, other):
            (home / ".pulumi" / "plugins").mkdir(parents=True)
            plugins.share(sandbox, {"HOME": str(home)})
            assert own.resolve() == home / ".pulumi" / "plugins"


@pytest.mark.parametrize(
    ("real", "sentence"),
    [
        ("vultr aws", "REAL: aws: no such provider; one of vultr, cloudflare, kubernetes, tls"),
        ("tls", "REAL: tls 5.6.2: not installed, neither in {home}/plugins nor on PATH"),
        ("tls", "  pulumi plugin install resource tls 5.6.2"),
    ],
)
def test_a_test_run_is_refused_before_it_begins(tmp_path: Path, real: str, sentence: str) -> None:
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if ".pulumi" not in p)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", __file__],
        cwd=ROOT,
        env={**os.environ, "REAL": real, "PULUMI_HOME": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert sentence.format(home=tmp_path) in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("variables", "runs"),
    [
        (["REAL=vultr kubernetes"], " tests/fleet"),
        (["REAL=vultr", "FAST=1"], "FAST=1 leaves out the fleet's tests, which REAL= is for"),
    ],
)
def test_make(variables: list[str], runs: str) -> None:
    # Without what a `make test` that runs this test was told.
    told = {"FAST", "REAL", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS"}
    done = subprocess.run(
        ["make", "-n", "test", *variables],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key not in told},
        capture_output=True,
        text=True,
    )
    assert runs in done.stdout + done.stderr
    assert "ruff" not in done.stdout
